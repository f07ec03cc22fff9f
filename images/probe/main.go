// Command probe is the one program of the container image that every node holds. As pause it keeps a pod's namespaces;
// otherwise it is the workload of tests, in an image that has no shell. It imports the standard library only, as every
// pod starts one.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

const usage = `usage: probe pause | serve [--port N] [--dir DIR] | resolve NAME | fetch URL | write FILE TEXT | read FILE
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, arguments(os.Args), os.Stdout, os.Stderr)

	stop()
	os.Exit(code)
}

// arguments is what follows the program's name, or pause where that is the name.
func arguments(called []string) []string {
	if filepath.Base(called[0]) == "pause" {
		return []string{"pause"}
	}

	return called[1:]
}

// run answers the exit code: 0 done, 1 could not, 2 called wrongly.
func run(ctx context.Context, arguments []string, stdout, stderr io.Writer) int {
	act, ok := parse(arguments)
	if !ok {
		fmt.Fprint(stderr, usage)

		return 2
	}

	if err := act(ctx, stdout); err != nil {
		fmt.Fprintf(stderr, "probe: %v\n", err)

		return 1
	}

	return 0
}

type action func(ctx context.Context, stdout io.Writer) error

func parse(arguments []string) (action, bool) {
	if len(arguments) == 0 {
		return nil, false
	}

	verb, operands := arguments[0], arguments[1:]
	switch {
	case verb == "pause" && len(operands) == 0:
		return pause, true
	case verb == "serve":
		return parseServe(operands)
	case verb == "resolve" && len(operands) == 1:
		return resolve(operands[0]), true
	case verb == "fetch" && len(operands) == 1:
		return fetch(operands[0]), true
	case verb == "write" && len(operands) == 2:
		return write(operands[0], operands[1]), true
	case verb == "read" && len(operands) == 1:
		return read(operands[0]), true
	default:
		return nil, false
	}
}
