package machineapi

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/talos/pkg/machinery/api/common"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/api/storage"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/bronze-os/bronze/images/machined/internal/containers"
)

func TestDisksAreReadFromSys(t *testing.T) {
	directory := t.TempDir()

	for path, text := range map[string]string{
		"sda/size": "2048\n", "sda/queue/rotational": "1\n", "sda/device/model": "M \n", "sda/ro": "1\n",
		"nvme0n1/size": "4096\n", "loop0/size": "0\n",
	} {
		path = filepath.Join(directory, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}

		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	got, err := disksIn(directory)
	if err != nil {
		t.Fatal(err)
	}

	want := []*storage.Disk{
		{DeviceName: "/dev/nvme0n1", Size: 2 << 20, Type: storage.Disk_NVME},
		{DeviceName: "/dev/sda", Size: 1 << 20, Type: storage.Disk_HDD, Model: "M", Readonly: true},
	}
	if diff := cmp.Diff(want, got, protocmp.Transform(), protocmp.IgnoreFields(&storage.Disk{}, "bus_path")); diff != "" {
		t.Error(diff)
	}
}

func TestContainersHaveTheStatusOfTheirDriver(t *testing.T) {
	running := containers.Container{State: "RUNNING", Sandbox: true}
	stopped := containers.Container{State: "STOPPED"}

	for _, test := range []struct {
		one    containers.Container
		driver common.ContainerDriver
		want   string
	}{
		{running, common.ContainerDriver_CONTAINERD, "RUNNING"},
		{running, common.ContainerDriver_CRI, "SANDBOX_READY"},
		{containers.Container{State: "STOPPED", Sandbox: true}, common.ContainerDriver_CRI, "SANDBOX_NOTREADY"},
		{containers.Container{State: "RUNNING"}, common.ContainerDriver_CRI, "CONTAINER_RUNNING"},
		{stopped, common.ContainerDriver_CRI, "CONTAINER_EXITED"},
		{stopped, common.ContainerDriver_CONTAINERD, "STOPPED"},
	} {
		if got := containerStatus(test.one, test.driver); got != test.want {
			t.Errorf("%+v of %s is %s", test.one, test.driver, got)
		}
	}
}

func TestImagesMayBeNamedShort(t *testing.T) {
	for short, want := range map[string]string{
		"alpine":                 "docker.io/library/alpine:latest",
		"me/it:v1":               "docker.io/me/it:v1",
		"registry.test:5000/a/b": "registry.test:5000/a/b:latest",
		"ghcr.io/a/b:v1":         "ghcr.io/a/b:v1",
		"":                       "", "Has Spaces": "", "UPPER": "", "a@sha256:1": "",
	} {
		got, err := wholeReference(short)
		if got != want || (want == "") != (status.Code(err) == codes.InvalidArgument) {
			t.Errorf("%q is %q (%v)", short, got, err)
		}
	}
}

func TestWhatCarriesTheNodeCannotBeStopped(t *testing.T) {
	for id, want := range map[string]codes.Code{
		"machined": codes.FailedPrecondition, "apid": codes.FailedPrecondition, "kubelet": codes.OK, "etcd": codes.OK,
	} {
		if got := status.Code(mayStop(id)); got != want {
			t.Errorf("%s: %s", id, got)
		}
	}
}

func TestThresholdsLeaveOutWhatIsOnTheirOtherSide(t *testing.T) {
	for _, test := range []struct {
		size, threshold int64
		want            bool
	}{{5, 0, true}, {5, 5, true}, {5, 6, false}, {5, -5, true}, {5, -4, false}} {
		if got := reaches(test.size, test.threshold); got != test.want {
			t.Errorf("%d at %d: %t", test.size, test.threshold, got)
		}
	}
}

func TestRebootModesAreKnown(t *testing.T) {
	if _, err := (&server{}).Reboot(t.Context(), &machine.RebootRequest{Mode: 9}); status.Code(err) != codes.InvalidArgument {
		t.Error(err)
	}
}
