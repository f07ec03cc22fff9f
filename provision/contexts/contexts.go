// Package contexts keeps a cluster's entries in the user's kubeconfig and talosconfig, and takes them away again
// where they are still ours: kubeconfig entries bear a stamp, and a ledger in the state directory remembers which
// files were written, under which names, and which context was current before. It may import the two clients' config
// packages and provision/machineconfig, and no provider.
package contexts

import (
	"context"
	"errors"
	"fmt"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/machineconfig"
)

// Files implements provision.Contexts on the user's files.
type Files struct {
	// StateDir is absolute; it tells our entries from those of another state directory, and holds the ledger.
	StateDir string
	// Environ is what names the files: KUBECONFIG, TALOSCONFIG and HOME.
	Environ Environ

	// keeps leaves the current contexts as they are.
	keeps bool
}

// Add merges the cluster's entries into both files, in place of older ones of ours, and makes them current.
func (f Files) Add(ctx context.Context, access provision.Access) error {
	if err := f.AddKubeconfig(ctx, access); err != nil {
		return err
	}
	return f.AddTalosconfig(ctx, access)
}

// Refresh is Add for entries that were added before and are to say something else now: it leaves current what is current,
// and adds nothing where nothing was.
func (f Files) Refresh(ctx context.Context, access provision.Access) error {
	book, err := readLedger(f.StateDir, access.Cluster.Name)
	if err != nil {
		return err
	}
	f.keeps = true
	if book.Kubeconfig.Path != "" {
		err = f.AddKubeconfig(ctx, access)
	}
	if err == nil && book.Talosconfig.Path != "" {
		err = f.AddTalosconfig(ctx, access)
	}
	return err
}

// current is the context to be current after a merge: the merged one, unless another was so that is to be kept.
func (f Files) current(merged, previous string, before entry) string {
	if !f.keeps || previous == "" || previous == before.Context {
		return merged
	}
	return previous
}

// AddKubeconfig does the kubeconfig's half of Add.
func (f Files) AddKubeconfig(ctx context.Context, access provision.Access) error {
	machineCA, err := authorityOf(access)
	if err != nil {
		return err
	}
	return f.add(access, "kubeconfig", Kubeconfig, func(book *ledger, data []byte) error {
		return f.addKubeconfig(ctx, book, data, machineCA)
	})
}

// AddTalosconfig does the talosconfig's half of Add.
func (f Files) AddTalosconfig(ctx context.Context, access provision.Access) error {
	return f.add(access, "talosconfig", Talosconfig, func(book *ledger, data []byte) error {
		return f.addTalosconfig(ctx, book, data)
	})
}

// sign makes one of the two client configs.
type sign func(machineconfig.Secrets, provision.Access) ([]byte, error)

func (f Files) add(access provision.Access, what string, sign sign, merge func(*ledger, []byte) error) error {
	secrets, err := machineconfig.ParseSecrets(access.Secrets)
	if err != nil {
		return err
	}
	data, err := sign(secrets, access)
	if err != nil {
		return err
	}
	book, err := readLedger(f.StateDir, access.Cluster.Name)
	if err != nil {
		return err
	}
	if err := merge(&book, data); err != nil {
		return fmt.Errorf("merging the %s: %w", what, err)
	}
	return nil
}

// Remove takes the cluster's entries out of the files that Add wrote, and makes the context current again that was so
// before. Entries that are not ours stay.
func (f Files) Remove(ctx context.Context, cluster string) error {
	book, err := readLedger(f.StateDir, cluster)
	if err != nil {
		return err
	}
	err = errors.Join(f.removeKubeconfig(ctx, book), f.removeTalosconfig(ctx, book))
	if err != nil {
		return fmt.Errorf("removing the client contexts of cluster %q: %w", cluster, err)
	}
	return book.remove()
}

// Kubeconfig is the cluster's kubeconfig as the host uses it.
func Kubeconfig(secrets machineconfig.Secrets, access provision.Access) ([]byte, error) {
	return secrets.Kubeconfig(access.Cluster.Name, "https://"+access.KubernetesAPI.String())
}

// Talosconfig is the cluster's talosconfig as the host uses it.
func Talosconfig(secrets machineconfig.Secrets, access provision.Access) ([]byte, error) {
	return secrets.Talosconfig(access.Cluster.Name, access.Cluster.Founder().IP.String(), access.MachineAPI.String())
}
