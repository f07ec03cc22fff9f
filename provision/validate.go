package provision

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/bronze-os/bronze/images/boot"
)

const (
	// maxLabel is the longest DNS-1123 label; a node's name is its hostname.
	maxLabel = 63
	// maxSocketPath is what fits into sun_path on Linux with its final zero byte.
	maxSocketPath = 107
	// minControlPlaneMiB leaves room over the 0.8 GB that a control plane was seen to peak at.
	minControlPlaneMiB = 1024
	minWorkerMiB       = 512
	minCPUs            = 0.1
	// minMTU is what IPv4 hosts must accept.
	minMTU = 576
)

// fault is an error of the request with its cure.
func fault(hint, format string, args ...any) error {
	return WithHint(fmt.Errorf(format, args...), hint)
}

func checkRequest(request Request, site Site) error {
	return errors.Join(
		CheckName(request.Name),
		checkNodeNames(request, site.SocketDir),
		checkCounts(request),
		checkSource(request),
		checkResources(ControlPlane, "-controlplanes", request.ControlPlane),
		checkResources(Worker, "-workers", request.Worker),
		checkPorts(request.Ports),
		checkMounts(request.Mounts),
		checkPatches(request.Patches),
	)
}

// CheckName tells whether a cluster can have that name. It also keeps names from leaving the state directory.
func CheckName(name string) error {
	if regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`).MatchString(name) {
		return nil
	}
	return fault("use lower case letters, digits and inner hyphens, such as dev-1", "cannot name a cluster %q", name)
}

// checkNodeNames measures the longest name, which is the last control plane's, or the last worker's where those are
// far more.
func checkNodeNames(request Request, socketDir string) error {
	longest := NodeName(request.Name, ControlPlane, request.ControlPlanes)
	if worker := NodeName(request.Name, Worker, request.Workers); len(worker) > len(longest) {
		longest = worker
	}
	if over := len(longest) - maxLabel; over > 0 {
		return fault(fmt.Sprintf("shorten the cluster's name by %d", over),
			"cannot name a node %q: a hostname has at most %d characters", longest, maxLabel)
	}
	socket := filepath.Join(socketDir, longest+".sock")
	if socketDir != "" && len(socket) > maxSocketPath {
		return fault("choose a shorter --state-dir or cluster name",
			"cannot listen on %q: a socket's path has at most %d bytes", socket, maxSocketPath)
	}
	return nil
}

func checkCounts(request Request) error {
	var errs []error
	if request.ControlPlanes < 1 {
		errs = append(errs, fault("ask for 1, 3 or 5 control planes", "cannot make %d control planes", request.ControlPlanes))
	} else if request.ControlPlanes%2 == 0 && !request.AllowEven {
		errs = append(errs, EvenFault(request.ControlPlanes))
	}
	if request.Workers < 0 {
		errs = append(errs, fault("ask for 0 or more workers", "cannot make %d workers", request.Workers))
	}
	return errors.Join(errs...)
}

// EvenFault refuses an even number of control planes, with the arithmetic of etcd's quorum: so many members tolerate no
// more than one fewer do.
func EvenFault(members int) error {
	return fault(fmt.Sprintf("ask for %d or %d control planes, or insist with --allow-even", members-1, members+1),
		"cannot make %d control planes: with %d etcd members the quorum is %d and the loss of %d is survived, no more than with %d",
		members, members, quorum(members), members-quorum(members), members-1)
}

// quorum is how many members of an etcd must agree.
func quorum(members int) int {
	return members/2 + 1
}

func checkSource(request Request) error {
	var errs []error
	if request.Provider == "" {
		errs = append(errs, fault("--provider docker", "cannot tell which provider to use"))
	}
	if request.Image == "" {
		errs = append(errs, fault("name a node image with --image", "cannot tell which node image to use"))
	}
	if !strings.HasPrefix(request.KubernetesVersion, "v") {
		errs = append(errs, fault("write it with a leading v, such as v1.37.2",
			"cannot use Kubernetes version %q", request.KubernetesVersion))
	}
	if request.MTU < minMTU || request.MTU > 65535 {
		errs = append(errs, fault("use 1500 unless the network below needs another",
			"cannot use an MTU of %d bytes", request.MTU))
	}
	return errors.Join(errs...)
}

// CheckSize tells whether a node of a role can do with a size. What is 0 is not said, and not checked.
func CheckSize(role Role, size Resources) error {
	asked := Resources{CPUs: cmp.Or(size.CPUs, DefaultCPUs), MemoryMiB: cmp.Or(size.MemoryMiB, DefaultMemoryMiB)}
	return checkResources(role, "", asked)
}

// checkResources names the flags by their suffix.
func checkResources(role Role, suffix string, size Resources) error {
	floorMiB := int64(minWorkerMiB)
	if role == ControlPlane {
		floorMiB = minControlPlaneMiB
	}
	var errs []error
	if size.CPUs < minCPUs {
		errs = append(errs, fault("--cpus"+suffix+" 2", "cannot run a %s on %g CPUs", role, size.CPUs))
	}
	if size.MemoryMiB < floorMiB {
		errs = append(errs, fault(fmt.Sprintf("--memory%s %dMiB", suffix, DefaultMemoryMiB),
			"cannot run a %s in %d MiB of memory: it needs at least %d MiB", role, size.MemoryMiB, floorMiB))
	}
	return errors.Join(errs...)
}

func checkPorts(ports []Port) error {
	var errs []error
	seen := map[Port]bool{}
	for _, port := range ports {
		if port.Node == 0 || !port.HostIP.IsValid() || (port.Protocol != "tcp" && port.Protocol != "udp") {
			errs = append(errs, fault("expose it as host:node/tcp, such as 8080:80/tcp", "cannot expose port %+v", port))
			continue
		}
		socket := Port{HostIP: port.HostIP, Host: port.Host, Protocol: port.Protocol}
		if port.Host != 0 && seen[socket] {
			errs = append(errs, fault("give each its own port of the host",
				"cannot expose two ports on %s/%s", netip.AddrPortFrom(port.HostIP, port.Host), port.Protocol))
		}
		seen[socket] = true
	}
	return errors.Join(errs...)
}

func checkMounts(mounts []Mount) error {
	var errs []error
	seen := map[string]bool{}
	for _, mount := range mounts {
		errs = append(errs, checkMountSource(mount), checkMountTarget(mount.Target))
		if seen[mount.Target] {
			errs = append(errs, fault("give each mount its own target", "cannot mount twice on %q", mount.Target))
		}
		seen[mount.Target] = true
	}
	return errors.Join(errs...)
}

func checkMountSource(mount Mount) error {
	switch {
	case mount.Type == MountBind && !path.IsAbs(filepath.ToSlash(mount.Source)) && filepath.VolumeName(mount.Source) == "":
		return fault("write the source as an absolute path", "cannot bind %q", mount.Source)
	case mount.Type == MountTmpfs && mount.Source != "":
		return fault("leave the source out", "cannot give a tmpfs the source %q", mount.Source)
	case mount.Type == MountVolume && !regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]+$`).MatchString(mount.Source):
		return fault("use letters, digits, dots and hyphens", "cannot name a volume %q", mount.Source)
	case mount.Type != MountBind && mount.Type != MountTmpfs && mount.Type != MountVolume:
		return fault("use type=bind, type=volume or type=tmpfs", "cannot mount type %q", mount.Type)
	}
	return nil
}

