package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/images/machined/internal/machineapi/proc"
)

// maxCommand is how much of a program's name the kernel keeps.
const maxCommand = 15

// killing is the service that is to be killed where the arguments say so, as they do when a drill runs this program in a
// node, beside the one that is PID 1.
func killing(args []string) (service string, asked bool) {
	if len(args) != 3 || args[1] != boot.KillCommand {
		return "", false
	}

	return args[2], true
}

// killService sends SIGKILL to the children of the process parent that run the program of that name. A pod's process of
// that name is no child of PID 1.
func killService(parent int, name string) error {
	pids, err := children(parent, name)
	if err != nil {
		return err
	}

	if len(pids) == 0 {
		return fmt.Errorf("cannot kill %q: it does not run", name)
	}

	for _, pid := range pids {
		if err := unix.Kill(pid, unix.SIGKILL); err != nil {
			return fmt.Errorf("cannot kill process %d: %w", pid, err)
		}
	}

	return nil
}

// children lists the children of a process that run the program of that name. A process that ends meanwhile is none.
func children(parent int, name string) ([]int, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, fmt.Errorf("cannot list the processes: %w", err)
	}

	var pids []int

	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}

		process := proc.Process(string(text), "", os.Getpagesize())
		if process == nil || int(process.Ppid) != parent || process.Command != name[:min(len(name), maxCommand)] {
			continue
		}

		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			return nil, fmt.Errorf("cannot read %s: %w", path, err)
		}

		pids = append(pids, pid)
	}

	return pids, nil
}
