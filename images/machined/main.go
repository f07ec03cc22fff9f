// Command machined is PID 1 of a Bronze node: it makes the file system, runs the services and serves the machine API.
// It may not import the packages of the host: provision, providers, images/build.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"github.com/bronze-os/bronze/images/machined/internal/machine"
	"github.com/bronze-os/bronze/images/machined/internal/ring"
	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
	"github.com/bronze-os/bronze/images/machined/internal/service"
)

// terminatedCode is the exit code of a process that ended for SIGTERM, as a shell has it. It tells the engine, which starts
// a node again that failed, that its own end was the cause: a node that was shut down over the machine API ends with 0,
// and stays down.
const terminatedCode = 128 + int(unix.SIGTERM)

func main() {
	terminated, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "machined:", err)
		os.Exit(1)
	}

	if terminated {
		os.Exit(terminatedCode)
	}
}

// run tells whether a signal ended the node.
func run() (terminated bool, err error) {
	if service, asked := killing(os.Args); asked && os.Getpid() != 1 {
		return false, killService(1, service)
	}

	if os.Getpid() != 1 {
		return false, fmt.Errorf("cannot run as process %d: machined is the first process of a node; make one with `bronze cluster create`", os.Getpid())
	}

	if err := rootfs.SetupCgroups(); err != nil {
		return false, err
	}

	if err := rootfs.Apply(rootfs.Container()); err != nil {
		return false, err
	}

	ownLog := ring.New(service.LogSize)
	log := slog.New(slog.NewTextHandler(io.MultiWriter(os.Stderr, ownLog), nil))

	// Services end in machine.Run, in order; this context is not the signal's, which would end them all at once.
	services, cancel := context.WithCancel(context.Background())
	defer cancel()

	signalled, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()

	node, err := machine.New(services, log, ownLog)
	if err != nil {
		return false, err
	}

	ending, err := node.Run(signalled)
	if !ending.Reboot && len(ending.Wipe) == 0 {
		return signalled.Err() != nil, err
	}

	if err != nil {
		log.Error("ending all the same", "error", err)
	}

	if err := rootfs.Wipe(ending.Wipe); err != nil || !ending.Reboot {
		return false, err
	}

	return false, rootfs.Restart()
}
