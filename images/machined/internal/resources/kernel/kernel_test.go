package kernel

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/cosi-project/runtime/pkg/state/impl/inmem"
	"github.com/cosi-project/runtime/pkg/state/impl/namespaced"
	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/talos/pkg/machinery/resources/hardware"
	"github.com/siderolabs/talos/pkg/machinery/resources/perf"
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"

	"github.com/bronze-os/bronze/images/machined/internal/resources/publish"
)

func TestProcessorsAreCountedBySocket(t *testing.T) {
	tests := []struct {
		name, text string
		want       []hardware.ProcessorSpec
	}{
		{"two threads of two cores in one socket", `processor	: 0
vendor_id	: GenuineIntel
model name	: Xeon
physical id	: 0
cpu cores	: 2

processor	: 1
vendor_id	: GenuineIntel
model name	: Xeon
physical id	: 0
cpu cores	: 2
`, []hardware.ProcessorSpec{{Socket: "CPU-0", Manufacturer: "GenuineIntel", ProductName: "Xeon", CoreCount: 2, CoreEnabled: 2, ThreadCount: 2}}},
		{"two sockets", "processor: 0\nphysical id: 0\ncpu cores: 1\n\nprocessor: 1\nphysical id: 1\ncpu cores: 1\n", []hardware.ProcessorSpec{
			{Socket: "CPU-0", CoreCount: 1, CoreEnabled: 1, ThreadCount: 1}, {Socket: "CPU-1", CoreCount: 1, CoreEnabled: 1, ThreadCount: 1},
		}},
		{"a processor that tells little", "processor\t: 0\nBogoMIPS: 48\n\nprocessor\t: 1\nBogoMIPS: 48\n\nHardware: thing\n", []hardware.ProcessorSpec{
			{Socket: "CPU-0", CoreCount: 2, CoreEnabled: 2, ThreadCount: 2},
		}},
		{"nothing", "", nil},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got []hardware.ProcessorSpec
			for _, r := range processors(test.text) {
				got = append(got, *r.(*hardware.Processor).TypedSpec())
			}

			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMemoryIsReadByTheKernelsNames(t *testing.T) {
	got := *memoryLoad(meminfo).(*perf.Memory).TypedSpec()
	want := perf.MemorySpec{
		MemTotal: 4096000, MemUsed: 3072000, MemAvailable: 2048000, ActiveAnon: 7, CommittedAS: 8, HugePagesTotal: 2, Hugepagesize: 2048,
		DirectMap4k: 9, NFSunstable: 3,
	}

	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	if got := memoryModule(meminfo).(*hardware.MemoryModule).TypedSpec().Size; got != 4000 {
		t.Errorf("the size is %d MiB", got)
	}
}

const meminfo = `MemTotal:        4096000 kB
MemFree:         1024000 kB
MemAvailable:    2048000 kB
Active(anon):          7 kB
Committed_AS:          8 kB
NFS_Unstable:          3 kB
HugePages_Total:       2
Hugepagesize:       2048 kB
DirectMap4k:           9 kB
SomethingNew:          1 kB
`

func TestOnlyTheNodesOwnMountsAreTold(t *testing.T) {
	text := `30 27 0:21 / /proc rw,relatime - proc proc rw
31 27 254:1 /volumes/a /var rw,relatime shared:1 - ext4 /dev/vda1 rw
32 27 254:1 /volumes/b /system/state ro,nosuid shared:2 master:1 - ext4 /dev/vda1 rw
33 31 0:40 / /var/lib/kubelet/pods/x/volumes/token rw - tmpfs tmpfs rw
34 27 0:41 / /run rw,nosuid - tmpfs tmpfs rw,size=1k
broken line
`

	got := map[string]runtime.MountStatusSpec{}
	for _, r := range mountsOf(text, []string{"/var", "/system/state", "/run", "/opt"}) {
		got[r.Metadata().ID()] = *r.(*runtime.MountStatus).TypedSpec()
	}

	want := map[string]runtime.MountStatusSpec{
		"EPHEMERAL": {Source: "/dev/vda1", Target: "/var", FilesystemType: "ext4", Options: []string{"rw", "relatime"}},
		"STATE":     {Source: "/dev/vda1", Target: "/system/state", FilesystemType: "ext4", Options: []string{"ro", "nosuid"}},
		"/run":      {Source: "tmpfs", Target: "/run", FilesystemType: "tmpfs", Options: []string{"rw", "nosuid"}},
	}

	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParametersNeverLeaveTheirDirectory(t *testing.T) {
	for name, want := range map[string]string{
		"net.ipv4.ip_forward":           "/net/ipv4/ip_forward",
		"net.ipv4.conf.eth0/100.arp":    "/net/ipv4/conf/eth0.100/arp",
		"//.//.etc.passwd":              "/etc/passwd",
		".........................etc":  "/etc",
		"//.//.//.//.proc.self.environ": "/proc/self/environ",
	} {
		if got := paramPath(name); got != want {
			t.Errorf("%q is read at %q, want %q", name, got, want)
		}
	}
}

func TestTheKernelIsLookedAtAgainFromTimeToTime(t *testing.T) {
	root := t.TempDir()
	file(t, root, "proc/sys/net/ipv4/ip_forward", "1\n")
	file(t, root, "proc/stat", "cpu  100 0 0 0 0 0 0 0 0 0\nctxt 5\n")

	synctest.Test(t, func(t *testing.T) {
		st := state.WrapCore(namespaced.NewState(inmem.Build))
		ctx, cancel := context.WithCancel(t.Context())
		params := []string{"net.core.somaxconn"}

		var changed publish.Notice

		done := make(chan error, 1)
		go func() {
			done <- Run(ctx, Options{State: st, Root: root, Params: func() []string { return params }, Changed: changed.Changed})
		}()

		synctest.Wait()
		check(t, st, "proc.sys.net.ipv4.ip_forward", "1")
		check(t, st, "proc.sys.net.core.somaxconn", "unsupported")

		file(t, root, "proc/sys/net/ipv4/ip_forward", "0\n")
		file(t, root, "proc/sys/net/core/somaxconn", "512\n")
		time.Sleep(pause + time.Second)
		synctest.Wait()
		check(t, st, "proc.sys.net.ipv4.ip_forward", "0")
		check(t, st, "proc.sys.net.core.somaxconn", "512")

		params = nil
		changed.Notify()
		synctest.Wait()

		if _, err := st.Get(ctx, runtime.NewKernelParamStatus(runtime.NamespaceName, "proc.sys.net.core.somaxconn").Metadata()); !state.IsNotFoundError(err) {
			t.Errorf("a parameter that the config no longer sets is still told: %v", err)
		}

		load, err := st.Get(ctx, perf.NewCPU().Metadata())
		if err != nil {
			t.Fatal(err)
		}

		if got := load.Metadata().Version().String(); got != "1" || load.(*perf.CPU).TypedSpec().CPUTotal.User != 1 {
			t.Errorf("the same load has version %s: %+v", got, load.Spec())
		}

		cancel()

		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func check(t *testing.T, st state.State, id resource.ID, want string) {
	t.Helper()

	status, err := safe.StateGetByID[*runtime.KernelParamStatus](t.Context(), st, id)
	if err != nil {
		t.Fatal(err)
	}

	got := status.TypedSpec().Current
	if status.TypedSpec().Unsupported {
		got = "unsupported"
	}

	if got != want {
		t.Errorf("%s is %q, want %q", id, got, want)
	}
}

func file(t *testing.T, root, path, content string) {
	t.Helper()

	full := filepath.Join(root, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		t.Fatal(err)
	}

	if err := os.WriteFile(full, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
