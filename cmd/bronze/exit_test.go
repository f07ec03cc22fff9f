package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bronze-os/bronze/provision"
)

func TestInterruptedWorkEndsWith130(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	failed := fmt.Errorf("waiting: %w", ctx.Err())
	for err, want := range map[error]int{nil: exitOK, failed: exitInterrupted, usageError{failed}: exitUsage} {
		if got := exitCode(ctx, err); got != want {
			t.Errorf("%v: ended with %d, want %d", err, got, want)
		}
	}
}

func TestEachErrorAndEachHintIsALine(t *testing.T) {
	var out strings.Builder
	report(&out, fmt.Errorf("creating: %w", errors.Join(
		provision.WithHint(errors.New("cannot do this"), "do that"),
		provision.WithHint(errors.New("cannot do that"), "do that"),
	)))
	want := "error: creating: cannot do this\nerror: cannot do that\nhint: do that\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}
