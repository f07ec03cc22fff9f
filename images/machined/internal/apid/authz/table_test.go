package authz_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/talos/pkg/machinery/role"

	"github.com/bronze-os/bronze/images/machined/internal/apid/authz"
	"github.com/bronze-os/bronze/images/machined/internal/calls"
)

// The lists say what each role may do, as Talos v1.13 has it; everything else in the API is for admins.
func forReaders() []string {
	return append(forEtcdReaders(),
		"/machine.MachineService/CPUFreqStats", "/machine.MachineService/CPUInfo", "/machine.MachineService/Containers",
		"/machine.MachineService/DiskStats", "/machine.MachineService/DiskUsage", "/machine.MachineService/Dmesg",
		"/machine.MachineService/Events", "/machine.MachineService/Hostname", "/machine.MachineService/ImageList",
		"/machine.MachineService/List", "/machine.MachineService/LoadAvg", "/machine.MachineService/Logs",
		"/machine.MachineService/LogsContainers", "/machine.MachineService/Memory", "/machine.MachineService/Mounts",
		"/machine.MachineService/Netstat", "/machine.MachineService/NetworkDeviceStats", "/machine.MachineService/Processes",
		"/machine.MachineService/ServiceList", "/machine.MachineService/Stats", "/machine.MachineService/SystemStat",
		"/machine.MachineService/Version", "/machine.ImageService/List", "/machine.ImageService/Verify",
		"/cluster.ClusterService/HealthCheck", "/inspect.InspectService/ControllerRuntimeDependencies",
		"/storage.StorageService/Disks", "/time.TimeService/Time", "/time.TimeService/TimeCheck",
		"/cosi.resource.State/Get", "/cosi.resource.State/List", "/cosi.resource.State/Watch")
}

func forOperators() []string {
	return append(forReaders(),
		"/machine.MachineService/EtcdAlarmDisarm", "/machine.MachineService/EtcdDefragment",
		"/machine.MachineService/EtcdSnapshot", "/machine.MachineService/ImagePull", "/machine.MachineService/PacketCapture",
		"/machine.MachineService/Reboot", "/machine.MachineService/Restart", "/machine.MachineService/ServiceRestart",
		"/machine.MachineService/ServiceStart", "/machine.MachineService/ServiceStop", "/machine.MachineService/Shutdown",
		"/machine.ImageService/Pull")
}

func forEtcdReaders() []string {
	return []string{
		"/machine.MachineService/EtcdAlarmList", "/machine.MachineService/EtcdMemberList", "/machine.MachineService/EtcdStatus",
	}
}

func TestEachCallIsForItsRolesOnly(t *testing.T) {
	lists := map[role.Role][]string{
		role.Operator:      forOperators(),
		role.Reader:        forReaders(),
		role.EtcdBackup:    append(forEtcdReaders(), "/machine.MachineService/EtcdSnapshot"),
		role.ImageVerifier: {"/machine.ImageService/Verify"},
		role.MetaWriter:    {"/machine.MachineService/MetaWrite", "/machine.MachineService/MetaDelete"},
		role.Impersonator:  nil,
		"os:unheard-of":    nil,
	}

	for _, call := range calls.All() {
		t.Run(call.Method(), func(t *testing.T) {
			want := map[role.Role]bool{role.Admin: true}
			got := map[role.Role]bool{role.Admin: authz.Allow(call.Method(), role.MakeSet(role.Admin)) == nil}

			for one, list := range lists {
				want[one] = slices.Contains(list, call.Method())
				got[one] = authz.Allow(call.Method(), role.MakeSet(one)) == nil
			}

			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCallersWithoutRolesMayDoNothing(t *testing.T) {
	for _, call := range calls.All() {
		if authz.Allow(call.Method(), role.Zero) == nil {
			t.Errorf("nobody may call %s", call.Method())
		}
	}

	if authz.Allow("/some.Other/Method", role.MakeSet(role.Operator)) == nil {
		t.Error("an operator may call what the list does not know")
	}
}
