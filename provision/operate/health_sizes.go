package operate

import (
	"context"
	"fmt"
	"slices"
)

const (
	mebibyte = 1 << 20
	// leastControlPlane and leastWorker are the memory that Talos asks for, 2 GiB and 1 GiB, less what firmware and
	// kernel keep for themselves.
	leastControlPlane = (2048 - 150) * mebibyte
	leastWorker       = (1024 - 150) * mebibyte
	// leastDisk is what is left for data on the smallest disk that Talos installs to.
	leastDisk = (6144 - 1400) * mebibyte
)

// machines are the nodes that are no containers: those have the host's memory and disk, within limits that their kernel
// does not tell them.
func (h healthCheck) machines(ctx context.Context) (*Fleet, error) {
	versions, err := h.all.Versions(ctx)
	var names []string
	for _, version := range versions {
		if version.Message.GetPlatform().GetMode() != "container" {
			names = append(names, version.Node)
		}
	}
	return h.all.of(names), err
}

// memory checks every node that is a machine of its own.
func (h healthCheck) memory(ctx context.Context) (string, error) {
	machines, err := h.machines(ctx)
	if err != nil {
		return "", err
	}
	answers, err := machines.Memory(ctx)
	for _, answer := range answers {
		least := uint64(leastWorker)
		if slices.Contains(h.controlPlanes.Nodes(), answer.Node) {
			least = leastControlPlane
		}
		if why := whyTooSmall("memory", answer.Message.GetMeminfo().GetMemtotal()<<10, least); why != "" {
			return fmt.Sprintf("node %s: %s", answer.Node, why), nil
		}
	}
	return "", err
}

// disks checks every node that is a machine of its own.
func (h healthCheck) disks(ctx context.Context) (string, error) {
	machines, err := h.machines(ctx)
	if err != nil {
		return "", err
	}
	why := ""
	err = machines.Resources(ctx, ResourceQuery{Type: "VolumeStatuses.block.talos.dev", ID: "EPHEMERAL"}, func(r Resource) error {
		var spec struct {
			Size uint64 `yaml:"size"`
		}
		if err := r.decode(&spec); err != nil {
			return err
		}
		if small := whyTooSmall("disk", spec.Size, leastDisk); small != "" && why == "" {
			why = fmt.Sprintf("node %s: %s", r.Node, small)
		}
		return nil
	})
	return why, err
}

// whyTooSmall compares sizes in bytes.
func whyTooSmall(what string, has, least uint64) string {
	if has >= least {
		return ""
	}
	return fmt.Sprintf("its %s of %d MiB is less than %d MiB", what, has/mebibyte, least/mebibyte)
}
