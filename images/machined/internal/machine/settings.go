package machine

import (
	"context"
	"errors"
	"maps"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/bronze-os/bronze/images/machined/internal/containerd"
	"github.com/bronze-os/bronze/images/machined/internal/hostdns"
	"github.com/bronze-os/bronze/images/machined/internal/kubelet"
	"github.com/bronze-os/bronze/images/machined/internal/registries"
	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
	"github.com/bronze-os/bronze/images/machined/internal/userfiles"
)

// always is the files of a part that needs no making.
func always(steps ...rootfs.Step) func() ([]rootfs.Step, error) {
	return func() ([]rootfs.Step, error) { return steps, nil }
}

// restart is what a part does on a change that services read only when they start.
func (m *Machine) restart(ids ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		var errs []error

		for _, id := range ids {
			m.log.Info("restarting a service for the machine config", "service", id)

			errs = append(errs, m.services.Restart(ctx, id))
		}

		return errors.Join(errs...)
	}
}

func (m *Machine) resolver() hostdns.Settings {
	resolver := m.Config().NetworkResolverConfig()

	return hostdns.Settings{Servers: resolver.Resolvers(), Searches: resolver.SearchDomains()}
}

func (m *Machine) registries() ([]rootfs.Step, error) {
	hosts, err := registries.Hosts(m.Config())

	return []rootfs.Step{hosts}, err
}

func (m *Machine) runtime() rootfs.Step {
	return containerd.File(containerd.Options{
		RestrictOOM: !mayRaiseLimits(),
		HostsDir:    registries.HostsDir,
		Logins:      registries.Logins(m.Config()),
	})
}

// mayRaiseLimits tells whether this host lets the node raise resource limits and improve OOM scores.
func mayRaiseLimits() bool {
	held, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, unix.CAP_SYS_RESOURCE, 0, 0, 0)

	return err == nil && held == 1
}

func (m *Machine) userFiles() ([]rootfs.Step, error) {
	files, err := m.Config().Machine().Files()

	return []rootfs.Step{userfiles.Of(files)}, err
}

// userEnvironment are the variables of the machine config, as NAME=value.
func (m *Machine) userEnvironment() []string {
	variables := maps.Clone(m.Config().Machine().Env())
	if variables == nil {
		variables = map[string]string{}
	}

	maps.Copy(variables, m.Config().Environment().Variables())

	var environment []string
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		environment = append(environment, name+"="+variables[name])
	}

	return environment
}

func (m *Machine) seccompProfiles() ([]rootfs.Step, error) {
	step, err := kubelet.SeccompProfiles(m.Config().Machine().SeccompProfiles())

	return []rootfs.Step{step}, err
}

func (m *Machine) ownPods() ([]rootfs.Step, error) {
	step, err := kubelet.OwnPods(m.Config().Machine().Pods())

	return []rootfs.Step{step}, err
}
