// Package reaper waits for every child of PID 1: for the processes that machined started itself, whose owners want the
// exit status, and for the orphans that the kernel hands to PID 1. It imports the standard library and x/sys only.
package reaper

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Reaper owns wait4 for the whole process: nothing else in it may call Wait on a child. New makes one.
type Reaper struct {
	// mu is held from before a process starts until it is registered, so that a child which exits at once is still
	// found in running by the reaping loop.
	mu      sync.Mutex
	running map[int]*Process
	signals chan os.Signal
	stopped chan struct{}
}

// Process is a child that was started through a Reaper.
type Process struct {
	handle *os.Process
	done   chan struct{}
	status syscall.WaitStatus
}

// New starts to reap. Close ends it.
func New() *Reaper {
	r := &Reaper{
		running: map[int]*Process{},
		signals: make(chan os.Signal, 1),
		stopped: make(chan struct{}),
	}

	signal.Notify(r.signals, unix.SIGCHLD)

	go r.loop()

	return r
}

// Close stops to reap; children that end later stay zombies.
func (r *Reaper) Close() {
	signal.Stop(r.signals)
	close(r.signals)
	<-r.stopped
}

func (r *Reaper) loop() {
	defer close(r.stopped)

	// One SIGCHLD may stand for many children, so each wakes a sweep over all that have ended.
	for range r.signals {
		for r.reapOne() {
		}
	}
}

func (r *Reaper) reapOne() bool {
	var status syscall.WaitStatus

	r.mu.Lock()
	defer r.mu.Unlock()

	pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
	if errors.Is(err, syscall.EINTR) {
		return true
	}

	if err != nil || pid <= 0 {
		return false
	}

	if process, ok := r.running[pid]; ok {
		delete(r.running, pid)
		process.status = status
		close(process.done)
	}

	return true
}

// Start starts cmd, whose Stdout and Stderr must be nil or *os.File: exec's copying goroutines end only in Wait, which
// belongs to the reaper here.
func (r *Reaper) Start(cmd *exec.Cmd) (*Process, error) {
	r.mu.Lock()
	defer r.mu.Unlock()

	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", cmd.Path, err)
	}

	process := &Process{handle: cmd.Process, done: make(chan struct{})}
	r.running[cmd.Process.Pid] = process

	return process, nil
}

// Run runs argv to its end and answers what it printed; on a non-zero exit its output is in the error. A context that
// ends kills it.
func (r *Reaper) Run(ctx context.Context, argv ...string) (string, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return "", fmt.Errorf("cannot make a pipe: %w", err)
	}
	defer read.Close()

	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = write, write

	process, err := r.Start(cmd)
	write.Close()

	if err != nil {
		return "", err
	}

	stop := context.AfterFunc(ctx, func() { _ = process.Signal(unix.SIGKILL) })
	defer stop()

	var output bytes.Buffer
	_, readErr := output.ReadFrom(read)
	text := strings.TrimSpace(output.String())

	if err := process.Wait(); err != nil {
		return text, fmt.Errorf("%s: %w: %s", argv[0], err, text)
	}

	return text, readErr
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Pid is the process's ID.
func (p *Process) Pid() int { return p.handle.Pid }

// Signal sends a signal; one to a process that has ended is an error.
func (p *Process) Signal(sig os.Signal) error {
	select {
	case <-p.done:
		return os.ErrProcessDone
	default:
		return p.handle.Signal(sig)
	}
}

// Wait blocks until the process has ended; the error is nil for exit code 0 only.
func (p *Process) Wait() error {
	<-p.done

	switch {
	case p.status.Signaled():
		return fmt.Errorf("killed by %s", p.status.Signal())
	case p.status.ExitStatus() != 0:
		return fmt.Errorf("exit code %d", p.status.ExitStatus())
	default:
		return nil
	}
}
