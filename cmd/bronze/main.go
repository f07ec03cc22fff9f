// Command bronze makes, shows and destroys local clusters. Each file parses one command, calls one library function and
// prints the answer: stdout is the answer, stderr is everything else. Decisions belong to provision.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is the whole process but for its exit.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// After the first signal the work winds down; the second has its usual effect and ends the process at once.
	context.AfterFunc(ctx, stop)
	root := newRoot(&app{stdout: stdout, stderr: stderr})
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	report(stderr, err)
	return exitCode(ctx, err)
}
