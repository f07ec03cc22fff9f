// Package kernel tells what the kernel says of the machine, as Talos's resources: processors, memory, load, mounts and
// parameters. A container shares its kernel with the host, so that much of this is the host's. It reads only; it may import
// machineapi/proc, which knows the kernel's text files.
package kernel

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/images/machined/internal/resources/publish"
)

// pause lies between two looks: what changes all the time is load, of which more than this would be load itself.
const pause = 30 * time.Second

// Options tell where to look.
type Options struct {
	State state.State
	// Root is the directory that holds proc and sys; empty means the root.
	Root string
	// Params answers the kernel parameters that the machine config sets, by their names in /proc/sys with dots; Changed
	// tells when it answers others. A node without a machine config has neither.
	Params  func() []string
	Changed publish.Signal
}

// Run publishes what the kernel says, as seldom as is useful, and blocks until ctx ends.
func Run(ctx context.Context, opts Options) error {
	if opts.Params == nil {
		opts.Params, opts.Changed = func() []string { return nil }, new(publish.Notice).Changed
	}

	ticker := time.NewTicker(pause)
	defer ticker.Stop()

	for {
		changed := opts.Changed()

		if err := look(opts).Write(ctx, opts.State); err != nil {
			return err
		}

		select {
		case <-ticker.C:
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// look makes the resources of this moment. What a kernel does not have is left out.
func look(opts Options) *publish.Set {
	read := func(path string) string {
		text, _ := os.ReadFile(filepath.Join(opts.Root, path))
		return string(text)
	}

	var set publish.Set
	set.Kind(&runtime.KernelParamStatus{}, &runtime.MountStatus{})
	set.Add(cpuLoad(read("/proc/stat")), memoryLoad(read("/proc/meminfo")), commandLine(read("/proc/cmdline")))
	set.Add(processors(read("/proc/cpuinfo"))...)
	set.Add(memoryModule(read("/proc/meminfo")), systemInformation(read))

	mounts := mountsOf(read("/proc/self/mountinfo"), append(boot.Volumes(), boot.Tmpfs()...))
	set.Add(mounts...)
	set.Add(volumes(mounts, opts.Root)...)

	for _, name := range append(ownParams(), opts.Params()...) {
		set.Add(param(name, opts.Root))
	}

	return &set
}

// ownParams are those that a node needs of its kernel, or that it covers so that the host's stay as they are.
func ownParams() []string {
	return []string{
		"net.ipv4.ip_forward", "vm.overcommit_memory", "vm.panic_on_oom", "kernel.panic", "kernel.panic_on_oops",
		"kernel.keys.root_maxkeys", "kernel.keys.root_maxbytes",
	}
}

func param(name, root string) resource.Resource {
	status := runtime.NewKernelParamStatus(runtime.NamespaceName, "proc.sys."+name)

	text, err := os.ReadFile(filepath.Join(root, "/proc/sys", paramPath(name)))
	status.TypedSpec().Current, status.TypedSpec().Unsupported = strings.TrimSpace(string(text)), err != nil

	return status
}

// paramPath is the parameter's file. A slash in a name stands for a dot in the file's, as sysctl has it; no name leads out
// of the directory.
func paramPath(name string) string {
	swapped := strings.NewReplacer(".", "/", "/", ".").Replace(name)

	return filepath.Clean("/" + swapped)
}

func commandLine(text string) resource.Resource {
	line := runtime.NewKernelCmdline()
	line.TypedSpec().Cmdline = strings.TrimSpace(text)

	return line
}
