package kernel

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/siderolabs/talos/pkg/machinery/constants"
	"github.com/siderolabs/talos/pkg/machinery/resources/block"
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"
	"golang.org/x/sys/unix"

	"github.com/bronze-os/bronze/images/boot"
)

// mountsOf reads /proc/self/mountinfo and answers the node's own mounts, which are those at targets. What pods mount comes
// and goes with them.
func mountsOf(text string, targets []string) []resource.Resource {
	found := map[string]*runtime.MountStatus{}

	for line := range strings.Lines(text) {
		// ID, parent, device, root, target, options, optional fields, a dash, type, source, options of the file system.
		own, system, ok := strings.Cut(line, " - ")
		before, after := strings.Fields(own), strings.Fields(system)

		if !ok || len(before) < 6 || len(after) < 2 || !slices.Contains(targets, before[4]) {
			continue
		}

		status := runtime.NewMountStatus(runtime.NamespaceName, volumeID(before[4]))
		*status.TypedSpec() = runtime.MountStatusSpec{
			Source: after[1], Target: before[4], FilesystemType: after[0], Options: strings.Split(before[5], ","),
		}
		// The last mount over a directory is the one that is seen.
		found[before[4]] = status
	}

	var all []resource.Resource

	for _, target := range targets {
		if status, ok := found[target]; ok {
			all = append(all, status)
		}
	}

	return all
}

// volumeID names a mount as Talos does, which has labels of partitions for two of them.
func volumeID(target string) resource.ID {
	switch target {
	case boot.EphemeralPath:
		return constants.EphemeralPartitionLabel
	case boot.StatePath:
		return constants.StatePartitionLabel
	default:
		return target
	}
}

// volumes are the directories that the engine keeps for the node, with the size in bytes of the file system that each is on.
func volumes(mounts []resource.Resource, root string) []resource.Resource {
	var all []resource.Resource

	for _, mount := range mounts {
		target := mount.(*runtime.MountStatus).TypedSpec().Target
		if !slices.Contains(boot.Volumes(), target) {
			continue
		}

		status := block.NewVolumeStatus(block.NamespaceName, mount.Metadata().ID())
		status.TypedSpec().Phase, status.TypedSpec().Type = block.VolumePhaseReady, block.VolumeTypeDirectory
		status.TypedSpec().MountSpec.TargetPath = target

		var size unix.Statfs_t
		if unix.Statfs(filepath.Join(root, target), &size) == nil {
			status.TypedSpec().SetSize(size.Blocks * uint64(size.Bsize))
		}

		all = append(all, status)
	}

	return all
}
