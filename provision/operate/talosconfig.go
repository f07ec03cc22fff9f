package operate

import (
	"context"
	"fmt"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	clientconfig "github.com/siderolabs/talos/pkg/machinery/client/config"
	"google.golang.org/protobuf/types/known/durationpb"
)

// NewTalosconfig lets the one node, a control plane, sign a client certificate with the roles, which is good for the
// lifetime. The talosconfig that holds it has the endpoints and nodes of this fleet.
func (f *Fleet) NewTalosconfig(ctx context.Context, roles []string, lifetime time.Duration) ([]byte, error) {
	n, err := f.one("make a talosconfig")
	if err != nil {
		return nil, err
	}
	answers, err := ask(ctx, f, machine.MachineServiceClient.GenerateClientConfiguration,
		&machine.GenerateClientConfigurationRequest{Roles: roles, CrtTtl: durationpb.New(lifetime)})
	if err != nil {
		return nil, err
	}
	if len(answers) == 0 {
		return nil, fmt.Errorf("node %s: cannot make a talosconfig: the answer is empty", n.name)
	}
	config, err := clientconfig.FromBytes(answers[0].Message.GetTalosconfig())
	if err != nil {
		return nil, fmt.Errorf("node %s: cannot parse its talosconfig: %w", n.name, err)
	}
	for _, made := range config.Contexts {
		made.Endpoints, made.Nodes = f.target.Endpoints, f.target.Nodes
	}
	return config.Bytes()
}
