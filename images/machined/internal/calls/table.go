package calls

import "github.com/siderolabs/talos/pkg/machinery/role"

// The services of the machine API.
const (
	machineService   = "machine.MachineService"
	imageService     = "machine.ImageService"
	debugService     = "machine.DebugService"
	lifecycleService = "machine.LifecycleService"
	clusterService   = "cluster.ClusterService"
	inspectService   = "inspect.InspectService"
	timeService      = "time.TimeService"
	storageService   = "storage.StorageService"
	stateService     = "cosi.resource.State"
)

// What to do instead of what a container node cannot.
const (
	upgradeCure = "the operating system is the container's image; run `bronze cluster upgrade --image IMAGE` on the host"
	metaCure    = "there is no META partition; put what it would hold into the machine config (`talosctl patch machineconfig`)"
	wipeCure    = "the disks are the host's; `talosctl reset` wipes the node's own volumes"
	debugCure   = "run `kubectl debug node/NODE --image IMAGE --profile sysadmin -it`, which starts such a container through Kubernetes"
)

func machineCalls() []Call {
	return []Call{
		{
			Service: machineService, Name: "ApplyConfiguration", State: Works, Roles: admins(), Maintenance: true,
			Note: "fields that Bronze does not honour come back as warnings",
		},
		{Service: machineService, Name: "Bootstrap", State: ControlPlane, Roles: admins()},
		{Service: machineService, Name: "GenerateClientConfiguration", State: ControlPlane, Roles: admins()},
		{Service: machineService, Name: "Hostname", State: Works, Roles: readers()},
		{Service: machineService, Name: "Kubeconfig", State: ControlPlane, Roles: admins()},
		{Service: machineService, Name: "MetaDelete", State: Refused, Roles: and(admins(), role.MetaWriter), Note: metaCure},
		{Service: machineService, Name: "MetaWrite", State: Refused, Roles: and(admins(), role.MetaWriter), Note: metaCure},
		{
			Service: machineService, Name: "Reboot", State: Works, Roles: operators(),
			Note: "ends everything and starts over within the container; all modes are the same",
		},
		{
			Service: machineService, Name: "Reset", State: Works, Roles: admins(),
			Note: "wipes the node's volumes; user disks are the host's and refused",
		},
		{
			Service: machineService, Name: "Rollback", State: Refused, Roles: admins(),
			Note: "there is one image only; run `bronze cluster upgrade --image IMAGE` on the host with the image before",
		},
		{
			Service: machineService, Name: "Shutdown", State: Works, Roles: operators(),
			Note: "ends the container; `bronze cluster start` starts it again",
		},
		{Service: machineService, Name: "Upgrade", State: Refused, Roles: admins(), Note: upgradeCure},
		{Service: machineService, Name: "Version", State: Works, Roles: readers(), Maintenance: true},
	}
}

func etcdCalls() []Call {
	backup := and(readers(), role.EtcdBackup)

	return []Call{
		{Service: machineService, Name: "EtcdAlarmDisarm", State: ControlPlane, Roles: operators()},
		{Service: machineService, Name: "EtcdAlarmList", State: ControlPlane, Roles: backup},
		{Service: machineService, Name: "EtcdDefragment", State: ControlPlane, Roles: operators()},
		{Service: machineService, Name: "EtcdDowngradeCancel", State: ControlPlane, Roles: admins()},
		{Service: machineService, Name: "EtcdDowngradeEnable", State: ControlPlane, Roles: admins()},
		{Service: machineService, Name: "EtcdDowngradeValidate", State: ControlPlane, Roles: admins()},
		{Service: machineService, Name: "EtcdForfeitLeadership", State: ControlPlane, Roles: admins()},
		{Service: machineService, Name: "EtcdLeaveCluster", State: ControlPlane, Roles: admins()},
		{Service: machineService, Name: "EtcdMemberList", State: ControlPlane, Roles: backup},
		{Service: machineService, Name: "EtcdRecover", State: ControlPlane, Roles: admins()},
		{Service: machineService, Name: "EtcdRemoveMemberByID", State: ControlPlane, Roles: admins()},
		{Service: machineService, Name: "EtcdSnapshot", State: ControlPlane, Roles: and(operators(), role.EtcdBackup)},
		{Service: machineService, Name: "EtcdStatus", State: ControlPlane, Roles: backup},
	}
}

func fileCalls() []Call {
	return []Call{
		{Service: machineService, Name: "Copy", State: Works, Roles: admins()},
		{Service: machineService, Name: "DiskUsage", State: Works, Roles: readers()},
		{Service: machineService, Name: "List", State: Works, Roles: readers()},
		{Service: machineService, Name: "Mounts", State: Works, Roles: readers(), Note: "sizes are of the host's file systems"},
		{Service: machineService, Name: "Read", State: Works, Roles: admins(), Note: "devices, sockets and pipes are refused"},
	}
}

