package contexts

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	clientconfig "github.com/siderolabs/talos/pkg/machinery/client/config"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/machineconfig"
)

// testFiles keeps everything below a temporary home.
func testFiles(t *testing.T) Files {
	t.Helper()
	home := t.TempDir()
	return Files{StateDir: filepath.Join(home, ".bronze"), Environ: Environ{Home: home}}
}

func kubePath(f Files) string  { return filepath.Join(f.Environ.Home, ".kube", "config") }
func talosPath(f Files) string { return filepath.Join(f.Environ.Home, ".talos", "config") }

func testAccess(t *testing.T) provision.Access {
	t.Helper()
	cluster := provision.Cluster{
		Name:  "town",
		Nodes: []provision.Node{{Name: "town-controlplane-1", IP: netip.MustParseAddr("10.5.0.2")}},
	}
	secrets, err := machineconfig.Generator{}.NewSecrets(cluster)
	must(t, err)
	return provision.Access{
		Cluster:       cluster,
		Secrets:       secrets,
		MachineAPI:    netip.MustParseAddrPort("127.0.0.1:50000"),
		KubernetesAPI: netip.MustParseAddrPort("127.0.0.1:6443"),
	}
}

func canceled(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx, cancel
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(t, os.WriteFile(path, []byte(content), 0o600))
}

func loadKube(t *testing.T, path string) *api.Config {
	t.Helper()
	config, err := clientcmd.LoadFromFile(path)
	must(t, err)
	return config
}

func loadTalos(t *testing.T, f Files) *clientconfig.Config {
	t.Helper()
	config, err := readTalosconfig(talosPath(f))
	must(t, err)
	return config
}
