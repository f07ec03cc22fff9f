package proc_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/bronze-os/bronze/images/machined/internal/machineapi/proc"
)

func TestKernelTextsBecomeMessages(t *testing.T) {
	tests := []struct {
		name      string
		got, want proto.Message
	}{
		{
			"memory",
			proc.Memory("MemTotal:       16318268 kB\nActive(anon):      12 kB\nSReclaimable:   7 kB\nHugePages_Total:  3\nZswap: 9 kB\n"),
			&machine.MemInfo{Memtotal: 16318268, Activeanon: 12, Sreclaimable: 7, Hugepagestotal: 3},
		},
		{
			"CPUs",
			&machine.CPUsInfo{CpuInfo: proc.CPUs(
				"processor\t: 0\nvendor_id\t: V\ncpu MHz\t\t: 2400.5\nflags\t\t: fpu vme\napicid\t\t: 4\n\nprocessor\t: 1\ncache size\t: 8 KB\n")},
			&machine.CPUsInfo{CpuInfo: []*machine.CPUInfo{
				{VendorId: "V", CpuMhz: 2400.5, Flags: []string{"fpu", "vme"}, ApicId: "4"},
				{Processor: 1, CacheSize: "8 KB"},
			}},
		},
		{
			"load average",
			proc.LoadAverage("0.25 0.5 1.75 2/345 6789\n"),
			&machine.LoadAvg{Load1: 0.25, Load5: 0.5, Load15: 1.75},
		},
		{
			"system",
			proc.SystemStat("cpu  200 0 50 400 0 0 0 0 0 0\ncpu0 100 0 0 0 0 0 0 0 0 0\nintr 9 4 5\nctxt 7\nbtime 6\nprocesses 5\nprocs_running 4\nprocs_blocked 3\nsoftirq 12 1 2 3 4 5 6 7 8 9 10\n"),
			&machine.SystemStat{
				CpuTotal: &machine.CPUStat{User: 2, System: 0.5, Idle: 4}, Cpu: []*machine.CPUStat{{User: 1}},
				IrqTotal: 9, Irq: []uint64{4, 5}, ContextSwitches: 7, BootTime: 6,
				ProcessCreated: 5, ProcessRunning: 4, ProcessBlocked: 3, SoftIrqTotal: 12,
				SoftIrq: &machine.SoftIRQStat{
					Hi: 1, Timer: 2, NetTx: 3, NetRx: 4, Block: 5, BlockIoPoll: 6, Tasklet: 7, Sched: 8, Hrtimer: 9, Rcu: 10,
				},
			},
		},
		{
			"disks",
			proc.Disks("   8       0 sda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n   8       1 sda1 1 0 0 0 0 0 0 0 0 0 0\n"),
			&machine.DiskStats{
				Total:   disk("", 2),
				Devices: []*machine.DiskStat{disk("sda", 1), {Name: "sda1", ReadCompleted: 1}},
			},
		},
		{
			"networks",
			proc.Networks("Inter-|   Receive  | Transmit\n face |bytes\n  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"),
			&machine.NetworkDeviceStats{Total: network(""), Devices: []*machine.NetDev{network("eth0")}},
		},
		{
			"process",
			proc.Process("42 (a) b) S 1 42 42 0 -1 0 0 0 0 0 150 50 0 0 20 0 7 0 9 4096 3 18446744073709551615\n", "/bin/a\x00-x\x00", 4096),
			&machine.ProcessInfo{
				Pid: 42, Ppid: 1, State: "S", Threads: 7, CpuTime: 2, VirtualMemory: 4096, ResidentMemory: 3 * 4096,
				Command: "a) b", Args: "/bin/a -x",
			},
		},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, test.got, protocmp.Transform()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func disk(name string, reads uint64) *machine.DiskStat {
	return &machine.DiskStat{
		Name: name, ReadCompleted: reads, ReadMerged: 2, ReadSectors: 3, ReadTimeMs: 4,
		WriteCompleted: 5, WriteMerged: 6, WriteSectors: 7, WriteTimeMs: 8,
		IoInProgress: 9, IoTimeMs: 10, IoTimeWeightedMs: 11,
		DiscardCompleted: 12, DiscardMerged: 13, DiscardSectors: 14, DiscardTimeMs: 15,
	}
}

func network(name string) *machine.NetDev {
	return &machine.NetDev{
		Name: name, RxBytes: 1, RxPackets: 2, RxErrors: 3, RxDropped: 4, RxFifo: 5, RxFrame: 6, RxCompressed: 7, RxMulticast: 8,
		TxBytes: 9, TxPackets: 10, TxErrors: 11, TxDropped: 12, TxFifo: 13, TxCollisions: 14, TxCarrier: 15, TxCompressed: 16,
	}
}

func TestHalfATextIsNoProcess(t *testing.T) {
	for _, text := range []string{"", "42 (a", "42 (a) S 1"} {
		if got := proc.Process(text, "", 4096); got != nil {
			t.Errorf("%q became %v", text, got)
		}
	}
}
