// Package proc reads the kernel's text files of /proc into machinery's messages. Its functions take the text, not the
// path, and leave out what they do not know.
package proc

import (
	"strconv"
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// ticksPerSecond is the unit of CPU times in /proc, the same on all of Linux's architectures that Go knows.
const ticksPerSecond = 100

// Memory reads /proc/meminfo; sizes are in KiB as there.
func Memory(text string) *machine.MemInfo {
	info := &machine.MemInfo{}

	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(line, ":")
		setByName(info, key, strings.TrimSuffix(strings.TrimSpace(value), " kB"))
	}

	return info
}

// CPUs reads /proc/cpuinfo.
func CPUs(text string) []*machine.CPUInfo {
	var all []*machine.CPUInfo

	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(line, ":")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)

		if key == "processor" {
			all = append(all, &machine.CPUInfo{})
		}

		if len(all) > 0 {
			setByName(all[len(all)-1], key, value)
		}
	}

	return all
}

// LoadAverage reads /proc/loadavg.
func LoadAverage(text string) *machine.LoadAvg {
	load := &machine.LoadAvg{}
	setInOrder(load, 2, strings.Fields(text), 1)

	return load
}

// SystemStat reads /proc/stat; times are in seconds.
func SystemStat(text string) *machine.SystemStat {
	stat := &machine.SystemStat{CpuTotal: &machine.CPUStat{}, SoftIrq: &machine.SoftIRQStat{}}

	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}

		switch key, values := fields[0], fields[1:]; {
		case key == "cpu":
			setInOrder(stat.CpuTotal, 1, values, ticksPerSecond)
		case strings.HasPrefix(key, "cpu"):
			cpu := &machine.CPUStat{}
			setInOrder(cpu, 1, values, ticksPerSecond)
			stat.Cpu = append(stat.Cpu, cpu)
		case key == "intr":
			stat.IrqTotal, stat.Irq = number(values[0]), numbers(values[1:])
		case key == "softirq":
			stat.SoftIrqTotal = number(values[0])
			setInOrder(stat.SoftIrq, 1, values[1:], 1)
		default:
			setCounter(stat, key, number(values[0]))
		}
	}

	return stat
}

func setCounter(stat *machine.SystemStat, key string, value uint64) {
	switch key {
	case "btime":
		stat.BootTime = value
	case "ctxt":
		stat.ContextSwitches = value
	case "processes":
		stat.ProcessCreated = value
	case "procs_running":
		stat.ProcessRunning = value
	case "procs_blocked":
		stat.ProcessBlocked = value
	}
}

// Disks reads /proc/diskstats.
func Disks(text string) *machine.DiskStats {
	stats := &machine.DiskStats{Total: &machine.DiskStat{}}

	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 4 {
			continue
		}

		disk := &machine.DiskStat{Name: fields[2]}
		setInOrder(disk, 2, fields[3:], 1)
		addAll(stats.Total, disk)
		stats.Devices = append(stats.Devices, disk)
	}

	return stats
}

// Networks reads /proc/net/dev.
func Networks(text string) *machine.NetworkDeviceStats {
	stats := &machine.NetworkDeviceStats{Total: &machine.NetDev{}}

	for line := range strings.Lines(text) {
		name, counters, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}

		device := &machine.NetDev{Name: strings.TrimSpace(name)}
		setInOrder(device, 2, strings.Fields(counters), 1)
		addAll(stats.Total, device)
		stats.Devices = append(stats.Devices, device)
	}

	return stats
}

func number(text string) uint64 {
	value, _ := strconv.ParseUint(text, 10, 64)

	return value
}

func numbers(texts []string) []uint64 {
	values := make([]uint64, len(texts))
	for i, text := range texts {
		values[i] = number(text)
	}

	return values
}

// setInOrder fills the numeric fields of a message from the field numbered first on, in the order of the kernel's
// columns, which machinery's messages keep.
func setInOrder(message proto.Message, first int, columns []string, divisor float64) {
	reflected := message.ProtoReflect()
	fields := reflected.Descriptor().Fields()

	for i, column := range columns {
		field := fields.ByNumber(protoreflect.FieldNumber(first + i))
		if field == nil {
			return
		}

		switch field.Kind() {
		case protoreflect.DoubleKind:
			value, _ := strconv.ParseFloat(column, 64)
			reflected.Set(field, protoreflect.ValueOfFloat64(value/divisor))
		case protoreflect.Uint64Kind:
			reflected.Set(field, protoreflect.ValueOfUint64(number(column)))
		}
	}
}

// addAll adds each counter of a message to that of another of the same kind.
func addAll(total, one proto.Message) {
	sum := total.ProtoReflect()

	one.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if field.Kind() == protoreflect.Uint64Kind {
			sum.Set(field, protoreflect.ValueOfUint64(sum.Get(field).Uint()+value.Uint()))
		}

		return true
	})
}

// setByName sets the field that bears the kernel's name for a value: the kernel writes "cpu MHz", "Active(anon)" and
// "apicid" where machinery has cpu_mhz, activeanon and apic_id.
func setByName(message proto.Message, key, text string) {
	reflected := message.ProtoReflect()
	fields := reflected.Descriptor().Fields()

	for i := range fields.Len() {
		if field := fields.Get(i); plain(string(field.Name())) == plain(key) {
			setText(reflected, field, text)
			return
		}
	}
}

func setText(message protoreflect.Message, field protoreflect.FieldDescriptor, text string) {
	switch kind := field.Kind(); {
	case field.IsList() && kind == protoreflect.StringKind:
		list := message.Mutable(field).List()
		for word := range strings.FieldsSeq(text) {
			list.Append(protoreflect.ValueOfString(word))
		}
	case kind == protoreflect.StringKind:
		message.Set(field, protoreflect.ValueOfString(text))
	case kind == protoreflect.Uint32Kind:
		message.Set(field, protoreflect.ValueOfUint32(uint32(number(text))))
	case kind == protoreflect.Uint64Kind:
		message.Set(field, protoreflect.ValueOfUint64(number(text)))
	case kind == protoreflect.DoubleKind:
		value, _ := strconv.ParseFloat(text, 64)
		message.Set(field, protoreflect.ValueOfFloat64(value))
	}
}

// plain keeps letters and digits, in lower case.
func plain(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			return r
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		default:
			return -1
		}
	}, name)
}
