package docker

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/provision"
)

const (
	nanosPerCPU = 1e9
	bytesPerMiB = 1 << 20
	// stopTimeout is in seconds: what machined may take to end its services in order.
	stopTimeout = 20
)

// containerOf is the container of a node, as Talos has it, but for the volumes: those are named and labelled, so that
// they can be told whose they are and be mounted again.
func containerOf(cluster provision.Cluster, node provision.Node, machineConfig []byte, isolated isolation) client.ContainerCreateOptions {
	exposed, bindings := portsOf(node.Ports)
	timeout := stopTimeout
	host := &container.HostConfig{
		NetworkMode:    container.NetworkMode(cluster.Network.Name),
		ReadonlyRootfs: true,
		PortBindings:   bindings,
		// A node that ended for its engine's end, or that failed, starts again by itself. One that was shut down over the
		// machine API ends with code 0 and stays down, as does one that was stopped through the engine.
		RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyOnFailure},
		Mounts:        mountsOf(cluster.Name, node),
		Sysctls:       map[string]string{"net.ipv6.conf.all.disable_ipv6": "0"},
		Resources: container.Resources{
			NanoCPUs: int64(node.Resources.CPUs * nanosPerCPU),
			Memory:   node.Resources.MemoryMiB * bytesPerMiB,
		},
	}
	isolated.apply(host)
	return client.ContainerCreateOptions{
		Name: node.Name,
		Config: &container.Config{
			Hostname:     node.Name,
			Image:        cluster.ImageOf(node),
			Env:          environmentOf(node, machineConfig),
			Labels:       nodeLabels(cluster.Name, node.Role),
			ExposedPorts: exposed,
			StopTimeout:  &timeout,
		},
		HostConfig: host,
		NetworkingConfig: &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
			cluster.Network.Name: {IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: node.IP}},
		}},
	}
}

func environmentOf(node provision.Node, machineConfig []byte) []string {
	sku := fmt.Sprintf("%dCPU-%dRAM", int64(node.Resources.CPUs), node.Resources.MemoryMiB)
	environment := []string{
		boot.PlatformVariable + "=" + boot.PlatformContainer,
		boot.SKUVariable + "=" + sku,
	}
	if len(machineConfig) == 0 {
		return environment
	}
	return append(environment, boot.UserDataVariable+"="+base64.StdEncoding.EncodeToString(machineConfig))
}

func mountsOf(cluster string, node provision.Node) []mount.Mount {
	var mounts []mount.Mount
	for _, path := range boot.Tmpfs() {
		mounts = append(mounts, mount.Mount{Type: mount.TypeTmpfs, Target: path})
	}
	for _, path := range boot.Volumes() {
		mounts = append(mounts, mount.Mount{
			Type:   mount.TypeVolume,
			Source: volumeName(node.Name, path),
			Target: path,
			// The engine labels a volume that it makes for a container: one call less per volume.
			VolumeOptions: &mount.VolumeOptions{Labels: volumeLabels(cluster, node.Name, path)},
		})
	}
	for _, asked := range node.Mounts {
		mounts = append(mounts, mount.Mount{
			Type:     mount.Type(asked.Type),
			Source:   asked.Source,
			Target:   asked.Target,
			ReadOnly: asked.ReadOnly,
		})
	}
	return mounts
}

func portsOf(ports []provision.Port) (network.PortSet, network.PortMap) {
	if len(ports) == 0 {
		return nil, nil
	}
	exposed, bindings := network.PortSet{}, network.PortMap{}
	for _, port := range ports {
		inside, _ := network.PortFrom(port.Node, network.IPProtocol(port.Protocol))
		exposed[inside] = struct{}{}
		bindings[inside] = append(bindings[inside], network.PortBinding{HostIP: port.HostIP, HostPort: hostPort(port.Host)})
	}
	return exposed, bindings
}

// hostPort is empty for any free port.
func hostPort(port uint16) string {
	if port == 0 {
		return ""
	}
	return strconv.Itoa(int(port))
}

// portsSeen are the mappings on which the host listens, sorted: the engine lists them in any order.
func portsSeen(summary container.Summary) []provision.Port {
	var ports []provision.Port
	for _, port := range summary.Ports {
		if port.PublicPort == 0 {
			continue
		}
		ports = append(ports, provision.Port{
			HostIP: anyAddress(port.IP), Host: port.PublicPort, Node: port.PrivatePort, Protocol: port.Type,
		})
	}
	sortPorts(ports)
	return ports
}

func sortPorts(ports []provision.Port) {
	slices.SortFunc(ports, func(a, b provision.Port) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Protocol, b.Protocol), a.HostIP.Compare(b.HostIP), cmp.Compare(a.Host, b.Host))
	})
}

// anyAddress is every address of the host where none was asked.
func anyAddress(ip netip.Addr) netip.Addr {
	if !ip.IsValid() {
		return netip.IPv4Unspecified()
	}
	return ip
}
