package main

import (
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/bronze-os/bronze/images/node"
	"github.com/bronze-os/bronze/provision"
)

// requestFlags are the flags that say what cluster is wanted.
type requestFlags struct {
	controlPlanes int
	allowEven     bool
	workers       int
	both          sizeFlags
	controlPlane  sizeFlags
	worker        sizeFlags
	subnet        string
	image         string
	patches       []string
	patchesCP     []string
	patchesWorker []string
	ports         []string
	mounts        []string
}

// sizeFlags size the nodes of a role.
type sizeFlags struct {
	cpus   float64
	memory mebibytes
}

func (f *requestFlags) add(flags *pflag.FlagSet) {
	defaults := provision.DefaultRequest()
	flags.IntVar(&f.controlPlanes, "controlplanes", defaults.ControlPlanes, "number of control planes, odd")
	flags.BoolVar(&f.allowEven, "allow-even", false, "allow an even number of control planes, which survives no more than one fewer")
	flags.IntVar(&f.workers, "workers", defaults.Workers, "number of workers; with 0 the control plane takes workloads")
	f.both = sizeFlags{cpus: defaults.Worker.CPUs, memory: mebibytes(defaults.Worker.MemoryMiB)}
	f.both.add(flags, "", "every node")
	f.controlPlane.add(flags, "-controlplanes", "each control plane")
	f.worker.add(flags, "-workers", "each worker")
	flags.StringVar(&f.subnet, "subnet", "", "IPv4 subnet of the nodes (default 10.5.0.0/24, or the next that is free)")
	flags.StringVar(&f.image, "image", "", "node image in the engine (default the one of this version)")
	f.addPatches(flags)
	flags.StringSliceVarP(&f.ports, "exposed-ports", "p", nil,
		"map ports of the first control plane to the host: [ip:]host:node[/tcp|/udp] (repeatable)")
	flags.StringArrayVar(&f.mounts, "mount", nil,
		"mount into every node: type=bind,source=/a,target=/b[,readonly] (repeatable)")
}

func (s *sizeFlags) add(flags *pflag.FlagSet, suffix, who string) {
	flags.Float64Var(&s.cpus, "cpus"+suffix, s.cpus, "share of processors for "+who)
	flags.Var(&s.memory, "memory"+suffix, "memory for "+who+": 2048 (MiB), 2GiB or 2g")
}

// addPatches adds the flags for patches of the machine config.
func (f *requestFlags) addPatches(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.patches, "config-patch", nil,
		"change the machine config of every node: @file or the patch itself, strategic merge or JSON patch (repeatable)")
	flags.StringArrayVar(&f.patchesCP, "config-patch-control-plane", nil, "the same for control planes (repeatable)")
	flags.StringArrayVar(&f.patchesWorker, "config-patch-worker", nil, "the same for workers (repeatable)")
}

// request is what the flags ask for. Whether that can be is for provision to say.
func (f *requestFlags) request(flags *pflag.FlagSet, name string) (provision.Request, error) {
	request := provision.DefaultRequest()
	request.Name, request.Workers = name, f.workers
	request.ControlPlanes, request.AllowEven = f.controlPlanes, f.allowEven
	request.ControlPlane = f.size(flags, f.controlPlane, "-controlplanes")
	request.Worker = f.size(flags, f.worker, "-workers")
	for _, read := range []func(*provision.Request) error{f.readImage, f.readSubnet, f.readPorts, f.readMounts, f.readPatches} {
		if err := read(&request); err != nil {
			return provision.Request{}, err
		}
	}
	return request, nil
}

// size is the role's own where it was said, else that of both roles.
func (f *requestFlags) size(flags *pflag.FlagSet, own sizeFlags, suffix string) provision.Resources {
	size := provision.Resources{CPUs: f.both.cpus, MemoryMiB: int64(f.both.memory)}
	if flags.Changed("cpus" + suffix) {
		size.CPUs = own.cpus
	}
	if flags.Changed("memory" + suffix) {
		size.MemoryMiB = int64(own.memory)
	}
	return size
}

func (f *requestFlags) readImage(request *provision.Request) error {
	manifest, err := node.Load()
	if err != nil {
		return err
	}
	request.KubernetesVersion, request.Image = manifest.Kubernetes, f.image
	if f.image == "" {
		request.Image = manifest.Reference()
	}
	return nil
}

func (f *requestFlags) readSubnet(request *provision.Request) error {
	if f.subnet == "" {
		return nil
	}
	subnet, err := netip.ParsePrefix(f.subnet)
	if err != nil {
		return provision.WithHint(fmt.Errorf("cannot read subnet %q", f.subnet), "write it as 10.5.0.0/24")
	}
	request.Subnet = subnet
	return nil
}

func (f *requestFlags) readPorts(request *provision.Request) error {
	for _, text := range f.ports {
		port, err := provision.ParsePort(text)
		if err != nil {
			return err
		}
		request.Ports = append(request.Ports, port)
	}
	return nil
}

func (f *requestFlags) readMounts(request *provision.Request) error {
	for _, text := range f.mounts {
		mount, err := provision.ParseMount(text)
		if err != nil {
			return err
		}
		request.Mounts = append(request.Mounts, mount)
	}
	return nil
}

func (f *requestFlags) readPatches(request *provision.Request) error {
	for _, group := range []struct {
		role   provision.Role
		values []string
	}{{"", f.patches}, {provision.ControlPlane, f.patchesCP}, {provision.Worker, f.patchesWorker}} {
		for _, value := range group.values {
			body, err := readPatch(value)
			if err != nil {
				return err
			}
			request.Patches = append(request.Patches, provision.Patch{Role: group.role, Body: body})
		}
	}
	return nil
}

// readPatch reads the file that @ names, or takes the value as the patch.
func readPatch(value string) (string, error) {
	path, isFile := strings.CutPrefix(value, "@")
	if !isFile {
		return value, nil
	}
	body, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("cannot read config patch: %w", err)
	}
	return string(body), nil
}
