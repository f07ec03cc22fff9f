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

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "machined:", err)
		os.Exit(1)
	}
}

func run() error {
	if os.Getpid() != 1 {
		return fmt.Errorf("cannot run as process %d: machined is the first process of a node; make one with `bronze cluster create`", os.Getpid())
	}

	if err := rootfs.SetupCgroups(); err != nil {
		return err
	}

	if err := rootfs.Apply(rootfs.Container()); err != nil {
		return err
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
		return err
	}

	ending, err := node.Run(signalled)
	if ending != machine.Reboot {
		return err
	}

	if err != nil {
		log.Error("rebooting all the same", "error", err)
	}

	return rootfs.Restart()
}
