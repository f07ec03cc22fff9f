package config_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bronze-os/bronze/images/machined/internal/config"
)

const document = `version: v1alpha1
machine:
  type: worker
  token: abc.def
cluster:
  controlPlane:
    endpoint: https://10.5.0.2:6443
`

func TestUserDataIsReadInBothEncodingsAndKept(t *testing.T) {
	for name, userData := range map[string]string{
		"plain":  document,
		"base64": base64.StdEncoding.EncodeToString([]byte(document)),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "config.yaml")

			store, err := config.Open(path, userData)
			if err != nil {
				t.Fatal(err)
			}

			if got := store.Current().Cluster().Endpoint().String(); got != "https://10.5.0.2:6443" {
				t.Errorf("endpoint %s", got)
			}

			kept, err := os.ReadFile(path)
			if err != nil || string(kept) != document {
				t.Errorf("kept %q, %v", kept, err)
			}

			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("kept with mode %v, %v", info.Mode(), err)
			}
		})
	}
}

func TestStoredConfigGoesBeforeUserData(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	stored := strings.ReplaceAll(document, "10.5.0.2", "10.5.0.9")

	if err := os.WriteFile(path, []byte(stored), 0o600); err != nil {
		t.Fatal(err)
	}

	store, err := config.Open(path, document)
	if err != nil {
		t.Fatal(err)
	}

	if got := store.Current().Cluster().Endpoint().Hostname(); got != "10.5.0.9" {
		t.Errorf("endpoint %s, not the stored one", got)
	}
}

func TestUnusableConfigIsRefused(t *testing.T) {
	for name, userData := range map[string]string{
		"no document of the node":  "apiVersion: v1alpha1\nkind: HostnameConfig\nhostname: a\n",
		"neither base64 nor YAML":  "a: [",
		"a kind that is not known": "apiVersion: v1\nkind: Pod\n",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "config.yaml")

			if _, err := config.Open(path, userData); err == nil {
				t.Error("accepted")
			}

			if _, err := os.Stat(path); err == nil {
				t.Error("kept all the same")
			}
		})
	}
}

func TestNoConfigAtAllIsSaidSo(t *testing.T) {
	if _, err := config.Open(filepath.Join(t.TempDir(), "config.yaml"), " \n"); !errors.Is(err, config.ErrNone) {
		t.Errorf("Load = %v", err)
	}
}

func TestRolesCountUnlessTheConfigSaysOtherwise(t *testing.T) {
	for text, want := range map[string]bool{
		"":                            true,
		"  features: {rbac: true}\n":  true,
		"  features: {rbac: false}\n": false,
	} {
		provider, err := config.Parse([]byte(strings.Replace(document, "  token", text+"  token", 1)))
		if err != nil {
			t.Fatal(err)
		}

		if got := config.RBAC(provider); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
}

func TestDeepConfigIsRefusedBeforeItGrows(t *testing.T) {
	nested := func(open, shut string, depth int) string {
		return strings.Repeat(open, depth) + strings.Repeat(shut, depth)
	}
	extra := func(value string) string {
		return strings.Replace(document, "machine:\n", "machine:\n  kubelet: {extraConfig: "+value+"}\n", 1)
	}

	var aliases strings.Builder

	aliases.WriteString("{a0: &a0 {b: c}")

	for i := range 100 {
		fmt.Fprintf(&aliases, ", a%d: &a%d {b: *a%d}", i+1, i+1, i)
	}

	tests := []struct {
		name, document string
		refused        bool
	}{
		{"as deep as a pod", extra(nested("{a: ", "}", 30)), false},
		{"braces", extra(nested("{a: ", "}", 5000)), true},
		{"brackets", extra("{a: " + nested("[", "]", 5000) + "}"), true},
		{"aliases of aliases", extra(aliases.String() + "}"), true},
		{"a circle", extra("{a: &a {b: *a}}"), true},
		{"in a later document", document + "---\nkind: " + nested("[", "]", 100) + "\n", true},
		{"more than the parser reads", extra("{a: " + nested("[", "]", 200000) + "}"), true},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := config.Parse([]byte(test.document)); (err != nil) != test.refused {
				t.Errorf("got %v", err)
			}
		})
	}
}
