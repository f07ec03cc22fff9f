// Command bronze makes, shows and destroys local clusters. Each file parses one command, calls one library function and
// prints the answer: stdout is the answer, stderr is everything else. Decisions belong to provision.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	os.Exit(run(os.Args[1:], hostApp(os.Stdout, os.Stderr)))
}

// run is the whole process but for its exit.
func run(args []string, a *app) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// After the first signal the work winds down; the second has its usual effect and ends the process at once.
	context.AfterFunc(ctx, stop)
	root := newRoot(a)
	// Never nil, for which cobra takes the process's own arguments.
	root.SetArgs(append([]string{}, args...))
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	err := root.ExecuteContext(ctx)
	report(a.stderr, err)
	return exitCode(ctx, err)
}
