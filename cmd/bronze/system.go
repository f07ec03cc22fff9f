package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/api/storage"
	timeapi "github.com/siderolabs/talos/pkg/machinery/api/time"
	"github.com/spf13/cobra"

	"github.com/bronze-os/bronze/provision/operate"
)

func newProcesses(a *app) *cobra.Command {
	var by string
	cmd := &cobra.Command{Use: "processes", Aliases: []string{"p", "ps"}, Short: "List what runs on the nodes", Args: cobra.NoArgs}
	cmd.Flags().StringVarP(&by, "sort", "s", "rss", "what to sort by: rss or cpu")
	return askCommand(&nodeOptions{app: a}, cmd, []string{"PID", "STATE", "THREADS", "CPU-TIME", "VIRTMEM", "RESMEM", "COMMAND"},
		func(ctx context.Context, fleet *operate.Fleet, _ []string) ([]operate.Answer[*machine.Process], error) {
			if by != "rss" && by != "cpu" {
				return nil, misused(cmd, fmt.Errorf("cannot sort by %q: want rss or cpu", by))
			}
			return fleet.Processes(ctx)
		}, func(list *machine.Process) [][]string { return processRows(list.GetProcesses(), by) })
}

// processRows has the greatest on top.
func processRows(processes []*machine.ProcessInfo, by string) [][]string {
	slices.SortStableFunc(processes, func(a, b *machine.ProcessInfo) int {
		if by == "cpu" {
			return int(100*b.GetCpuTime()) - int(100*a.GetCpuTime())
		}
		return int(b.GetResidentMemory()>>10) - int(a.GetResidentMemory()>>10)
	})
	var rows [][]string
	for _, process := range processes {
		command := process.GetArgs()
		if command == "" {
			command = process.GetExecutable()
		}
		if command == "" {
			command = process.GetCommand()
		}
		rows = append(rows, []string{
			fmt.Sprint(process.GetPid()), process.GetState(), fmt.Sprint(process.GetThreads()),
			fmt.Sprintf("%.2f", process.GetCpuTime()), sizeWord(int64(process.GetVirtualMemory())),
			sizeWord(int64(process.GetResidentMemory())), strings.Join(strings.Fields(command), " "),
		})
	}
	return rows
}

func newMemory(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "memory", Aliases: []string{"m", "free"}, Short: "Show the nodes' memory in MiB", Args: cobra.NoArgs,
		Long: "Memory shows the nodes' memory in MiB; with -o json it is all that their kernels tell, in KiB.",
	}
	return askCommand(&nodeOptions{app: a}, cmd, []string{"TOTAL", "USED", "FREE", "SHARED", "BUFFERS", "CACHE", "AVAILABLE"},
		func(ctx context.Context, fleet *operate.Fleet, _ []string) ([]operate.Answer[*machine.Memory], error) {
			return fleet.Memory(ctx)
		}, func(memory *machine.Memory) [][]string {
			m := memory.GetMeminfo()
			used := m.GetMemtotal() - min(m.GetMemtotal(), m.GetMemfree()+m.GetCached()+m.GetBuffers())
			var row []string
			for _, kibibytes := range []uint64{
				m.GetMemtotal(), used, m.GetMemfree(), m.GetShmem(), m.GetBuffers(), m.GetCached(), m.GetMemavailable(),
			} {
				row = append(row, fmt.Sprint(kibibytes>>10))
			}
			return [][]string{row}
		})
}

func newMounts(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "mounts", Aliases: []string{"mount"}, Short: "List the nodes' mounts", Args: cobra.NoArgs}
	heading := []string{"FILESYSTEM", "SIZE(GB)", "USED(GB)", "AVAILABLE(GB)", "PERCENT USED", "MOUNTED ON"}
	return askCommand(&nodeOptions{app: a}, cmd, heading,
		func(ctx context.Context, fleet *operate.Fleet, _ []string) ([]operate.Answer[*machine.Mounts], error) {
			return fleet.Mounts(ctx)
		}, func(mounts *machine.Mounts) [][]string {
			var rows [][]string
			for _, mount := range mounts.GetStats() {
				if mount.GetSize() == 0 {
					// It holds no files of its own.
					continue
				}
				size, free := float64(mount.GetSize()), float64(mount.GetAvailable())
				rows = append(rows, []string{
					mount.GetFilesystem(), gigabytes(size), gigabytes(size - free), gigabytes(free),
					fmt.Sprintf("%.2f%%", 100-100*free/size), mount.GetMountedOn(),
				})
			}
			return rows
		})
}

func gigabytes(bytes float64) string {
	return fmt.Sprintf("%.2f", bytes/1e9)
}

func newDisks(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "disks", Short: "List the nodes' disks", Args: cobra.NoArgs}
	heading := []string{"DEV", "MODEL", "SERIAL", "TYPE", "SIZE", "BUS PATH", "SYSTEM DISK", "READ ONLY"}
	return askCommand(&nodeOptions{app: a}, cmd, heading,
		func(ctx context.Context, fleet *operate.Fleet, _ []string) ([]operate.Answer[*storage.Disks], error) {
			return fleet.Disks(ctx)
		}, func(disks *storage.Disks) [][]string {
			var rows [][]string
			for _, disk := range disks.GetDisks() {
				rows = append(rows, []string{
					disk.GetDeviceName(), orDash(disk.GetModel()), orDash(disk.GetSerial()), disk.GetType().String(),
					sizeWord(int64(disk.GetSize())), orDash(disk.GetBusPath()), mark(disk.GetSystemDisk()), mark(disk.GetReadonly()),
				})
			}
			return rows
		})
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func mark(set bool) string {
	if set {
		return "*"
	}
	return ""
}

func newTime(a *app) *cobra.Command {
	var server string
	cmd := &cobra.Command{
		Use: "time", Short: "Show the nodes' clocks beside that of a time server", Args: cobra.NoArgs,
		Example: `  bronze time --check 10.5.0.1`,
	}
	cmd.Flags().StringVarP(&server, "check", "c", "", "time server to compare with (default the node's)")
	return askCommand(&nodeOptions{app: a}, cmd, []string{"NTP-SERVER", "NODE-TIME", "NTP-SERVER-TIME"},
		func(ctx context.Context, fleet *operate.Fleet, _ []string) ([]operate.Answer[*timeapi.Time], error) {
			return fleet.Times(ctx, server)
		}, func(found *timeapi.Time) [][]string {
			return [][]string{{
				found.GetServer(), found.GetLocaltime().AsTime().Format(time.RFC3339Nano), found.GetRemotetime().AsTime().Format(time.RFC3339Nano),
			}}
		})
}
