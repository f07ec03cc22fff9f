package provision

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/bronze-os/bronze/images/boot"
)

// Access tells how to reach a cluster that runs, and is stored or can be recalled.
func (r *Reconciler) Access(ctx context.Context, name string) (Access, error) {
	record, err := r.load(ctx, name)
	if err != nil {
		return Access{}, err
	}
	observed, err := r.Provider.Observe(ctx, name)
	if err != nil {
		return Access{}, fmt.Errorf("observing cluster %q: %w", name, err)
	}
	access := AccessOf(record, observed)
	if !access.MachineAPI.IsValid() {
		err := fmt.Errorf("cannot reach cluster %q: %q does not run", name, record.Cluster.gate())
		return Access{}, WithHint(err, "run the same bronze cluster create again: it repairs what is missing")
	}
	return access, nil
}

// gate is the name of the machine that has the APIs' ports of the host.
func (c Cluster) gate() string {
	if c.Balancer != nil {
		return c.Balancer.Name
	}
	return c.Founder().Name
}

// AccessOf tells how to reach a stored cluster as it is observed. Addresses are invalid where what listens there does not
// run.
func AccessOf(record Record, observed Observed) Access {
	access := Access{Cluster: record.Cluster, Secrets: record.Secrets}
	gate := record.Cluster.gate()
	for _, machine := range observed.all() {
		if machine.Name == gate && machine.State == MachineRunning {
			access.MachineAPI = machine.hostEnd(boot.MachineAPIPort)
			access.KubernetesAPI = machine.hostEnd(boot.KubernetesPort)
		}
	}
	return access
}

// hostEnd is where the host listens for a TCP port of the machine; invalid where it does not.
func (m Machine) hostEnd(port uint16) netip.AddrPort {
	for _, mapped := range m.Ports {
		if mapped.Node == port && mapped.Protocol == "tcp" {
			return netip.AddrPortFrom(mapped.HostIP, mapped.Host)
		}
	}
	return netip.AddrPort{}
}
