package service

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bronze-os/bronze/images/machined/internal/reaper"
)

// StopLimit is how long a process has between SIGTERM and SIGKILL.
const StopLimit = 10 * time.Second

// drainLimit bounds how long the rest of a dead process's output is waited for.
const drainLimit = 200 * time.Millisecond

// Command is a process to run.
type Command struct {
	// Argv starts with the absolute path of the program.
	Argv []string
	// Env is the whole environment, as NAME=value.
	Env []string
}

// Process makes a Spec.Run out of a command, which is asked for anew at each start.
func Process(r *reaper.Reaper, command func() (Command, error)) func(context.Context, io.Writer) error {
	return func(ctx context.Context, log io.Writer) error {
		c, err := command()
		if err != nil {
			return err
		}

		return run(ctx, r, c, log)
	}
}

func run(ctx context.Context, r *reaper.Reaper, c Command, log io.Writer) error {
	read, write, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("cannot make a pipe: %w", err)
	}

	cmd := exec.Command(c.Argv[0], c.Argv[1:]...)
	cmd.Env, cmd.Dir = c.Env, "/"
	cmd.Stdout, cmd.Stderr = write, write
	// A process group of its own keeps a signal to machined's group from reaching it out of order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}

	process, err := r.Start(cmd)
	write.Close()

	if err != nil {
		read.Close()
		return err
	}

	copied := make(chan struct{})

	go func() {
		defer close(copied)
		_, _ = io.Copy(log, read)
	}()

	err = await(ctx, process)

	// What the process wrote last is still in the pipe, yet a grandchild that inherited it may hold it open for ever.
	_ = read.SetReadDeadline(time.Now().Add(drainLimit))
	<-copied
	read.Close()

	return err
}

// await blocks until the process ends, and ends it when ctx does.
func await(ctx context.Context, process *reaper.Process) error {
	select {
	case <-process.Done():
		return process.Wait()
	case <-ctx.Done():
	}

	_ = process.Signal(unix.SIGTERM)

	select {
	case <-process.Done():
	case <-time.After(StopLimit):
		_ = process.Signal(unix.SIGKILL)
	}

	return process.Wait()
}
