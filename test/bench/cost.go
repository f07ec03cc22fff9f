package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/bronze-os/bronze/test/lab"
)

// window is over which an idle node's processor time is taken.
const window = 20 * time.Second

// cost is what one idle node, or the balancer, takes of its host.
type cost struct {
	Name string `json:"name"`
	// MemoryBytes is the cgroup's usage less the file pages that the kernel would give up first.
	MemoryBytes int64 `json:"memoryBytes"`
	// CPU is the share of one processor; 0.05 is five in a hundred.
	CPU float64 `json:"cpu"`
	// VarBytes is what lies on the volume of /var.
	VarBytes int64 `json:"varBytes"`
}

// measureCosts lets the cluster rest first, as the last work of a start still goes on when create returns.
func measureCosts(ctx context.Context, l lab.Lab, idle time.Duration) ([]cost, error) {
	if err := rest(ctx, idle); err != nil {
		return nil, err
	}

	ids, err := lab.Docker(ctx, "ps", "--no-trunc", "--quiet", "--filter", "label=talos.cluster.name="+l.Cluster)
	if err != nil {
		return nil, err
	}

	costs := make([]cost, len(ids))
	before := make([]time.Duration, len(ids))

	for i, id := range ids {
		if costs[i], err = costOf(ctx, id); err != nil {
			return nil, err
		}

		if before[i], err = processorTime(id); err != nil {
			return nil, err
		}
	}

	if err := rest(ctx, window); err != nil {
		return nil, err
	}

	for i, id := range ids {
		after, err := processorTime(id)
		if err != nil {
			return nil, err
		}

		costs[i].CPU = (after - before[i]).Seconds() / window.Seconds()
	}

	slices.SortFunc(costs, func(a, b cost) int { return strings.Compare(a.Name, b.Name) })

	return costs, nil
}

func rest(ctx context.Context, length time.Duration) error {
	timer := time.NewTimer(length)
	defer timer.Stop()

	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func costOf(ctx context.Context, id string) (cost, error) {
	words, err := lab.Docker(ctx, "inspect", "--format",
		`{{.Name}} {{range .Mounts}}{{if eq .Destination "/var"}}{{.Source}}{{end}}{{end}}`, id)
	if err != nil {
		return cost{}, err
	}

	node := cost{Name: strings.TrimPrefix(words[0], "/")}

	if node.MemoryBytes, err = workingSet(id); err != nil {
		return cost{}, err
	}

	// The balancer has no such volume.
	if len(words) > 1 {
		node.VarBytes, err = diskUsage(words[1])
	}

	return node, err
}

// workingSet reads a container's memory from whichever of the two cgroup hierarchies the host has.
func workingSet(id string) (int64, error) {
	usage, err := readCgroup(id, "memory/docker/ID/memory.usage_in_bytes", "docker/ID/memory.current", "system.slice/docker-ID.scope/memory.current")
	if err != nil {
		return 0, err
	}

	stat, err := readCgroup(id, "memory/docker/ID/memory.stat", "docker/ID/memory.stat", "system.slice/docker-ID.scope/memory.stat")
	if err != nil {
		return 0, err
	}

	used, err := strconv.ParseInt(strings.TrimSpace(usage), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("cannot parse the memory usage: %w", err)
	}

	// On v1 the plain name counts the cgroup alone; the total counts those of the pods below it too.
	inactive, ok := field(stat, "total_inactive_file")
	if !ok {
		inactive, ok = field(stat, "inactive_file")
	}

	if !ok {
		return 0, fmt.Errorf("cannot find inactive_file in the memory's stat")
	}

	return used - inactive, nil
}

// processorTime is what a container has used since it started.
func processorTime(id string) (time.Duration, error) {
	text, err := readCgroup(id, "cpuacct/docker/ID/cpuacct.usage", "docker/ID/cpu.stat", "system.slice/docker-ID.scope/cpu.stat")
	if err != nil {
		return 0, err
	}

	if microseconds, ok := field(text, "usage_usec"); ok {
		return time.Duration(microseconds) * time.Microsecond, nil
	}

	nanoseconds, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("cannot parse the processor time: %w", err)
	}

	return time.Duration(nanoseconds), nil
}

// readCgroup reads the first of the candidates that is there.
func readCgroup(id string, candidates ...string) (string, error) {
	for _, candidate := range candidates {
		text, err := os.ReadFile(filepath.Join("/sys/fs/cgroup", strings.Replace(candidate, "ID", id, 1)))
		if err == nil {
			return string(text), nil
		}
	}

	return "", fmt.Errorf("cannot find the cgroup of container %.12s", id)
}

// field is the number after a name in a table of names and numbers.
func field(table, name string) (int64, bool) {
	for line := range strings.Lines(table) {
		if number, found := strings.CutPrefix(line, name+" "); found {
			value, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)

			return value, err == nil
		}
	}

	return 0, false
}

// diskUsage adds up the blocks of all files under dir, each counted once.
func diskUsage(dir string) (bytes int64, err error) {
	seen := map[uint64]bool{}

	err = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}

		info, err := entry.Info()
		if err != nil {
			return err
		}

		if stat, ok := info.Sys().(*syscall.Stat_t); ok && !seen[stat.Ino] {
			seen[stat.Ino] = true
			bytes += stat.Blocks * 512
		}

		return nil
	})

	return bytes, err
}
