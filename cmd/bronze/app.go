package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"github.com/bronze-os/bronze/providers"
	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/contexts"
	"github.com/bronze-os/bronze/provision/kube"
	"github.com/bronze-os/bronze/provision/machineapi"
	"github.com/bronze-os/bronze/provision/machineconfig"
	"github.com/bronze-os/bronze/provision/reconcile"
)

// app is what every command shares: the world it works on, and the flags of the root.
type app struct {
	stdout, stderr io.Writer
	// open finds a provider by its name, with a directory to remember things in.
	open      func(name, stateDir string) (provision.Provider, error)
	connector provision.Connector
	// changer opens what changing nodes asks of them beyond that.
	changer reconcile.Connector
	environ contexts.Environ

	stateDir string
	provider string
}

// hostApp works on this host.
func hostApp(stdout, stderr io.Writer) *app {
	return &app{
		stdout: stdout, stderr: stderr,
		open: providers.Open, connector: connector{}, changer: changer{}, environ: contexts.OSEnviron(),
	}
}

// reconciler wires the domain to the provider and to the clients of this host.
func (a *app) reconciler(progress provision.Progress) (*provision.Reconciler, error) {
	store, err := provision.OpenStore(a.stateDir)
	if err != nil {
		return nil, err
	}
	provider, err := a.open(a.provider, store.Dir())
	if err != nil {
		return nil, err
	}
	return &provision.Reconciler{
		Provider:  provider,
		Store:     store,
		Configs:   machineconfig.Generator{},
		Connector: a.connector,
		Contexts:  a.files(store),
		Recall:    recall(provider),
		Progress:  progress,
	}, nil
}

// recall rebuilds records from what the provider's engine has; nil where that does not tell enough.
func recall(provider provision.Provider) func(context.Context, string) (provision.Record, error) {
	engine, ok := provider.(reconcile.Engine)
	if !ok {
		return nil
	}
	return func(ctx context.Context, name string) (provision.Record, error) {
		return reconcile.Recall(ctx, engine, name)
	}
}

func (a *app) files(store *provision.Store) contexts.Files {
	return contexts.Files{StateDir: store.Dir(), Environ: a.environ}
}

// connector opens a cluster's APIs with the clients of this host.
type connector struct{}

func (connector) Machines(access provision.Access) (provision.Machines, error) {
	return machineapi.Open(access)
}

func (connector) Kubernetes(access provision.Access) (provision.Kubernetes, error) {
	return kube.Open(access)
}

// changer opens a cluster's APIs with the same clients, for reconciling.
type changer struct{}

func (changer) Nodes(access provision.Access) (reconcile.Nodes, error) {
	return machineapi.Open(access)
}

func (changer) Kubernetes(access provision.Access) (reconcile.Kubernetes, error) {
	return kube.Open(access)
}

// terminalWidth is the number of columns of w, 0 where w is no terminal.
func terminalWidth(w io.Writer) int {
	file, isFile := w.(*os.File)
	if !isFile || !term.IsTerminal(int(file.Fd())) {
		return 0
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// warn prints what the user should read though the work is done.
func (a *app) warn(warnings []string) {
	for _, warning := range warnings {
		fmt.Fprintln(a.stderr, "warning:", warning)
	}
}
