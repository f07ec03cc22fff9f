package contexts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	clientconfig "github.com/siderolabs/talos/pkg/machinery/client/config"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/machineconfig"
)

// authorityOf is the cluster's authority for the machine API as a talosconfig has it.
func authorityOf(access provision.Access) (string, error) {
	secrets, err := machineconfig.ParseSecrets(access.Secrets)
	if err != nil {
		return "", err
	}
	data, err := Talosconfig(secrets, access)
	if err != nil {
		return "", err
	}
	config, err := clientconfig.FromBytes(data)
	if err != nil {
		return "", fmt.Errorf("cannot parse the talosconfig: %w", err)
	}
	return config.Contexts[config.Context].CA, nil
}

// Stamps lists the stamps of all entries of ours in the user's kubeconfig, and of what this state directory remembers of
// having merged, whichever cluster and state directory they are of, each once.
func (f Files) Stamps(context.Context) ([]provision.Stamp, error) {
	found := map[provision.Stamp]bool{}
	marks, err := f.marks()
	if err != nil {
		return nil, err
	}
	for _, mark := range marks {
		found[mark.Stamp] = true
	}
	books, err := filepath.Glob(filepath.Join(f.StateDir, ledgersDir, "*"+ledgerSuffix))
	if err != nil {
		return nil, fmt.Errorf("cannot list which contexts were merged: %w", err)
	}
	for _, book := range books {
		found[f.stamp(strings.TrimSuffix(filepath.Base(book), ledgerSuffix))] = true
	}
	return slices.SortedFunc(maps.Keys(found), func(a, b provision.Stamp) int {
		return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.StateDir, b.StateDir))
	}), nil
}

// marks are the stamps in the user's kubeconfig.
func (f Files) marks() ([]stamp, error) {
	paths, err := f.Environ.kubeconfigPaths()
	if err != nil {
		return nil, err
	}
	var marks []stamp
	for _, path := range paths {
		config, err := readKubeconfig(path)
		if err != nil {
			return nil, err
		}
		for _, entry := range config.Contexts {
			marks = append(marks, stampOn(entry.Extensions))
		}
		for _, entry := range config.Clusters {
			marks = append(marks, stampOn(entry.Extensions))
		}
		for _, entry := range config.AuthInfos {
			marks = append(marks, stampOn(entry.Extensions))
		}
	}
	return slices.DeleteFunc(marks, func(mark stamp) bool { return mark.Cluster == "" || mark.StateDir == "" }), nil
}

// RemoveStamped takes away all entries that bear the stamp, and those of the talosconfig that the stamp vouches for,
// whatever became of the ledger.
func (f Files) RemoveStamped(ctx context.Context, of provision.Stamp) error {
	marks, err := f.marks()
	if err != nil {
		return err
	}
	// First, as the stamps are gone with the kubeconfig's entries.
	for _, mark := range marks {
		if mark.Stamp == of && mark.MachineCA != "" {
			if err := f.removeAuthority(ctx, mark.MachineCA); err != nil {
				return fmt.Errorf("removing the talosconfig's entries of cluster %q: %w", of.Cluster, err)
			}
		}
	}
	made := Files{StateDir: of.StateDir, Environ: f.Environ}
	return made.Remove(ctx, of.Cluster)
}

// removeAuthority takes those contexts out of the talosconfig that have the authority of one cluster.
func (f Files) removeAuthority(ctx context.Context, authority string) error {
	path, err := f.Environ.talosconfigPath()
	if err != nil {
		return err
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return locked(ctx, path, func() error {
		config, err := readTalosconfig(path)
		if err != nil {
			return err
		}
		removed := false
		for name, found := range config.Contexts {
			if found != nil && found.CA == authority {
				removed = removeMerged(config, entry{Context: name, CA: authority}) || removed
			}
		}
		if !removed {
			return nil
		}
		return writeTalosconfig(path, config)
	})
}
