package rootfs

import "golang.org/x/sys/unix"

// Container is the boot table of a container node. What Docker gives is a read-only root, tmpfs on /run, /system and
// /tmp, volumes for what lasts, and a /sys that is read-only on restricted hosts.
func Container() []Step {
	steps := []Step{
		// Pods with mount propagation (CSI drivers, for one) need the root to be shared.
		Mount{Target: "/", Flags: unix.MS_SHARED | unix.MS_REC},
		Mount{Target: "/sys", Flags: unix.MS_REMOUNT | unix.MS_BIND | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, Optional: true},
		Mount{Target: "/proc/sys", Flags: unix.MS_REMOUNT | unix.MS_BIND, Optional: true},
		// The kubelet reads kernel messages to see the OOM killer at work.
		CharDevice{Path: "/dev/kmsg", Major: 1, Minor: 11, Mode: 0o600},
		Dir{"/run/machined", 0o755},
		Dir{"/run/lock", 0o755},
		Dir{"/var/lib", 0o755},
		Dir{"/var/log/pods", 0o755},
		Dir{"/var/log/containers", 0o755},
		Dir{"/system/secrets", 0o700},
		Dir{"/system/etc", 0o755},
		Dir{"/etc/kubernetes/manifests", 0o755},
		Dir{"/etc/cni/net.d", 0o755},
	}

	// /var/run is where Kubernetes and its add-ons look for sockets.
	steps = append(steps, Symlink{"/var/run", "/run"}, Symlink{"/var/lock", "/run/lock"})

	return append(steps, hostSysctlCovers()...)
}

// hostSysctlCovers hides the sysctls that belong to the whole host and that the kubelet sets to these values
// (k8s.io/component-helpers/node/util/sysctl). It finds them set and leaves the host's as they are.
func hostSysctlCovers() []Step {
	return []Step{
		Cover{"/proc/sys/vm/overcommit_memory", "1\n"},
		Cover{"/proc/sys/vm/panic_on_oom", "0\n"},
		Cover{"/proc/sys/kernel/panic", "10\n"},
		Cover{"/proc/sys/kernel/panic_on_oops", "1\n"},
		Cover{"/proc/sys/kernel/keys/root_maxkeys", "1000000\n"},
		Cover{"/proc/sys/kernel/keys/root_maxbytes", "25000000\n"},
	}
}
