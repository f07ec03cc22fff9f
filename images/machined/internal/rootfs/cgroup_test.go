package rootfs

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestV1MountsFollowTheProcessesHierarchies(t *testing.T) {
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC

	groups := "12:cpu,cpuacct:/docker/abc\n3:name=systemd:/\n0::/\n\nnonsense\n"

	want := []Step{
		Dir{"/sys/fs/cgroup/cpu,cpuacct", 0o755},
		Mount{Source: "cgroup", Target: "/sys/fs/cgroup/cpu,cpuacct", Type: "cgroup", Flags: flags, Data: "cpu,cpuacct"},
		Symlink{"/sys/fs/cgroup/cpu", "cpu,cpuacct"},
		Symlink{"/sys/fs/cgroup/cpuacct", "cpu,cpuacct"},
		Dir{"/sys/fs/cgroup/systemd", 0o755},
		Mount{Source: "cgroup", Target: "/sys/fs/cgroup/systemd", Type: "cgroup", Flags: flags, Data: "name=systemd"},
		Dir{"/sys/fs/cgroup/unified", 0o755},
		Mount{Source: "cgroup2", Target: "/sys/fs/cgroup/unified", Type: "cgroup2", Flags: flags, Optional: true},
	}

	if diff := cmp.Diff(want, v1Mounts(groups)); diff != "" {
		t.Error(diff)
	}
}
