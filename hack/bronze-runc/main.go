// Command bronze-runc is an OCI runtime for hosts whose engine runs without some capabilities. It takes out of a
// bundle's config.json what the kernel would refuse there, and becomes runc. Without it `docker run --privileged` ends
// with "unable to apply caps" on such a host. It is a tool for trying nodes by hand: bronze's own provider falls back by
// itself. It imports the standard library only.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bronze-runc:", err)
		os.Exit(1)
	}
}

// run returns only with an error: on success this process is runc.
func run(args []string) error {
	if bundle, ok := bundleOf(args); ok {
		if err := fitBundle(filepath.Join(bundle, "config.json")); err != nil {
			return fmt.Errorf("fitting the bundle %q to this host: %w", bundle, err)
		}
	}

	runc, err := exec.LookPath("runc")
	if err != nil {
		return fmt.Errorf("cannot find runc: %w", err)
	}

	return syscall.Exec(runc, append([]string{"runc"}, args...), os.Environ())
}

// bundleOf tells the bundle that a runc command line makes a container from; only create and run do.
func bundleOf(args []string) (string, bool) {
	bundle, makes := ".", false
	for i, arg := range args {
		name, value, joined := strings.Cut(arg, "=")
		switch {
		case arg == "create" || arg == "run":
			makes = true
		case name != "--bundle" && name != "-bundle" && name != "-b":
		case joined:
			bundle = value
		case i+1 < len(args):
			bundle = args[i+1]
		}
	}

	return bundle, makes
}

// fitBundle rewrites the config in place, as runc reads it by that name.
func fitBundle(path string) error {
	config, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("cannot read the config: %w", err)
	}

	host, err := observeHost()
	if err != nil {
		return err
	}

	fitted, err := fit(config, host)
	if err != nil {
		return err
	}

	return os.WriteFile(path, fitted, 0o600)
}
