package machineapi

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/bronze-os/bronze/images/machined/internal/machineapi/proc"
)

// Memory is part of machine.MachineServiceServer.
func (s *server) Memory(context.Context, *emptypb.Empty) (*machine.MemoryResponse, error) {
	read, err := reading("/proc/meminfo", proc.Memory)
	if err != nil {
		return nil, err
	}

	return &machine.MemoryResponse{Messages: []*machine.Memory{{Meminfo: read}}}, nil
}

// CPUInfo is part of machine.MachineServiceServer.
func (s *server) CPUInfo(context.Context, *emptypb.Empty) (*machine.CPUInfoResponse, error) {
	read, err := reading("/proc/cpuinfo", proc.CPUs)
	if err != nil {
		return nil, err
	}

	return &machine.CPUInfoResponse{Messages: []*machine.CPUsInfo{{CpuInfo: read}}}, nil
}

// LoadAvg is part of machine.MachineServiceServer.
func (s *server) LoadAvg(context.Context, *emptypb.Empty) (*machine.LoadAvgResponse, error) {
	read, err := reading("/proc/loadavg", proc.LoadAverage)
	if err != nil {
		return nil, err
	}

	return &machine.LoadAvgResponse{Messages: []*machine.LoadAvg{read}}, nil
}

// SystemStat is part of machine.MachineServiceServer.
func (s *server) SystemStat(context.Context, *emptypb.Empty) (*machine.SystemStatResponse, error) {
	read, err := reading("/proc/stat", proc.SystemStat)
	if err != nil {
		return nil, err
	}

	return &machine.SystemStatResponse{Messages: []*machine.SystemStat{read}}, nil
}

// DiskStats is part of machine.MachineServiceServer.
func (s *server) DiskStats(context.Context, *emptypb.Empty) (*machine.DiskStatsResponse, error) {
	read, err := reading("/proc/diskstats", proc.Disks)
	if err != nil {
		return nil, err
	}

	return &machine.DiskStatsResponse{Messages: []*machine.DiskStats{read}}, nil
}

// NetworkDeviceStats is part of machine.MachineServiceServer.
func (s *server) NetworkDeviceStats(context.Context, *emptypb.Empty) (*machine.NetworkDeviceStatsResponse, error) {
	read, err := reading("/proc/net/dev", proc.Networks)
	if err != nil {
		return nil, err
	}

	return &machine.NetworkDeviceStatsResponse{Messages: []*machine.NetworkDeviceStats{read}}, nil
}

// Mounts is part of machine.MachineServiceServer.
func (s *server) Mounts(context.Context, *emptypb.Empty) (*machine.MountsResponse, error) {
	mounts, err := reading("/proc/self/mounts", mountsOf)
	if err != nil {
		return nil, err
	}

	return &machine.MountsResponse{Messages: []*machine.Mounts{mounts}}, nil
}

// mountsOf reads a table of mounts, and asks each file system for its size in bytes.
func mountsOf(table string) *machine.Mounts {
	mounts := &machine.Mounts{}

	for line := range strings.Lines(table) {
		fields := strings.Fields(line)

		var stat unix.Statfs_t
		if len(fields) < 2 || unix.Statfs(fields[1], &stat) != nil {
			continue
		}

		mounts.Stats = append(mounts.Stats, &machine.MountStat{
			Filesystem: fields[0],
			MountedOn:  fields[1],
			Size:       stat.Blocks * uint64(stat.Bsize),
			Available:  stat.Bavail * uint64(stat.Bsize),
		})
	}

	return mounts
}

// Processes is part of machine.MachineServiceServer.
func (s *server) Processes(context.Context, *emptypb.Empty) (*machine.ProcessesResponse, error) {
	directories, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, status.Errorf(codes.Internal, "cannot list processes: %v", err)
	}

	list := &machine.Process{}

	for _, directory := range directories {
		// A process that ends meanwhile leaves empty texts, and is left out.
		stat, _ := os.ReadFile(directory + "/stat")
		commandLine, _ := os.ReadFile(directory + "/cmdline")

		if process := proc.Process(string(stat), string(commandLine), os.Getpagesize()); process != nil {
			process.Executable, _ = os.Readlink(directory + "/exe")
			list.Processes = append(list.Processes, process)
		}
	}

	return &machine.ProcessesResponse{Messages: []*machine.Process{list}}, nil
}

// reading makes something of one of the kernel's text files.
func reading[T any](path string, parse func(text string) T) (T, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		var none T
		return none, status.Errorf(codes.Internal, "cannot read: %v", err)
	}

	return parse(string(text)), nil
}

// CPUFreqStats is part of machine.MachineServiceServer. A host that does not scale frequencies tells none.
func (s *server) CPUFreqStats(context.Context, *emptypb.Empty) (*machine.CPUFreqStatsResponse, error) {
	stats := &machine.CPUsFreqStats{}

	// As many as there are processors, though some may be switched off and have no frequency.
	for cpu := range runtime.NumCPU() {
		directory := fmt.Sprintf("/sys/devices/system/cpu/cpu%d/cpufreq", cpu)
		if attribute(directory, "scaling_governor") == "" {
			continue
		}

		stats.CpuFreqStats = append(stats.CpuFreqStats, &machine.CPUFreqStats{
			CurrentFrequency: frequency(directory, "scaling_cur_freq"),
			MinimumFrequency: frequency(directory, "cpuinfo_min_freq"),
			MaximumFrequency: frequency(directory, "cpuinfo_max_freq"),
			Governor:         attribute(directory, "scaling_governor"),
		})
	}

	return &machine.CPUFreqStatsResponse{Messages: []*machine.CPUsFreqStats{stats}}, nil
}

// frequency is in kHz, as the kernel tells it and Talos passes it on.
func frequency(directory, name string) uint64 {
	value, _ := strconv.ParseUint(attribute(directory, name), 10, 64)

	return value
}
