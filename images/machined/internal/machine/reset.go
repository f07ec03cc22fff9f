package machine

import (
	"context"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/images/machined/internal/events"
	"github.com/bronze-os/bronze/images/machined/internal/machineapi"
)

// Reset begins to end the node and to wipe what it keeps. A graceful one leaves etcd first, and where it may not, the
// node stays as it is.
func (m *Machine) Reset(ctx context.Context, options machineapi.ResetOptions) error {
	if options.Graceful && m.config != nil && m.isControlPlane() && m.member().HasData() {
		if err := m.LeaveEtcd(ctx); err != nil {
			return err
		}
	}

	return m.end(Ending{Reboot: options.Reboot, Wipe: wiped(options), Actor: events.Actor(ctx)})
}

// wiped are the directories of the partitions that Talos would keep these things on: STATE holds the machine config and
// the node's identity, EPHEMERAL all else.
func wiped(options machineapi.ResetOptions) []string {
	var directories []string

	for _, volume := range boot.Volumes() {
		isState := volume == boot.StatePath
		if isState && options.State || !isState && options.Ephemeral {
			directories = append(directories, volume)
		}
	}

	return directories
}
