package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/test/lab"
)

// result is everything that was measured.
type result struct {
	Host  hostFacts `json:"host"`
	Runs  []cycle   `json:"runs"`
	Nodes []cost    `json:"nodes,omitempty"`
	Image imageSize `json:"image"`
}

// hostFacts say what the figures are worth: a loaded host is a slow one.
type hostFacts struct {
	CPUs    int    `json:"cpus"`
	Kernel  string `json:"kernel"`
	LoadAvg string `json:"loadAvg"`
}

// cycle is one create and one destroy; all times are in seconds from the start of the process.
type cycle struct {
	// Create is until the process ended, and Seen until this program's own client found every node Ready and CoreDNS
	// Available, which it asks for only then.
	Create float64 `json:"create"`
	Seen   float64 `json:"seen"`
	// Full is until all replicas of CoreDNS were available, where Available wants one of two: what some other tools'
	// figures mean.
	Full float64 `json:"full"`
	// Phases are as create itself reports them.
	Phases  []provision.Timing `json:"phases"`
	Destroy float64            `json:"destroy"`
}

// imageSize is in bytes.
type imageSize struct {
	UnpackedBytes   int64 `json:"unpackedBytes"`
	CompressedBytes int64 `json:"compressedBytes"`
}

func measure(ctx context.Context, l lab.Lab, asked plan) (result, error) {
	measured := result{Host: observeHost()}

	for number := range asked.runs {
		last := number == asked.runs-1

		run, err := create(ctx, l)
		if err != nil {
			return result{}, err
		}

		if last && asked.idle > 0 {
			if measured.Nodes, err = measureCosts(ctx, l, asked.idle); err != nil {
				return result{}, err
			}
		}

		if run.Destroy, err = destroy(ctx, l); err != nil {
			return result{}, err
		}

		fmt.Fprintf(os.Stderr, "bench: run %d of %d: create %.1f s, destroy %.1f s\n", number+1, asked.runs, run.Seen, run.Destroy)
		measured.Runs = append(measured.Runs, run)
	}

	var err error
	measured.Image, err = readImageSize(l.Root)

	return measured, err
}

func observeHost() hostFacts {
	// What cannot be read is left out of the report: nothing is measured by it.
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	load, _ := os.ReadFile("/proc/loadavg")

	return hostFacts{CPUs: runtime.NumCPU(), Kernel: strings.TrimSpace(string(kernel)), LoadAvg: strings.TrimSpace(string(load))}
}

func create(ctx context.Context, l lab.Lab) (cycle, error) {
	started := time.Now()

	answer, err := lab.Output(l.Bronze(ctx, "cluster", "create", l.Cluster, "--workers", "1", "-o", "json"))
	if err != nil {
		return cycle{}, err
	}

	run := cycle{Create: time.Since(started).Seconds()}

	if err := checkUp(ctx, l, 2); err != nil {
		return cycle{}, fmt.Errorf("looking at the cluster after create: %w", err)
	}

	run.Seen = time.Since(started).Seconds()

	if err := checkFull(ctx, l); err != nil {
		return cycle{}, fmt.Errorf("waiting for all of CoreDNS: %w", err)
	}

	run.Full = time.Since(started).Seconds()

	var told struct {
		Timings []provision.Timing `json:"timings"`
	}
	if err := json.Unmarshal([]byte(answer), &told); err != nil {
		return cycle{}, fmt.Errorf("cannot read what create told: %w", err)
	}

	run.Phases = told.Timings

	return run, nil
}

func destroy(ctx context.Context, l lab.Lab) (seconds float64, err error) {
	started := time.Now()

	if _, err := lab.Output(l.Bronze(ctx, "cluster", "destroy", l.Cluster)); err != nil {
		return 0, err
	}

	seconds = time.Since(started).Seconds()

	owned, err := l.Owned(ctx)
	if err == nil && len(owned) > 0 {
		err = fmt.Errorf("destroy left %q", owned)
	}

	return seconds, err
}

// readImageSize takes the summary that the image build wrote.
func readImageSize(root string) (imageSize, error) {
	text, err := os.ReadFile(filepath.Join(root, "build/image/summary.json"))
	if err != nil {
		return imageSize{}, fmt.Errorf("cannot read the image's summary, which make image writes: %w", err)
	}

	var size imageSize

	return size, json.Unmarshal(text, &size)
}