func containerCalls() []Call {
	return []Call{
		{
			Service: machineService, Name: "Containers", State: Works, Roles: readers(),
			Note: "the system's services are processes, so that the namespace system is mostly empty",
		},
		{Service: machineService, Name: "ImageList", State: Works, Roles: readers()},
		{Service: machineService, Name: "ImagePull", State: Works, Roles: operators()},
		{Service: machineService, Name: "Restart", State: Works, Roles: operators(), Note: "of containers in the namespace k8s.io"},
		{Service: machineService, Name: "Stats", State: Works, Roles: readers()},
		{Service: imageService, Name: "Import", State: Works, Roles: admins()},
		{Service: imageService, Name: "List", State: Works, Roles: readers()},
		{Service: imageService, Name: "Pull", State: Works, Roles: operators()},
		{Service: imageService, Name: "Remove", State: Works, Roles: admins()},
		{
			Service: imageService, Name: "Verify", State: Refused, Roles: and(readers(), role.ImageVerifier),
			Note: "it has no image verifier; verify images where they are built, or with an admission controller",
		},
		{Service: debugService, Name: "ContainerRun", State: Refused, Roles: admins(), Note: debugCure},
	}
}

func measureCalls() []Call {
	return []Call{
		{
			Service: machineService, Name: "CPUFreqStats", State: Works, Roles: readers(),
			Note: "of the host; empty where it does not scale frequencies",
		},
		{Service: machineService, Name: "CPUInfo", State: Works, Roles: readers(), Note: "of the host"},
		{Service: machineService, Name: "DiskStats", State: Works, Roles: readers(), Note: "of the host"},
		{Service: machineService, Name: "LoadAvg", State: Works, Roles: readers(), Note: "of the host"},
		{Service: machineService, Name: "Memory", State: Works, Roles: readers(), Note: "of the host"},
		{Service: machineService, Name: "Netstat", State: Works, Roles: readers()},
		{Service: machineService, Name: "NetworkDeviceStats", State: Works, Roles: readers()},
		{Service: machineService, Name: "PacketCapture", State: Works, Roles: operators()},
		{Service: machineService, Name: "Processes", State: Works, Roles: readers()},
		{Service: machineService, Name: "SystemStat", State: Works, Roles: readers(), Note: "of the host"},
	}
}

func serviceCalls() []Call {
	return []Call{
		{Service: machineService, Name: "Dmesg", State: Works, Roles: readers(), Note: "the host's kernel log"},
		{Service: machineService, Name: "Events", State: Works, Roles: readers()},
		{Service: machineService, Name: "Logs", State: Works, Roles: readers()},
		{Service: machineService, Name: "LogsContainers", State: Works, Roles: readers()},
		{Service: machineService, Name: "ServiceList", State: Works, Roles: readers()},
		{Service: machineService, Name: "ServiceRestart", State: Works, Roles: operators()},
		{Service: machineService, Name: "ServiceStart", State: Works, Roles: operators()},
		{Service: machineService, Name: "ServiceStop", State: Works, Roles: operators()},
	}
}

func otherCalls() []Call {
	return []Call{
		{Service: clusterService, Name: "HealthCheck", State: ControlPlane, Roles: readers()},
		{
			Service: inspectService, Name: "ControllerRuntimeDependencies", State: Works, Roles: readers(),
			Note: "which part of machined publishes which resources; they are no COSI controllers",
		},
		{Service: lifecycleService, Name: "Install", State: Refused, Roles: admins(), Note: upgradeCure},
		{Service: lifecycleService, Name: "Upgrade", State: Refused, Roles: admins(), Note: upgradeCure},
		{Service: storageService, Name: "BlockDeviceWipe", State: Refused, Roles: admins(), Note: wipeCure},
		{
			Service: storageService, Name: "Disks", State: Works, Roles: readers(), Maintenance: true,
			Note: "the host's disks, as far as its /sys shows them",
		},
		{Service: timeService, Name: "Time", State: Works, Roles: readers()},
		{Service: timeService, Name: "TimeCheck", State: Works, Roles: readers()},
	}
}

func stateCalls() []Call {
	const (
		readOnly = "resources are read only: the node writes them"
		forget   = "of affiliates only: every discovery server of the cluster forgets that node; all else is read only"
	)

	return []Call{
		{Service: stateService, Name: "Create", State: Denied, Roles: admins(), Note: readOnly},
		{Service: stateService, Name: "Destroy", State: Works, Roles: admins(), Note: forget},
		{Service: stateService, Name: "Get", State: Works, Roles: readers(), Maintenance: true, Note: "sensitive ones for os:admin"},
		{Service: stateService, Name: "List", State: Works, Roles: readers(), Maintenance: true, Note: "sensitive ones for os:admin"},
		{Service: stateService, Name: "Teardown", State: Denied, Roles: admins(), Note: readOnly},
		{Service: stateService, Name: "TeardownAndDestroy", State: Denied, Roles: admins(), Note: readOnly},
		{Service: stateService, Name: "Update", State: Denied, Roles: admins(), Note: readOnly},
		{Service: stateService, Name: "Watch", State: Works, Roles: readers(), Maintenance: true, Note: "sensitive ones for os:admin"},
	}
}
