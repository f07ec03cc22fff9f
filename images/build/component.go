package build

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bronze-os/bronze/images/node"
)

// component builds one component, or finds it in the cache, and answers the directory that holds its programs under the
// base names of their paths in the image.
func (b builder) component(ctx context.Context, c node.Component) (dir string, err error) {
	err = b.step("component "+c.Name, func() (hit bool, err error) {
		key, err := b.componentKey(ctx, c)
		if err != nil {
			return false, err
		}

		dir, hit, err = b.cache.result("components", c.Name, key, func(dir string) error {
			return b.compile(ctx, c, dir)
		})

		return hit, err
	})

	return dir, err
}

func (b builder) compile(ctx context.Context, c node.Component, dir string) error {
	for _, program := range c.Programs {
		if _, err := b.golang(ctx, c, buildArguments(c, program, dir)...); err != nil {
			return err
		}
	}

	return nil
}

// buildArguments is the command line of go for one program. Binaries are stripped and hold no path and no commit, so
// that equal sources give equal bytes.
func buildArguments(c node.Component, program node.Program, dir string) []string {
	ldflags := append([]string{"-s", "-w"}, c.LDFlags...)

	return []string{
		"build", "-mod=readonly", "-buildvcs=false", "-trimpath",
		"-tags=" + strings.Join(c.Tags, ","),
		"-ldflags=" + strings.Join(ldflags, " "),
		"-o", filepath.Join(dir, path.Base(program.Path)),
		program.Package,
	}
}

// golang runs go in the component's module, for a node's system whatever the host's is.
func (b builder) golang(ctx context.Context, c node.Component, arguments ...string) ([]byte, error) {
	var stdout, stderr bytes.Buffer

	command := exec.CommandContext(ctx, "go", arguments...)
	command.Dir = filepath.Join(b.source, c.Module)
	command.Env = append(os.Environ(), goEnvironment(c)...)
	command.Stdout, command.Stderr = &stdout, &stderr

	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("cannot run go %s in %s: %w\n%s", arguments[0], c.Module, err, stderr.Bytes())
	}

	return stdout.Bytes(), nil
}

func goEnvironment(c node.Component) []string {
	cgo := "CGO_ENABLED=0"
	if c.CGO {
		cgo = "CGO_ENABLED=1"
	}

	return []string{cgo, "GOOS=linux", "GOARCH=" + architecture, "GOAMD64=v1", "GOWORK=off", "GOFLAGS="}
}

// componentKey is derived from everything that a component's programs are made of: flags, sources, the version of Go and
// those of the host's packages that are linked in.
func (b builder) componentKey(ctx context.Context, c node.Component) (string, error) {
	version, err := b.golang(ctx, c, "env", "GOVERSION")
	if err != nil {
		return "", err
	}

	flags, err := json.Marshal([]any{c.Programs, c.Tags, c.LDFlags, goEnvironment(c)})
	if err != nil {
		return "", err
	}

	needs, err := hostVersions(ctx, c.Needs)
	if err != nil {
		return "", err
	}

	key := sha256.New()
	fmt.Fprintf(key, "%s\n%s\n%s", version, flags, needs)

	sources := b.moduleSources
	if c.Module == "." {
		sources = b.packageSources
	}

	files, err := sources(ctx, c, key)
	if err != nil {
		return "", err
	}

	if err := hashFiles(key, b.source, files); err != nil {
		return "", err
	}

	return hex.EncodeToString(key.Sum(nil)), nil
}

// hostVersions answers a line "name version" for each Debian package that the host must have.
func hostVersions(ctx context.Context, needs []string) ([]byte, error) {
	if len(needs) == 0 {
		return nil, nil
	}

	arguments := append([]string{"--show", "--showformat=${Package} ${Version}\n"}, needs...)

	versions, err := exec.CommandContext(ctx, "dpkg-query", arguments...).Output()
	if err != nil {
		return nil, fmt.Errorf("cannot find the Debian packages %[1]s on this host; run `apt-get install %[1]s`: %[2]w",
			strings.Join(needs, " "), err)
	}

	return versions, nil
}

// moduleSources is every file of a module that is there for one component only. It leaves asking go for the packages
// out, which takes seconds for the largest one.
func (b builder) moduleSources(_ context.Context, c node.Component, _ io.Writer) ([]string, error) {
	var files []string

	err := filepath.WalkDir(filepath.Join(b.source, c.Module), func(name string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			files = append(files, name)
		}

		return err
	})

	return files, err
}

// goPackage is what `go list -json` tells of a package.
type goPackage struct {
	Dir        string
	Standard   bool
	GoFiles    []string
	EmbedFiles []string
	Module     struct {
		Path, Version, GoVersion string
		Main                     bool
	}
}

// packageSources is every file of this repository's own module that a component links, so that it is not built again for
// a change elsewhere. Modules of others are written to key by their versions.
func (b builder) packageSources(ctx context.Context, c node.Component, key io.Writer) ([]string, error) {
	arguments := []string{"list", "-mod=readonly", "-deps", "-json=Dir,Standard,GoFiles,EmbedFiles,Module"}
	for _, program := range c.Programs {
		arguments = append(arguments, program.Package)
	}

	listing, err := b.golang(ctx, c, arguments...)
	if err != nil {
		return nil, err
	}

	packages, err := decodePackages(listing)
	if err != nil {
		return nil, err
	}

	return linkedFiles(packages, key), nil
}

func decodePackages(listing []byte) ([]goPackage, error) {
	var packages []goPackage

	for decoder := json.NewDecoder(bytes.NewReader(listing)); decoder.More(); {
		var p goPackage
		if err := decoder.Decode(&p); err != nil {
			return nil, fmt.Errorf("cannot read the answer of go list: %w", err)
		}

		packages = append(packages, p)
	}

	return packages, nil
}

func linkedFiles(packages []goPackage, key io.Writer) []string {
	var files []string

	for _, p := range packages {
		switch {
		case p.Standard:
		case p.Module.Main:
			for _, name := range slices.Concat(p.GoFiles, p.EmbedFiles) {
				files = append(files, filepath.Join(p.Dir, name))
			}
		default:
			fmt.Fprintf(key, "%s %s %s\n", p.Module.Path, p.Module.Version, p.Module.GoVersion)
		}
	}

	return files
}

// hashFiles writes the paths, relative to root, and the contents of files to key.
func hashFiles(key io.Writer, root string, files []string) error {
	for _, name := range slices.Sorted(slices.Values(files)) {
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}

		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}

		fmt.Fprintf(key, "%s %d\n%s\n", filepath.ToSlash(relative), len(content), content)
	}

	return nil
}
