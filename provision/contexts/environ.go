package contexts

import (
	"errors"
	"os"
	"path/filepath"
)

// Environ is the part of a process's environment that says where client configs are.
type Environ struct {
	// Kubeconfig is KUBECONFIG: a list of files, separated as PATH is.
	Kubeconfig string
	// Talosconfig is TALOSCONFIG: one file.
	Talosconfig string
	// Home is the user's home directory.
	Home string
}

// OSEnviron reads this process's environment.
func OSEnviron() Environ {
	home, err := os.UserHomeDir()
	if err != nil {
		// Without a home both variables must be set; the paths below say so.
		home = ""
	}
	return Environ{Kubeconfig: os.Getenv("KUBECONFIG"), Talosconfig: os.Getenv("TALOSCONFIG"), Home: home}
}

// kubeconfigPaths lists the files that make up the kubeconfig, first the one that wins.
func (e Environ) kubeconfigPaths() ([]string, error) {
	var paths []string
	for _, path := range filepath.SplitList(e.Kubeconfig) {
		if path != "" {
			paths = append(paths, path)
		}
	}
	if len(paths) > 0 {
		return absolute(paths)
	}
	if e.Home == "" {
		return nil, errors.New("cannot find a kubeconfig: neither KUBECONFIG nor a home directory is set")
	}
	return absolute([]string{filepath.Join(e.Home, ".kube", "config")})
}

// talosconfigPath is the file that talosctl writes.
func (e Environ) talosconfigPath() (string, error) {
	if e.Talosconfig != "" {
		return filepath.Abs(e.Talosconfig)
	}
	if e.Home == "" {
		return "", errors.New("cannot find a talosconfig: neither TALOSCONFIG nor a home directory is set")
	}
	return filepath.Abs(filepath.Join(e.Home, ".talos", "config"))
}

func absolute(paths []string) ([]string, error) {
	for i := range paths {
		var err error
		if paths[i], err = filepath.Abs(paths[i]); err != nil {
			return nil, err
		}
	}
	return paths, nil
}
