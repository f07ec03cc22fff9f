package sysctl_test

import (
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bronze-os/bronze/images/machined/internal/sysctl"
	"github.com/bronze-os/bronze/test/need"
)

// inNamespaces runs the test on a thread with a network and a mount namespace of its own, which end with the thread.
func inNamespaces(t *testing.T, test func()) {
	t.Helper()

	if os.Geteuid() != 0 {
		need.Missing(t, "making namespaces needs root")
	}

	done := make(chan struct{})

	go func() {
		defer close(done)

		// Never unlocked: the thread must not serve other goroutines afterwards.
		runtime.LockOSThread()

		for _, err := range []error{
			unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_NEWNET),
			unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""),
			// The record lies below /run, which is the host's here.
			unix.Mount("tmpfs", "/run", "tmpfs", 0, ""),
			// What /proc/sys/net shows is of whoever looks, but it may be mounted read-only.
			unix.Mount("proc", "/proc", "proc", 0, ""),
		} {
			if err != nil {
				t.Error(err)
				return
			}
		}

		test()
	}()

	<-done
}

func read(t *testing.T, path string) string {
	t.Helper()

	text, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
	}

	return strings.TrimSpace(string(text))
}

func TestParametersAreSetAndGivenBack(t *testing.T) {
	const timeout, limit, host = "/proc/sys/net/ipv4/tcp_fin_timeout", "/proc/sys/net/ipv4/ip_default_ttl", "/proc/sys/vm/max_map_count"

	inNamespaces(t, func() {
		before, ends, hosts := read(t, limit), read(t, timeout), read(t, host)

		for _, tc := range []struct {
			name                 string
			settings             sysctl.Settings
			wantTimeout, wantTTL string
			wrong                string
		}{
			{"two", sysctl.Settings{"net.ipv4.tcp_fin_timeout": "33", "net/ipv4/ip_default_ttl": "77"}, "33", "77", ""},
			{"one gone", sysctl.Settings{"net.ipv4.tcp_fin_timeout": "33"}, "33", before, ""},
			{"the host's is left alone", sysctl.Settings{"net.ipv4.tcp_fin_timeout": "33", "vm.max_map_count": "65531"}, "33", before, ""},
			{"one that is not there keeps none from being set", sysctl.Settings{"net.none": "1", "net.ipv4.ip_default_ttl": "78"}, ends, "78", "net.none"},
			{"none", nil, ends, before, ""},
		} {
			err := tc.settings.Do()
			if (err == nil) != (tc.wrong == "") || err != nil && !strings.Contains(err.Error(), tc.wrong) {
				t.Errorf("%s: Do = %v", tc.name, err)
			}

			if got := read(t, timeout); got != tc.wantTimeout {
				t.Errorf("%s: tcp_fin_timeout is %s", tc.name, got)
			}

			if got := read(t, limit); got != tc.wantTTL {
				t.Errorf("%s: ip_default_ttl is %s", tc.name, got)
			}

			if got := read(t, host); got != hosts {
				t.Errorf("%s: the host's max_map_count is %s", tc.name, got)
			}
		}
	})
}
