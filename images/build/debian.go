package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/bronze-os/bronze/images/node"
)

// architecture is the one that node.yaml's packages are for.
const architecture = "amd64"

// fetch brings every package into the cache and answers its .deb there, by the package's name.
func (b builder) fetch(ctx context.Context, packages []node.Package) (debs map[string]string, err error) {
	err = b.step("packages", func() (cached bool, err error) {
		debs = map[string]string{}

		var missing []node.Package

		for _, p := range packages {
			debs[p.Name] = b.debPath(p)
			if _, err := os.Stat(debs[p.Name]); err != nil {
				missing = append(missing, p)
			}
		}

		return len(missing) == 0, b.download(ctx, missing)
	})

	return debs, err
}

func (b builder) debPath(p node.Package) string {
	return filepath.Join(b.cache.dir, "packages", p.SHA256+".deb")
}

// download asks apt for exact versions, and takes from what came the files with the wanted checksums. What the host's
// package lists do not know is asked for again with fresh lists, which are kept apart from the host's own.
func (b builder) download(ctx context.Context, packages []node.Package) error {
	if len(packages) == 0 {
		return nil
	}

	parent := filepath.Join(b.cache.dir, "packages")
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}

	scratch, err := os.MkdirTemp(parent, ".new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)

	missing, message, err := b.ask(ctx, scratch, nil, packages)
	if err == nil && len(missing) > 0 {
		missing, message, err = b.askAfresh(ctx, scratch, missing)
	}

	if err == nil && len(missing) > 0 {
		err = unservedError(missing[0], message)
	}

	return err
}

// ask downloads packages into scratch and keeps them; it answers those that did not come, and what apt said.
func (b builder) ask(
	ctx context.Context, scratch string, options []string, packages []node.Package,
) (missing []node.Package, message string, err error) {
	message, err = apt(ctx, scratch, slices.Concat(options, downloadArguments(packages))...)
	if err != nil {
		return nil, "", err
	}

	missing, err = b.keep(scratch, packages)

	return missing, message, err
}

func (b builder) askAfresh(
	ctx context.Context, scratch string, packages []node.Package,
) (missing []node.Package, message string, err error) {
	options := []string{"-o", "Dir::State::lists=" + scratch, "-o", "APT::Sandbox::User="}
	if _, err := apt(ctx, scratch, slices.Concat(options, []string{"update", "-q"})...); err != nil {
		return nil, "", err
	}

	return b.ask(ctx, scratch, options, packages)
}

func downloadArguments(packages []node.Package) []string {
	arguments := []string{"download", "-q"}
	for _, p := range packages {
		arguments = append(arguments, p.Name+"="+p.Version)
	}

	return arguments
}

// apt answers what apt-get said. That it could not do all of it is no error here: the checksums of what came tell.
func apt(ctx context.Context, dir string, arguments ...string) (message string, err error) {
	command := exec.CommandContext(ctx, "apt-get", arguments...)
	command.Dir = dir

	output, err := command.CombinedOutput()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		return "", fmt.Errorf("cannot run apt-get, the node image is built on Debian 12: %w", err)
	}

	return string(output), ctx.Err()
}

// keep moves the packages that came to dir into the cache and answers those that did not.
func (b builder) keep(dir string, packages []node.Package) (missing []node.Package, err error) {
	came, err := bySHA256(dir)
	if err != nil {
		return nil, err
	}

	for _, p := range packages {
		if came[p.SHA256] == "" {
			missing = append(missing, p)
		} else if err := os.Rename(came[p.SHA256], b.debPath(p)); err != nil {
			return nil, err
		}
	}

	return missing, nil
}

func unservedError(p node.Package, message string) error {
	return fmt.Errorf("cannot get Debian package %s=%s with sha256 %s; if Debian 12 no longer serves that version, put the one "+
		"that `apt-cache policy %s` names and its checksum into images/node/node.yaml; apt says:\n%s",
		p.Name, p.Version, p.SHA256, p.Name, message)
}

// bySHA256 maps the checksum of each .deb in dir to its path.
func bySHA256(dir string) (map[string]string, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil {
		return nil, err
	}

	found := map[string]string{}

	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}

		sum := sha256.Sum256(content)
		found[hex.EncodeToString(sum[:])] = name
	}

	return found, nil
}
