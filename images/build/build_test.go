package build

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bronze-os/bronze/images/node"
)

// repository writes a small checkout: a module with two programs, and a static tree.
func repository(t *testing.T) string {
	t.Helper()

	root := t.TempDir()
	files := map[string]string{
		"go.mod":                       "module small\n\ngo 1.26\n",
		"guest/main.go":                "package main\n\nimport \"small/shared\"\n\nfunc main() { println(shared.Name) }\n",
		"pause/main.go":                "package main\n\nfunc main() {}\n",
		"shared/shared.go":             "package shared\n\nconst Name = \"bronze\"\n",
		"elsewhere/elsewhere.go":       "package elsewhere\n",
		"images/node/node.yaml":        "version: v0.0.1\n",
		"images/node/rootfs/etc/group": "root:x:0:\n",
	}

	for name, content := range files {
		write(t, filepath.Join(root, name), content)
	}

	return root
}

func write(t *testing.T, name, content string) {
	t.Helper()

	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}

	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func guest() node.Component {
	return node.Component{
		Name: "guest", Module: ".", Own: true,
		Programs: []node.Program{{Package: "./guest", Path: "/usr/sbin/init"}},
	}
}

func smallManifest() node.Manifest {
	return node.Manifest{
		Versions:    node.Versions{Bronze: "v0.0.1"},
		Repository:  "bronze.local/small",
		Directories: []node.Directory{{Path: "/run"}},
		Links:       []node.Link{{Path: "/sbin", Target: "usr/sbin"}},
		Components:  []node.Component{guest()},
		Container: node.Container{
			Archive:    "/usr/share/bronze/images.tar",
			Entrypoint: []string{"/pause"},
			Names:      []string{"bronze.local/pause:v1", "bronze.local/probe:v1"},
			Component: node.Component{
				Name: "pause", Module: ".",
				Programs: []node.Program{{Package: "./pause", Path: "/pause"}},
			},
		},
	}
}

// buildSmall builds the small image and answers what was not in the cache.
func buildSmall(t *testing.T, source, cacheDir string) (result Result, made []string) {
	t.Helper()

	options, err := Options{
		Source: source, CacheDir: cacheDir, OutputDir: filepath.Join(source, "out"),
		Report: func(step Step) {
			if !step.Cached {
				made = append(made, step.Name)
			}
		},
	}.complete()
	if err != nil {
		t.Fatal(err)
	}

	result, err = assemble(t.Context(), options, smallManifest())
	if err != nil {
		t.Fatal(err)
	}

	return result, made
}

func TestEqualInputsMakeEqualImages(t *testing.T) {
	first, _ := buildSmall(t, repository(t), t.TempDir())
	second, made := buildSmall(t, repository(t), t.TempDir())

	if len(made) == 0 {
		t.Fatal("the second build took everything from the cache; that proves nothing")
	}

	if difference := cmp.Diff(first.Summary, second.Summary); difference != "" {
		t.Errorf("two builds of the same inputs differ (-first +second):\n%s", difference)
	}

	for _, name := range []string{"sbom.spdx.json", "summary.json", "oci/index.json"} {
		if difference := cmp.Diff(read(t, first.OutputDir, name), read(t, second.OutputDir, name)); difference != "" {
			t.Errorf("%s differs (-first +second):\n%s", name, difference)
		}
	}
}

func read(t *testing.T, dir, name string) string {
	t.Helper()

	content, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}

	return string(content)
}

func TestSecondBuildMakesNothing(t *testing.T) {
	source, cacheDir := repository(t), t.TempDir()
	buildSmall(t, source, cacheDir)

	if _, made := buildSmall(t, source, cacheDir); len(made) > 0 {
		t.Errorf("a second build made %v again", made)
	}
}

func TestAChangedGuestRebuildsNothingElse(t *testing.T) {
	source, cacheDir := repository(t), t.TempDir()
	buildSmall(t, source, cacheDir)
	write(t, filepath.Join(source, "shared/shared.go"), "package shared\n\nconst Name = \"silver\"\n")

	_, made := buildSmall(t, source, cacheDir)
	if difference := cmp.Diff([]string{"component guest", "layer own", "output"}, made); difference != "" {
		t.Errorf("made after a change of the guest (-want +got):\n%s", difference)
	}
}

func TestComponentKeyFollowsWhatIsLinked(t *testing.T) {
	tests := []struct {
		name   string
		change func(t *testing.T, root string, c *node.Component)
		same   bool
	}{
		{"a package that is linked", func(t *testing.T, root string, _ *node.Component) {
			write(t, filepath.Join(root, "shared/shared.go"), "package shared\n\nconst Name = \"silver\"\n")
		}, false},
		{"a package that is not linked", func(t *testing.T, root string, _ *node.Component) {
			write(t, filepath.Join(root, "elsewhere/elsewhere.go"), "package elsewhere\n\nconst Name = 1\n")
		}, true},
		{"a test", func(t *testing.T, root string, _ *node.Component) {
			write(t, filepath.Join(root, "shared/shared_test.go"), "package shared\n")
		}, true},
		{"a linker flag", func(_ *testing.T, _ string, c *node.Component) { c.LDFlags = []string{"-X a.b=c"} }, false},
		{"a build tag", func(_ *testing.T, _ string, c *node.Component) { c.Tags = []string{"seccomp"} }, false},
		{"C libraries", func(_ *testing.T, _ string, c *node.Component) { c.CGO = true }, false},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			root, c := repository(t), guest()
			before := keyOf(t, root, c)

			test.change(t, root, &c)

			if same := keyOf(t, root, c) == before; same != test.same {
				t.Errorf("key stays the same: %v, want %v", same, test.same)
			}
		})
	}
}

func keyOf(t *testing.T, root string, c node.Component) string {
	t.Helper()

	key, err := builder{source: root}.componentKey(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}

	return key
}

func TestAProgramThatDoesNotCompileIsNamed(t *testing.T) {
	source := repository(t)
	write(t, filepath.Join(source, "guest/main.go"), "package main\n\nfunc main() { missing() }\n")

	b := builder{source: source, cache: cache{t.TempDir()}, report: func(Step) {}}

	_, err := b.component(context.Background(), guest())
	if err == nil || !strings.Contains(err.Error(), "component guest") || !strings.Contains(err.Error(), "undefined: missing") {
		t.Errorf("error %v, want one that names the component and what the compiler said", err)
	}
}

func TestADirectoryThatIsNoCheckoutIsRefused(t *testing.T) {
	_, err := Node(t.Context(), Options{Source: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "no checkout") {
		t.Errorf("error %v, want one that says it is no checkout", err)
	}
}
