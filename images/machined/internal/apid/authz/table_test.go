package authz_test

import (
	"slices"
	"testing"

	"github.com/cosi-project/runtime/api/v1alpha1"
	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/role"

	"github.com/bronze-os/bronze/images/machined/internal/apid/authz"
)

// forOperators and forReaders list what each role may do; everything else in the API is for admins.
func forOperators() []string {
	return []string{
		"EtcdAlarmDisarm", "EtcdDefragment", "EtcdSnapshot", "ImagePull", "PacketCapture", "Reboot", "Restart", "Rollback",
		"ServiceRestart", "ServiceStart", "ServiceStop", "Shutdown",
	}
}

func forReaders() []string {
	return []string{
		"CPUFreqStats", "CPUInfo", "Containers", "DiskStats", "DiskUsage", "Dmesg", "EtcdAlarmList", "EtcdMemberList",
		"EtcdStatus", "Events", "Hostname", "ImageList", "List", "LoadAvg", "Logs", "LogsContainers", "Memory", "Mounts",
		"Netstat", "NetworkDeviceStats", "Processes", "ServiceList", "Stats", "SystemStat", "Version",
		"Get", "Watch",
	}
}

func TestEachMethodIsForItsRolesOnly(t *testing.T) {
	for _, method := range methods() {
		reader := slices.Contains(forReaders(), method.name)
		operator := reader || slices.Contains(forOperators(), method.name)

		t.Run(method.name, func(t *testing.T) {
			got := map[role.Role]bool{}
			for _, one := range []role.Role{role.Admin, role.Operator, role.Reader, role.Impersonator} {
				got[one] = authz.Allow(method.full, role.MakeSet(one)) == nil
			}

			want := map[role.Role]bool{
				role.Admin: true, role.Operator: operator, role.Reader: reader, role.Impersonator: false,
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

type method struct{ name, full string }

// methods are all of the machine API and of the state service, as their definitions list them.
func methods() []method {
	var all []method

	for _, m := range machine.MachineService_ServiceDesc.Methods {
		all = append(all, method{m.MethodName, "/machine.MachineService/" + m.MethodName})
	}

	for _, s := range machine.MachineService_ServiceDesc.Streams {
		all = append(all, method{s.StreamName, "/machine.MachineService/" + s.StreamName})
	}

	for _, m := range v1alpha1.State_ServiceDesc.Methods {
		all = append(all, method{m.MethodName, "/cosi.resource.State/" + m.MethodName})
	}

	for _, s := range v1alpha1.State_ServiceDesc.Streams {
		all = append(all, method{s.StreamName, "/cosi.resource.State/" + s.StreamName})
	}

	return all
}

func TestSpecialRolesMayDoTheirOneThing(t *testing.T) {
	tests := []struct {
		role   role.Role
		method string
	}{
		{role.EtcdBackup, "/machine.MachineService/EtcdSnapshot"},
		{role.MetaWriter, "/machine.MachineService/MetaWrite"},
	}

	for _, test := range tests {
		if err := authz.Allow(test.method, role.MakeSet(test.role)); err != nil {
			t.Errorf("%s: %v", test.role, err)
		}

		if authz.Allow("/machine.MachineService/Version", role.MakeSet(test.role)) == nil {
			t.Errorf("%s may read", test.role)
		}
	}
}

func TestCallersWithoutRolesMayDoNothing(t *testing.T) {
	if authz.Allow("/machine.MachineService/Version", role.Zero) == nil {
		t.Error("nobody may read the version")
	}

	if authz.Allow("/some.Other/Method", role.MakeSet(role.Operator)) == nil {
		t.Error("an operator may call what the table does not know")
	}
}
