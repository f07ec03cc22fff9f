package node

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const repository = "../.."

func load(t *testing.T) Manifest {
	t.Helper()

	manifest, err := Load()
	if err != nil {
		t.Fatal(err)
	}

	return manifest
}

// TestVersionsAreWhatTheComponentsPin keeps node.yaml from saying other than the go.mod files do.
func TestVersionsAreWhatTheComponentsPin(t *testing.T) {
	versions := load(t).Versions

	for _, pin := range []struct{ module, requirement string }{
		{"multicall", "k8s.io/kubernetes " + versions.Kubernetes},
		{"multicall", "go.etcd.io/etcd/server/v3 " + versions.Etcd},
		{"multicall", "github.com/containerd/containerd/v2 " + versions.Containerd},
		{"multicall", "github.com/coredns/coredns " + versions.CoreDNS},
		{"multicall", "github.com/flannel-io/flannel " + versions.Flannel},
		{"shim", "github.com/containerd/containerd/v2 " + versions.Containerd},
		{"runc", "github.com/opencontainers/runc " + versions.Runc},
		{"cni", "github.com/containernetworking/plugins " + versions.CNI},
	} {
		t.Run(pin.requirement, func(t *testing.T) {
			path := filepath.Join(repository, "images", "components", pin.module, "go.mod")

			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}

			if !regexp.MustCompile(`(?m)^\t(require )?` + regexp.QuoteMeta(pin.requirement) + `( //.*)?$`).Match(content) {
				t.Errorf("%s does not require %s", path, pin.requirement)
			}
		})
	}
}

// TestLinkedVersionsAreTheNamedOnes looks at the versions that the linker puts into programs.
func TestLinkedVersionsAreTheNamedOnes(t *testing.T) {
	manifest := load(t)
	major, minor, _ := strings.Cut(strings.TrimPrefix(manifest.Kubernetes, "v"), ".")
	minor, _, _ = strings.Cut(minor, ".")

	for name, flags := range map[string][]string{
		"multicall": {
			"-X k8s.io/component-base/version.gitVersion=" + manifest.Kubernetes,
			"-X k8s.io/component-base/version.gitMajor=" + major,
			"-X k8s.io/component-base/version.gitMinor=" + minor,
			"-X k8s.io/client-go/pkg/version.gitVersion=" + manifest.Kubernetes,
			"-X github.com/containerd/containerd/v2/version.Version=" + manifest.Containerd,
		},
		"shim": {"-X github.com/containerd/containerd/v2/version.Version=" + manifest.Containerd},
		"runc": {"-X main.version=" + strings.TrimPrefix(manifest.Runc, "v")},
	} {
		at := slices.IndexFunc(manifest.Components, func(c Component) bool { return c.Name == name })
		if at < 0 {
			t.Fatalf("node.yaml has no component %s", name)
		}

		for _, flag := range flags {
			if !slices.Contains(manifest.Components[at].LDFlags, flag) {
				t.Errorf("component %s is not linked with %s", name, flag)
			}
		}
	}
}

func TestContainerImageIsNamedAfterWhatRunsInIt(t *testing.T) {
	manifest := load(t)

	for _, name := range []string{
		"bronze.local/coredns:" + manifest.CoreDNS,
		"bronze.local/kube-apiserver:" + manifest.Kubernetes,
		"bronze.local/kube-controller-manager:" + manifest.Kubernetes,
		"bronze.local/kube-proxy:" + manifest.Kubernetes,
		"bronze.local/kube-scheduler:" + manifest.Kubernetes,
		"bronze.local/probe:" + manifest.Bronze,
	} {
		if !slices.Contains(manifest.Container.Names, name) {
			t.Errorf("node.yaml gives the container image no name %s", name)
		}
	}
}

// TestEveryPackageIsPinned proves that no package can come in another version than the one that was looked at.
func TestEveryPackageIsPinned(t *testing.T) {
	checksum := regexp.MustCompile(`^[0-9a-f]{64}$`)

	for _, p := range load(t).Packages {
		if p.Name == "" || p.Version == "" || !checksum.MatchString(p.SHA256) || len(p.Files) == 0 {
			t.Errorf("package %q lacks a version, a checksum or its files: %+v", p.Name, p)
		}
	}
}
