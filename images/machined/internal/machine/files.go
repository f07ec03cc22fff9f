package machine

import (
	"context"

	"github.com/bronze-os/bronze/images/machined/internal/etcd"
	"github.com/bronze-os/bronze/images/machined/internal/flannel"
	"github.com/bronze-os/bronze/images/machined/internal/hostdns"
	"github.com/bronze-os/bronze/images/machined/internal/hostsfile"
	"github.com/bronze-os/bronze/images/machined/internal/kubelet"
	"github.com/bronze-os/bronze/images/machined/internal/kubernetes"
	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
	"github.com/bronze-os/bronze/images/machined/internal/sysctl"
)

// parts are the aspects of the machine config that become files, in the order in which a booting node needs them. Static
// pods join them later, when the images that they name are there.
func (m *Machine) parts() []part {
	parts := []part{
		{id: "identity", files: func() ([]rootfs.Step, error) {
			return []rootfs.Step{
				rootfs.Cover{Path: "/etc/machine-id", Content: m.identity.MachineID() + "\n"},
				// The host's stays the same when the node reboots, and clients wait until it differs.
				rootfs.Cover{Path: "/proc/sys/kernel/random/boot_id", Content: m.bootID + "\n"},
			}, nil
		}},
		{id: "sysctls", files: always(sysctl.Settings(m.Config().Machine().Sysctls())), later: true},
		{id: "hosts", files: always(hostsfile.File(m.Config().NetworkStaticHostConfig())), later: true},
		{id: "resolver", files: always(m.resolver().Files()...), later: true},
		{id: "registries", files: m.registries, later: true},
		{id: "files", files: m.userFiles, later: true},
		{id: "containerd", files: always(m.runtime()), changed: m.restart("containerd")},
		{id: "environment", files: always(), argv: m.userEnvironment, changed: m.restart("containerd", "kubelet")},
		{
			id: "kubelet", files: m.ownKubelet().Files, made: m.ownKubelet().Mark, argv: m.ownKubelet().Arguments,
			changed: m.restart("kubelet"),
		},
		{id: "seccomp", files: m.seccompProfiles, later: true},
		{id: "pods", files: m.ownPods, later: true},
		{id: "flannel", files: m.flannelFiles, argv: m.flannelFlags, changed: m.restart("flanneld")},
	}

	if m.isControlPlane() {
		parts = append(parts,
			part{id: "etcd", files: m.member().Files, made: m.clusterDocument},
			part{id: "etcd flags", files: always(), argv: m.etcdFlags, changed: m.restart("etcd")},
			part{id: "secrets", files: m.kubernetes().Secrets, made: m.clusterDocument})

		select {
		case <-m.imported:
			parts = append(parts, part{id: "static pods", files: m.kubernetes().StaticPods, changed: renewPods})
		default:
		}
	}

	return parts
}

// renewPods ends the static pods whose manifests have changed.
func renewPods(ctx context.Context) error {
	return kubernetes.Renew(ctx, kubernetes.ManifestsDir, "/proc")
}

// clusterDocument is what certificates are made of: made anew they differ each time.
func (m *Machine) clusterDocument() any {
	return m.Config().RawV1Alpha1().ClusterConfig
}

func (m *Machine) member() etcd.Member {
	return etcd.Member{Config: m.Config(), Name: m.hostname, IP: m.ip}
}

func (m *Machine) flannelFiles() ([]rootfs.Step, error) {
	networks := m.Config().Cluster().Network().PodCIDRs()
	if m.Config().Cluster().Network().CNI().Name() != "flannel" || len(networks) == 0 {
		return nil, nil
	}

	return flannel.Files(networks[0])
}

// flannelFlags are none where flanneld is no service of the node.
func (m *Machine) flannelFlags() []string {
	if m.Config().Cluster().Network().CNI().Name() != "flannel" {
		return nil
	}

	return m.Config().Cluster().Network().CNI().Flannel().ExtraArgs()
}

// etcdFlags are the machine config's alone: those of the node's own making change with the members.
func (m *Machine) etcdFlags() []string {
	return kubernetes.Flags(m.Config().Cluster().Etcd().ExtraArgs()).Arguments()
}

func (m *Machine) ownKubelet() kubelet.Kubelet {
	return kubelet.Kubelet{
		Config: m.Config(), Name: m.hostname, IP: m.ip,
		ServingPort: m.servingPort(), SettledPort: m.settledPort(), ResolvConf: hostdns.ResolvConf,
	}
}

func (m *Machine) kubernetes() kubernetes.Node {
	return kubernetes.Node{
		Config: m.Config(), Name: m.hostname, IP: m.ip, Versions: m.versions,
		SettledPort: m.settledPort(), HealthyPort: m.healthyPort(),
	}
}
