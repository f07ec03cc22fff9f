package machine

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/bronze-os/bronze/images/machined/internal/containerd"
	"github.com/bronze-os/bronze/images/machined/internal/etcd"
	"github.com/bronze-os/bronze/images/machined/internal/flannel"
	"github.com/bronze-os/bronze/images/machined/internal/hostdns"
	"github.com/bronze-os/bronze/images/machined/internal/kubelet"
	"github.com/bronze-os/bronze/images/machined/internal/kubernetes"
	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
)

// writeFiles writes what services read, all from the machine config. Static pod manifests come later, when the images
// that they name are there.
func (m *Machine) writeFiles() error {
	sources := []func() ([]rootfs.Step, error){
		func() ([]rootfs.Step, error) {
			return []rootfs.Step{rootfs.Cover{Path: "/etc/machine-id", Content: m.identity.MachineID() + "\n"}}, nil
		},
		func() ([]rootfs.Step, error) {
			return append(hostdns.Files(), containerd.File(containerd.Options{RestrictOOM: !mayRaiseLimits()})), nil
		},
		m.ownKubelet().Files,
		m.flannelFiles,
	}

	if m.isControlPlane() {
		sources = append(sources, etcd.Member{Config: m.config, Name: m.hostname, IP: m.ip}.Files, m.kubernetes().Secrets)
	}

	for _, source := range sources {
		steps, err := source()
		if err != nil {
			return fmt.Errorf("preparing the node's files: %w", err)
		}

		if err := rootfs.Apply(steps); err != nil {
			return err
		}
	}

	return nil
}

func (m *Machine) flannelFiles() ([]rootfs.Step, error) {
	networks := m.config.Cluster().Network().PodCIDRs()
	if m.config.Cluster().Network().CNI().Name() != "flannel" || len(networks) == 0 {
		return nil, nil
	}

	return flannel.Files(networks[0])
}

func (m *Machine) ownKubelet() kubelet.Kubelet {
	return kubelet.Kubelet{
		Config: m.config, Name: m.hostname, IP: m.ip,
		ServingPort: m.servingPort(), SettledPort: m.settledPort(), ResolvConf: hostdns.ResolvConf,
	}
}

func (m *Machine) kubernetes() kubernetes.Node {
	return kubernetes.Node{
		Config: m.config, Name: m.hostname, IP: m.ip, Versions: m.versions,
		SettledPort: m.settledPort(), HealthyPort: m.healthyPort(),
	}
}

// mayRaiseLimits tells whether this host lets the node raise resource limits and improve OOM scores.
func mayRaiseLimits() bool {
	held, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, unix.CAP_SYS_RESOURCE, 0, 0, 0)

	return err == nil && held == 1
}
