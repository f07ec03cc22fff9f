package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/reconcile"
)

// The exit codes.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitRefused     = 3
	exitInterrupted = 130
)

// usageError is a command line that cannot be understood; nothing was done.
type usageError struct{ error }

// Unwrap lets errors.As see hints below it.
func (e usageError) Unwrap() error { return e.error }

// exitCode is what the process ends with. ctx ends early only by a signal.
func exitCode(ctx context.Context, err error) int {
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		return exitUsage
	case ctx.Err() != nil:
		return exitInterrupted
	case errors.Is(err, reconcile.ErrRefused):
		return exitRefused
	default:
		return exitFailed
	}
}

// report prints an error as one `error:` line for each of its parts, then its hints.
func report(stderr io.Writer, err error) {
	if err == nil {
		return
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if line != "" {
			fmt.Fprintln(stderr, "error:", line)
		}
	}
	for _, hint := range provision.Hints(err) {
		fmt.Fprintln(stderr, "hint:", hint)
	}
}
