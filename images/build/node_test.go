package build

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bronze-os/bronze/images/node"
	"github.com/bronze-os/bronze/test/need"
)

// realImage gathers the node image of this checkout. A cold cache would make the tests of this file last for a quarter
// of an hour, so they want `bronze image build` to have run.
func realImage(t *testing.T) (contents, node.Manifest, builder) {
	t.Helper()

	options, err := Options{Source: "../.."}.complete()
	if err != nil {
		t.Fatal(err)
	}

	manifest, err := node.Load()
	if err != nil {
		t.Fatal(err)
	}

	b := builder{source: options.Source, cache: cache{options.CacheDir}, report: options.Report}
	if missing := notCached(t, b, manifest.Components); missing != "" {
		need.Missing(t, "component %s of this checkout is not in %s; run `bronze image build` first", missing, options.CacheDir)
	}

	all, err := b.contents(t.Context(), manifest)
	if err != nil {
		t.Fatal(err)
	}

	return all, manifest, b
}

// notCached names a component of another module than ours that would have to be compiled.
func notCached(t *testing.T, b builder, components []node.Component) string {
	t.Helper()

	for _, c := range components {
		if c.Own {
			continue
		}

		key, err := b.componentKey(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}

		if _, err := os.Stat(filepath.Join(b.cache.dir, "components", c.Name, key)); errors.Is(err, fs.ErrNotExist) {
			return c.Name
		}
	}

	return ""
}

func TestNodeHasNoShellNoPackageManagerAndNoSetuidFile(t *testing.T) {
	all, _, _ := realImage(t)

	forbidden := []string{
		"sh", "bash", "dash", "ash", "zsh", "ksh", "busybox", "toybox", "perl", "python3",
		"apt", "apt-get", "dpkg", "apk", "rpm", "yum", "su", "sudo", "login",
	}

	for name, e := range all.tree {
		if slices.Contains(forbidden, path.Base(name)) {
			t.Errorf("%s is in the image", name)
		}

		if header := e.header(name); header.Mode&0o6000 != 0 || header.Uid != 0 || header.Gid != 0 {
			t.Errorf("%s has mode %o and owner %d:%d", name, header.Mode, header.Uid, header.Gid)
		}

		if e.mode.IsRegular() && startsWith(t, e, "#!") {
			t.Errorf("%s is a script, and there is nothing to run it", name)
		}
	}
}

func startsWith(t *testing.T, e entry, prefix string) bool {
	t.Helper()

	content, err := e.open()
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()

	head := make([]byte, len(prefix))
	_, err = io.ReadFull(content, head)

	return err == nil && string(head) == prefix
}

// TestEveryLibraryIsThere resolves what the dynamic linker will look for, and every link.
func TestEveryLibraryIsThere(t *testing.T) {
	all, manifest, b := realImage(t)

	packages, err := b.packages(context.Background(), manifest.Packages)
	if err != nil {
		t.Fatal(err)
	}

	inside, err := b.gather(context.Background(), containerParts(manifest, packages))
	if err != nil {
		t.Fatal(err)
	}

	for image, files := range map[string]tree{"node": all.tree, "container": inside.tree} {
		for name, e := range files {
			if e.mode&fs.ModeSymlink != 0 && !strings.HasPrefix(e.target, "../proc/") && !files.has(path.Dir(name), e.target) {
				t.Errorf("%s image: link %s leads to %s, which is not there", image, name, e.target)
			}

			for _, library := range needed(t, e) {
				if !files.has("/usr/lib/x86_64-linux-gnu", library) {
					t.Errorf("%s image: %s needs %s", image, name, library)
				}
			}
		}
	}
}

// has tells whether a path, relative to dir, is in the tree or implied by it, through the links of a merged /usr.
func (t tree) has(dir, name string) bool {
	if !path.IsAbs(name) {
		name = path.Join(dir, name)
	}

	name = mergedPath(name)

	return slices.ContainsFunc(t.paths(), func(there string) bool {
		return there == name || strings.HasPrefix(there, name+"/")
	})
}

// needed is the libraries that an ELF file of the tree names; of anything else none.
func needed(t *testing.T, e entry) []string {
	t.Helper()

	if !e.mode.IsRegular() || !startsWith(t, e, elf.ELFMAG) {
		return nil
	}

	var at io.ReaderAt = bytes.NewReader(e.data)

	if e.from != "" {
		file, err := os.Open(e.from)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()

		at = file
	}

	program, err := elf.NewFile(at)
	if err != nil {
		t.Fatal(err)
	}

	libraries, err := program.ImportedLibraries()
	if err != nil {
		t.Fatal(err)
	}

	return libraries
}

// TestNodeImageIsReproducibleAndWithinBudget packs the real image twice, the second time with no layer in the cache.
func TestNodeImageIsReproducibleAndWithinBudget(t *testing.T) {
	all, manifest, b := realImage(t)
	first := summaryOf(t, b, manifest, all)

	fresh := b
	fresh.cache = cache{t.TempDir()}

	if second := summaryOf(t, fresh, manifest, all); first.Digest != second.Digest {
		t.Errorf("digests of two builds are %s and %s", first.Digest, second.Digest)
	}

	if err := first.CheckBudget(); err != nil {
		t.Error(err)
	}

	document, err := all.bill(manifest)
	if err != nil {
		t.Fatal(err)
	}

	checkBill(t, document)
}

func summaryOf(t *testing.T, b builder, manifest node.Manifest, all contents) Summary {
	t.Helper()

	image, err := b.image(manifest, all.tree)
	if err != nil {
		t.Fatal(err)
	}

	summary, err := summarise(manifest, all.tree, image)
	if err != nil {
		t.Fatal(err)
	}

	return summary
}
