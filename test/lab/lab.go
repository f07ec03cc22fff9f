// Package lab runs the built commands as a user would, each cluster with a state directory and client configs of its
// own, so that neither a test nor a measurement touches the user's. Only the packages of test import it.
package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Lab is one cluster's place: its name, and the directory for all that bronze writes about it.
type Lab struct {
	// Root is the repository, where bin/bronze and bin/kubectl are.
	Root string
	// Dir is an absolute directory that only this lab uses.
	Dir string
	// Cluster is the cluster's name.
	Cluster string
}

// StateDir is what --state-dir gets.
func (l Lab) StateDir() string { return filepath.Join(l.Dir, "state") }

// Kubeconfig is what the environment variable KUBECONFIG gets.
func (l Lab) Kubeconfig() string { return filepath.Join(l.Dir, "kubeconfig") }

// Talosconfig is what the environment variable TALOSCONFIG gets.
func (l Lab) Talosconfig() string { return filepath.Join(l.Dir, "talosconfig") }

// Bronze is bin/bronze with those arguments, not started.
func (l Lab) Bronze(ctx context.Context, args ...string) *exec.Cmd {
	return l.command(ctx, "bronze", append(args, "--state-dir", l.StateDir()))
}

// Kubectl is bin/kubectl with those arguments, not started.
func (l Lab) Kubectl(ctx context.Context, args ...string) *exec.Cmd {
	return l.command(ctx, "kubectl", args)
}

func (l Lab) command(ctx context.Context, name string, args []string) *exec.Cmd {
	command := exec.CommandContext(ctx, filepath.Join(l.Root, "bin", name), args...)
	command.Dir = l.Root
	command.Env = append(os.Environ(), "KUBECONFIG="+l.Kubeconfig(), "TALOSCONFIG="+l.Talosconfig())

	return command
}

// Output runs the command and answers what it wrote to stdout, without spaces around it; what it wrote to stderr is in
// the error.
func Output(command *exec.Cmd) (string, error) {
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr

	if err := command.Run(); err != nil {
		name := filepath.Base(command.Path)

		return "", fmt.Errorf("running %s %s: %w\n%s", name, strings.Join(command.Args[1:], " "), err, stderr.Bytes())
	}

	return strings.TrimSpace(stdout.String()), nil
}

// Docker runs the engine's client and answers the words that it wrote to stdout.
func Docker(ctx context.Context, args ...string) ([]string, error) {
	output, err := Output(exec.CommandContext(ctx, "docker", args...))

	return strings.Fields(output), err
}

// Owned lists what the engine holds of the cluster, each as "container <id>", "volume <name>" or "network <id>".
func (l Lab) Owned(ctx context.Context) ([]string, error) {
	var owned []string

	for kind, list := range map[string][]string{
		"container": {"ps", "--all", "--quiet", "--no-trunc"},
		"volume":    {"volume", "ls", "--quiet"},
		"network":   {"network", "ls", "--quiet", "--no-trunc"},
	} {
		ids, err := Docker(ctx, append(list, "--filter", "label=talos.cluster.name="+l.Cluster)...)
		if err != nil {
			return nil, err
		}

		for _, id := range ids {
			owned = append(owned, kind+" "+id)
		}
	}

	return owned, nil
}

// Until asks again until holds answers no error; when ctx ends first it answers the last one.
func Until(ctx context.Context, holds func(context.Context) error) error {
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()

	for {
		err := holds(ctx)
		if err == nil {
			return nil
		}

		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-ticker.C:
		}
	}
}
