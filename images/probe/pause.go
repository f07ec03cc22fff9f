package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// pause blocks until ctx ends. Where a pod shares its process namespace this is the pod's PID 1, so it reaps.
func pause(ctx context.Context, _ io.Writer) error {
	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
	defer signal.Stop(children)

	for {
		if err := reap(); err != nil {
			return err
		}

		select {
		case <-ctx.Done():
			return nil
		case <-children:
		}
	}
}

// reap collects every child that has ended: one SIGCHLD may stand for several.
func reap() error {
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.ECHILD), err == nil && pid == 0:
			return nil
		case err != nil:
			return fmt.Errorf("cannot wait for children: %w", err)
		}
	}
}
