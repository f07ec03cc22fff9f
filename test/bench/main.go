// Command bench measures what a user waits for and what a cluster costs: create and destroy of one control plane and one
// worker on a warm image, then memory, processor and disk of the idle nodes, and the size of the image. It prints a
// table and, where asked, writes everything as JSON. It makes and destroys a cluster of its own name only.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/bronze-os/bronze/test/lab"
)

// plan is what the flags ask for.
type plan struct {
	runs int
	// idle is how long the last run's cluster rests before its cost is taken.
	idle time.Duration
	json string
}

func main() {
	var asked plan

	flag.IntVar(&asked.runs, "runs", 5, "how often to create and destroy")
	flag.DurationVar(&asked.idle, "idle", time.Minute, "how long the cluster rests before memory and processor are read; 0 leaves that out")
	flag.StringVar(&asked.json, "json", "", "file for the whole result as JSON")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := bench(ctx, asked)

	stop()

	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench(ctx context.Context, asked plan) (err error) {
	root, err := os.Getwd()
	if err != nil {
		return err
	}

	dir, err := os.MkdirTemp("", "bronze-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	l := lab.Lab{Root: root, Dir: dir, Cluster: "bronze-bench"}
	defer func() { err = errors.Join(err, removeRest(ctx, l)) }()

	result, err := measure(ctx, l, asked)
	if err != nil {
		return err
	}

	if err := printTable(os.Stdout, result); err != nil || asked.json == "" {
		return err
	}

	return writeJSON(asked.json, result)
}

// removeRest destroys what a run that failed has left.
func removeRest(ctx context.Context, l lab.Lab) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()

	_, err := lab.Output(l.Bronze(ctx, "cluster", "destroy", l.Cluster, "--force"))

	return err
}

func writeJSON(path string, result result) error {
	text, err := json.MarshalIndent(result, "", "  ")
	if err != nil {
		return err
	}

	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}

	return os.WriteFile(path, append(text, '\n'), 0o644)
}