// checkMountTarget refuses what would hide a part of the node from itself. Below the node's volumes all is free.
func checkMountTarget(target string) error {
	if !path.IsAbs(target) || target != path.Clean(target) {
		return fault("write the target as an absolute path without . or ..", "cannot mount on %q", target)
	}
	for _, own := range nodePaths() {
		if within(own, target) {
			return fault("mount beside or below it, such as /var/mnt/data", "cannot mount on %q: it would hide %s of the node", target, own)
		}
	}
	for _, kernel := range []string{"/proc", "/sys"} {
		if within(target, kernel) {
			return fault("mount elsewhere, such as /var/mnt/data", "cannot mount on %q: the kernel has it", target)
		}
	}
	return nil
}

// nodePaths are what no mount may hide, by covering it or a directory above it.
func nodePaths() []string {
	paths := []string{
		"/proc", "/sys", "/dev", "/bin", "/lib", "/lib64", "/usr/bin", "/usr/sbin", "/usr/lib",
		"/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/passwd", "/etc/nsswitch.conf",
		boot.InitPath, boot.ImageArchivePath, boot.MachineConfigPath,
	}
	paths = append(paths, boot.Tmpfs()...)
	return append(paths, boot.Volumes()...)
}

// within tells whether path is dir or below it.
func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

func checkPatches(patches []Patch) error {
	var errs []error
	for i, patch := range patches {
		if strings.TrimSpace(patch.Body) == "" {
			errs = append(errs, fault("give it as @file or inline YAML", "cannot use config patch %d: it is empty", i+1))
		}
	}
	return errors.Join(errs...)
}
