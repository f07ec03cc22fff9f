package authz

import (
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/role"
)

// allowed tells the roles that may call a method, given as /service/name. They are those of Talos; what the table does
// not know is for admins.
func allowed(method string) role.Set {
	service, name, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")

	switch service {
	case "machine.MachineService":
		return machineRoles(name)
	case "cosi.resource.State":
		return stateRoles(name)
	case "cluster.ClusterService", "inspect.InspectService", "time.TimeService":
		return readers()
	case "storage.StorageService":
		return storageRoles(name)
	default:
		return admins()
	}
}

func machineRoles(name string) role.Set {
	switch name {
	case "CPUFreqStats", "CPUInfo", "Containers", "DiskStats", "DiskUsage", "Dmesg", "EtcdAlarmList", "EtcdMemberList",
		"EtcdStatus", "Events", "Hostname", "ImageList", "List", "LoadAvg", "Logs", "LogsContainers", "Memory", "Mounts",
		"Netstat", "NetworkDeviceStats", "Processes", "ServiceList", "Stats", "SystemStat", "Version":
		return readers()
	case "EtcdAlarmDisarm", "EtcdDefragment", "ImagePull", "PacketCapture", "Reboot", "Restart", "Rollback",
		"ServiceRestart", "ServiceStart", "ServiceStop", "Shutdown":
		return operators()
	case "EtcdSnapshot":
		return role.MakeSet(role.Admin, role.Operator, role.EtcdBackup)
	case "MetaWrite", "MetaDelete":
		return role.MakeSet(role.Admin, role.MetaWriter)
	default:
		return admins()
	}
}

func stateRoles(name string) role.Set {
	switch name {
	case "Get", "List", "Watch":
		return readers()
	default:
		return admins()
	}
}

func storageRoles(name string) role.Set {
	if name == "Disks" {
		return readers()
	}

	return admins()
}

func readers() role.Set   { return role.MakeSet(role.Admin, role.Operator, role.Reader) }
func operators() role.Set { return role.MakeSet(role.Admin, role.Operator) }
func admins() role.Set    { return role.MakeSet(role.Admin) }
