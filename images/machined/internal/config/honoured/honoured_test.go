package honoured_test

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/configloader"
	"github.com/siderolabs/talos/pkg/machinery/config/encoder"
	"github.com/siderolabs/talos/pkg/machinery/config/generate"
	"github.com/siderolabs/talos/pkg/machinery/config/generate/secrets"
	"github.com/siderolabs/talos/pkg/machinery/config/machine"
	"github.com/siderolabs/talos/pkg/machinery/config/types/v1alpha1"
	"sigs.k8s.io/yaml"

	"github.com/bronze-os/bronze/images/machined/internal/config/honoured"
	"github.com/bronze-os/bronze/images/node"
)

const page = "../../../../../docs/machine-config.md"

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write "+page)
	os.Exit(m.Run())
}

func fields(t *testing.T) []honoured.Field {
	t.Helper()

	manifest, err := node.Load()
	if err != nil {
		t.Fatal(err)
	}

	return honoured.Fields(manifest.Versions)
}

func TestPageIsTheTable(t *testing.T) {
	got := honoured.Page(fields(t))

	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(page, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}

	want, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}

	if string(want) != got {
		t.Errorf("%s is out of date: run go test ./images/machined/internal/config/honoured -update", page)
	}
}

func TestEveryFieldOfMachineryIsInTheTableAndNoOther(t *testing.T) {
	table := fields(t)
	there := map[string]bool{}

	walk(reflect.TypeFor[v1alpha1.Config](), nil, func(keys []string, leaf bool) {
		there[strings.Join(keys, ".")] = true

		if _, ok := honoured.Of(table, honoured.NodeDocument, keys); leaf && !ok {
			t.Errorf("%s is not in the table", strings.Join(keys, "."))
		}
	})

	for _, field := range table {
		if field.Kind == honoured.NodeDocument && !there[field.Path] {
			t.Errorf("machinery knows no %s", field.Path)
		}
	}
}

// walk calls visit with the keys of every field, maps and opaque types taken as leaves.
func walk(of reflect.Type, keys []string, visit func(keys []string, leaf bool)) {
	for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice {
		of = of.Elem()
	}

	named := 0

	if of.Kind() == reflect.Struct && strings.HasSuffix(of.PkgPath(), "/v1alpha1") {
		for i := range of.NumField() {
			name, _, _ := strings.Cut(of.Field(i).Tag.Get("yaml"), ",")
			if name == "" {
				continue
			}

			named++

			walk(of.Field(i).Type, append(keys[:len(keys):len(keys)], name), visit)
		}
	}

	visit(keys, named == 0)
}

func TestEveryKindOfMachineryIsInTheTable(t *testing.T) {
	known := map[string]bool{}
	for _, field := range fields(t) {
		known[field.Kind] = true
	}

	for _, kind := range kinds(t) {
		if !known[kind] && isKind(kind) {
			t.Errorf("%s is not in the table", kind)
		}
	}

	for kind := range known {
		if kind != honoured.NodeDocument && !isKind(kind) {
			t.Errorf("machinery knows no %s", kind)
		}
	}
}

// isKind asks machinery's loader, which tells a kind that it does not know from a document that it cannot take.
func isKind(kind string) bool {
	_, err := configloader.NewFromBytes([]byte("apiVersion: v1alpha1\nkind: " + kind + "\n"))

	return err == nil || !strings.Contains(err.Error(), "not registered")
}

// kinds reads machinery's schema, which misspells one and lacks another: its registry of kinds is closed to others.
func kinds(t *testing.T) []string {
	t.Helper()

	command := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/siderolabs/talos/pkg/machinery")

	directory, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}

	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(directory)), "config/schemas/config.schema.json"))
	if err != nil {
		t.Fatal(err)
	}

	var schema struct {
		Defs map[string]struct {
			Properties map[string]struct{ Enum []any }
		} `json:"$defs"`
	}

	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}

	var found []string

	for _, definition := range schema.Defs {
		for _, kind := range definition.Properties["kind"].Enum {
			found = append(found, kind.(string))
		}
	}

	return found
}

func TestValuesThatHaveNoEffect(t *testing.T) {
	table := fields(t)

	for _, tc := range []struct {
		name, path string
		value      any
		want       bool
	}{
		{"a label", "machine.nodeLabels.example.org/rack", "r1", true},
		{"a sysctl of the node", "machine.sysctls/net.ipv4.ip_forward", "1", true},
		{"a sysctl of the host", "machine.sysctls/vm.max_map_count", "1", false},
		{"a disk to install on", "machine.install.disk", "/dev/sda", false},
		{"what every config says of installing", "machine.install.wipe", false, true},
		{"an image that the node has", "cluster.scheduler.image", "registry.k8s.io/kube-scheduler:v1.37.2", true},
		{"an image that it has not", "cluster.scheduler.image", "registry.k8s.io/kube-scheduler:v1.30.0", false},
		{"an interface", "machine.network.interfaces.addresses", "10.0.0.1/8", false},
		{"a nameserver", "machine.network.nameservers", "10.0.0.1", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path, last, deeper := strings.Cut(tc.path, "/")

			keys := strings.Split(path, ".")
			if deeper {
				keys = append(keys, last)
			}

			field, ok := honoured.Of(table, honoured.NodeDocument, keys)
			if !ok {
				t.Fatal("not in the table")
			}

			if got := field.HasEffect(keys, tc.value); got != tc.want {
				t.Errorf("HasEffect = %t, by %s", got, field.Path)
			}
		})
	}
}

func TestGeneratedConfigHasEffectInFull(t *testing.T) {
	table := fields(t)

	for _, role := range []machine.Type{machine.TypeControlPlane, machine.TypeWorker} {
		for kind, document := range generated(t, role) {
			leaves(document, nil, func(keys []string, value any) {
				field, ok := honoured.Of(table, kind, keys)
				if !ok || !field.HasEffect(keys, value) {
					t.Errorf("%s %s %s: %v has no effect, by %q", role, kind, strings.Join(keys, "."), value, field.Path)
				}
			})
		}
	}
}

// generated answers a fresh config's documents by kind.
func generated(t *testing.T, role machine.Type) map[string]any {
	t.Helper()

	bundle, err := secrets.NewBundle(secrets.NewClock(), config.TalosVersionCurrent)
	if err != nil {
		t.Fatal(err)
	}

	input, err := generate.NewInput("test", "https://10.5.0.2:6443", "1.37.2", generate.WithSecretsBundle(bundle))
	if err != nil {
		t.Fatal(err)
	}

	provider, err := input.Config(role)
	if err != nil {
		t.Fatal(err)
	}

	text, err := provider.EncodeBytes(encoder.WithComments(encoder.CommentsDisabled))
	if err != nil {
		t.Fatal(err)
	}

	documents := map[string]any{}

	for part := range strings.SplitSeq(string(text), "\n---\n") {
		var document map[string]any
		if err := yaml.Unmarshal([]byte(part), &document); err != nil {
			t.Fatal(err)
		}

		kind, ok := document["kind"].(string)
		if !ok {
			kind = honoured.NodeDocument
		}

		delete(document, "kind")
		delete(document, "apiVersion")
		documents[kind] = document
	}

	return documents
}

func leaves(value any, keys []string, visit func([]string, any)) {
	switch value := value.(type) {
	case map[string]any:
		for key, below := range value {
			leaves(below, append(keys[:len(keys):len(keys)], key), visit)
		}
	case []any:
		for _, below := range value {
			leaves(below, keys, visit)
		}
	default:
		visit(keys, value)
	}
}
