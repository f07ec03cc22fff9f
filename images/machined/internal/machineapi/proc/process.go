package proc

import (
	"strconv"
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
)

// Columns of /proc/<pid>/stat, counted from the one after the command, which is in brackets and may hold blanks.
const (
	columnState   = 0
	columnParent  = 1
	columnUser    = 11
	columnSystem  = 12
	columnThreads = 17
	columnVirtual = 20
	columnPages   = 21
)

// Process reads /proc/<pid>/stat and /proc/<pid>/cmdline; memory is in bytes, and a page is of pageSize bytes. It answers
// nil for a text that is not whole.
func Process(stat, commandLine string, pageSize int) *machine.ProcessInfo {
	open, end := strings.IndexByte(stat, '('), strings.LastIndexByte(stat, ')')
	if open < 0 || end < open {
		return nil
	}

	columns := strings.Fields(stat[end+1:])
	if len(columns) <= columnPages {
		return nil
	}

	return &machine.ProcessInfo{
		Pid:            integer(strings.TrimSpace(stat[:open])),
		Ppid:           integer(columns[columnParent]),
		State:          columns[columnState],
		Threads:        integer(columns[columnThreads]),
		CpuTime:        float64(number(columns[columnUser])+number(columns[columnSystem])) / ticksPerSecond,
		VirtualMemory:  number(columns[columnVirtual]),
		ResidentMemory: number(columns[columnPages]) * uint64(pageSize),
		Command:        stat[open+1 : end],
		Args:           strings.TrimSpace(strings.ReplaceAll(commandLine, "\x00", " ")),
	}
}

func integer(text string) int32 {
	value, _ := strconv.ParseInt(text, 10, 32)

	return int32(value)
}
