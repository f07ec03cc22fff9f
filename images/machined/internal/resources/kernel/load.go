package kernel

import (
	"reflect"
	"strings"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/resources/perf"

	"github.com/bronze-os/bronze/images/machined/internal/machineapi/proc"
)

// cpuLoad reads /proc/stat; times are in seconds.
func cpuLoad(text string) resource.Resource {
	stat := proc.SystemStat(text)
	load := perf.NewCPU()

	*load.TypedSpec() = perf.CPUSpec{
		CPUTotal:        times(stat.GetCpuTotal()),
		IRQTotal:        stat.GetIrqTotal(),
		ContextSwitches: stat.GetContextSwitches(),
		ProcessCreated:  stat.GetProcessCreated(),
		ProcessRunning:  stat.GetProcessRunning(),
		ProcessBlocked:  stat.GetProcessBlocked(),
		SoftIrqTotal:    stat.GetSoftIrqTotal(),
	}

	for _, cpu := range stat.GetCpu() {
		load.TypedSpec().CPU = append(load.TypedSpec().CPU, times(cpu))
	}

	return load
}

func times(stat *machine.CPUStat) perf.CPUStat {
	return perf.CPUStat{
		User: stat.GetUser(), Nice: stat.GetNice(), System: stat.GetSystem(), Idle: stat.GetIdle(), Iowait: stat.GetIowait(),
		Irq: stat.GetIrq(), SoftIrq: stat.GetSoftIrq(), Steal: stat.GetSteal(), Guest: stat.GetGuest(), GuestNice: stat.GetGuestNice(),
	}
}

// memoryLoad reads /proc/meminfo; sizes are in KiB as there. The resource's fields are named like the kernel's, but for
// case and punctuation.
func memoryLoad(text string) resource.Resource {
	load := perf.NewMemory()
	fields := reflect.ValueOf(load.TypedSpec()).Elem()
	plain := strings.NewReplacer("(", "", ")", "", "_", "")

	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		name = plain.Replace(name)

		field := fields.FieldByNameFunc(func(own string) bool { return strings.EqualFold(own, name) })
		if field.IsValid() {
			field.SetUint(kibibytes(value))
		}
	}

	load.TypedSpec().MemUsed = load.TypedSpec().MemTotal - min(load.TypedSpec().MemTotal, value(text, "MemFree"))

	return load
}

// value is that of one line of /proc/meminfo.
func value(text, name string) uint64 {
	for line := range strings.Lines(text) {
		if key, value, _ := strings.Cut(line, ":"); key == name {
			return kibibytes(value)
		}
	}

	return 0
}
