package docker

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/provision"
)

// anonymousName is how many hexadecimal digits the engine gives a volume for a name that was made without one.
const anonymousName = 64

// Machine looks for a container by its full ID, whatever it is called now. One that is being removed is there until it is
// gone.
func (p *Provider) Machine(ctx context.Context, id string) (machine provision.Machine, found bool, err error) {
	seen, found, err := p.containerByID(ctx, id)
	if err != nil || !found {
		return provision.Machine{}, false, err
	}
	return machineOf(summaryOf(seen)), true, nil
}

// Inspect tells what a container was made with, by Bronze or by hand.
func (p *Provider) Inspect(ctx context.Context, machine provision.Machine) (provision.Node, []byte, error) {
	seen, found, err := p.containerByID(ctx, machine.ID)
	if err != nil {
		return provision.Node{}, nil, err
	}
	if !found {
		return provision.Node{}, nil, fmt.Errorf("cannot inspect container %q: it is gone", machine.Name)
	}
	return nodeOf(seen), machineConfigOf(seen.Config.Env), nil
}

// containerByID tells a container that is not there, which is proof that it was removed, from an engine that did not
// answer, which proves nothing.
func (p *Provider) containerByID(ctx context.Context, id string) (seen container.InspectResponse, found bool, err error) {
	if id == "" {
		return container.InspectResponse{}, false, fmt.Errorf("cannot look for a container without its ID")
	}
	inspected, err := p.engine.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	seen = inspected.Container
	switch {
	case isNoContainer(err):
		return container.InspectResponse{}, false, nil
	case err != nil:
		return container.InspectResponse{}, false, p.unreachable(err)
	case seen.ID == "" || seen.State == nil || seen.Config == nil || seen.HostConfig == nil:
		return container.InspectResponse{}, false, fmt.Errorf("cannot understand what %s says of container %s", p.host, id)
	default:
		// The engine also looks for names and for beginnings of IDs.
		return seen, seen.ID == id, nil
	}
}

// isNoContainer wants the engine's own words too: whatever else listens in its place does not know the path either.
func isNoContainer(err error) bool {
	return cerrdefs.IsNotFound(err) && strings.Contains(strings.ToLower(err.Error()), "no such container")
}

// summaryOf is what a list of containers would tell of this one.
func summaryOf(seen container.InspectResponse) container.Summary {
	summary := container.Summary{
		ID:     seen.ID,
		Names:  []string{seen.Name},
		Image:  seen.Config.Image,
		Labels: seen.Config.Labels,
		State:  seen.State.Status,
	}
	if created, err := time.Parse(time.RFC3339Nano, seen.Created); err == nil {
		summary.Created = created.Unix()
	}
	if seen.NetworkSettings == nil {
		return summary
	}
	summary.NetworkSettings = &container.NetworkSettingsSummary{Networks: seen.NetworkSettings.Networks}
	for inside, bindings := range seen.NetworkSettings.Ports {
		for _, binding := range bindings {
			summary.Ports = append(summary.Ports, container.PortSummary{
				IP: binding.HostIP, PrivatePort: inside.Num(), PublicPort: numberOf(binding.HostPort), Type: string(inside.Proto()),
			})
		}
	}
	return summary
}

// numberOf is 0 for a port that the engine is to choose.
func numberOf(hostPort string) uint16 {
	number, err := strconv.ParseUint(hostPort, 10, 16)
	if err != nil {
		return 0
	}
	return uint16(number)
}

func nodeOf(seen container.InspectResponse) provision.Node {
	machine := machineOf(summaryOf(seen))
	return provision.Node{
		Name:      machine.Name,
		Role:      machine.Role,
		IP:        machine.IP,
		Resources: resourcesOf(seen),
		Ports:     portsAsked(seen.HostConfig.PortBindings),
		Mounts:    mountsSeen(seen),
	}
}

// resourcesOf goes by the container's limits, and where it has none by what the node was told that it has.
func resourcesOf(seen container.InspectResponse) provision.Resources {
	limits := seen.HostConfig.Resources
	resources := provision.Resources{CPUs: float64(limits.NanoCPUs) / nanosPerCPU, MemoryMiB: limits.Memory / bytesPerMiB}
	if resources.CPUs == 0 && limits.CPUPeriod > 0 {
		resources.CPUs = float64(limits.CPUQuota) / float64(limits.CPUPeriod)
	}
	told := skuOf(variable(seen.Config.Env, boot.SKUVariable))
	resources.CPUs = cmp.Or(resources.CPUs, told.CPUs)
	resources.MemoryMiB = cmp.Or(resources.MemoryMiB, told.MemoryMiB)
	return resources
}

// skuOf reads "<n>CPU-<m>RAM"; what it cannot read is 0.
func skuOf(sku string) provision.Resources {
	var cpus, memory int64
	if _, err := fmt.Sscanf(sku, "%dCPU-%dRAM", &cpus, &memory); err != nil {
		return provision.Resources{}
	}
	return provision.Resources{CPUs: float64(cpus), MemoryMiB: memory}
}

// portsAsked are the mappings that the container has whenever it runs, sorted.
func portsAsked(bindings network.PortMap) []provision.Port {
	var ports []provision.Port
	for inside, outside := range bindings {
		for _, binding := range outside {
			ports = append(ports, provision.Port{
				HostIP: anyAddress(binding.HostIP), Host: numberOf(binding.HostPort), Node: inside.Num(), Protocol: string(inside.Proto()),
			})
		}
	}
	sortPorts(ports)
	return ports
}

// mountsSeen are the mounts that not every node has, sorted by where they are.
func mountsSeen(seen container.InspectResponse) []provision.Mount {
	everyNodes := append(boot.Volumes(), boot.Tmpfs()...)
	var mounts []provision.Mount
	for _, point := range seen.Mounts {
		if !slices.Contains(everyNodes, point.Destination) {
			mounts = append(mounts, mountOf(point))
		}
	}
	// The engine lists those of --tmpfs apart.
	for target := range seen.HostConfig.Tmpfs {
		if !slices.Contains(everyNodes, target) {
			mounts = append(mounts, provision.Mount{Type: provision.MountTmpfs, Target: target})
		}
	}
	slices.SortFunc(mounts, func(a, b provision.Mount) int { return strings.Compare(a.Target, b.Target) })
	return mounts
}

// mountOf gives a volume without a name no source: the engine made up the one that it shows, for this container alone.
func mountOf(point container.MountPoint) provision.Mount {
	mount := provision.Mount{Type: string(point.Type), Source: point.Source, Target: point.Destination, ReadOnly: !point.RW}
	if mount.Type != provision.MountVolume {
		return mount
	}
	mount.Source = point.Name
	if _, err := hex.DecodeString(point.Name); err == nil && len(point.Name) == anonymousName {
		mount.Source = ""
	}
	return mount
}

// machineConfigOf decodes USERDATA as a node does: YAML, plain or in standard base64. Plain YAML is no base64, as that
// has no colons.
func machineConfigOf(environment []string) []byte {
	text := variable(environment, boot.UserDataVariable)
	if document, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text)); err == nil {
		return document
	}
	return []byte(text)
}

// variable is the value of an environment variable; empty where there is none.
func variable(environment []string, name string) string {
	for _, entry := range environment {
		if value, is := strings.CutPrefix(entry, name+"="); is {
			return value
		}
	}
	return ""
}
