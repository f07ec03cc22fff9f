package contexts

import (
	"context"
	"os"
	"path/filepath"

	clientconfig "github.com/siderolabs/talos/pkg/machinery/client/config"
	"github.com/siderolabs/talos/pkg/machinery/constants"
)

// LoadTalosconfig reads the talosconfig at path; where path is empty, the one that talosctl reads: what TALOSCONFIG names,
// ~/.talos/config, or that of a pod's service account. Where there is none, it has no contexts.
func (e Environ) LoadTalosconfig(path string) (*clientconfig.Config, error) {
	if path != "" {
		return readTalosconfig(path)
	}
	path, err := e.talosconfigPath()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); err != nil && e.Talosconfig == "" {
		account := filepath.Join(constants.ServiceAccountMountPath, constants.TalosconfigFilename)
		if _, err := os.Stat(account); err == nil {
			return readTalosconfig(account)
		}
	}
	return readTalosconfig(path)
}

// EditTalosconfig changes the talosconfig at path, which is made where it is missing; where path is empty, the one that
// LoadTalosconfig reads. Other programs that take the file's lock wait meanwhile. Nothing is written where edit fails.
func (e Environ) EditTalosconfig(ctx context.Context, path string, edit func(*clientconfig.Config) error) error {
	if path == "" {
		var err error
		if path, err = e.talosconfigPath(); err != nil {
			return err
		}
	}
	return locked(ctx, path, func() error {
		config, err := readTalosconfig(path)
		if err != nil {
			return err
		}
		if config.Contexts == nil {
			config.Contexts = map[string]*clientconfig.Context{}
		}
		if err := edit(config); err != nil {
			return err
		}
		return writeTalosconfig(path, config)
	})
}
