package contexts

import (
	"net/netip"
	"os"
	"testing"

	"k8s.io/client-go/tools/clientcmd"

	clientconfig "github.com/siderolabs/talos/pkg/machinery/client/config"
)

func TestRefreshChangesWhereEntriesLeadAndNotWhatIsCurrent(t *testing.T) {
	f, access := testFiles(t), testAccess(t)
	must(t, f.Add(t.Context(), access))
	kube := loadKube(t, kubePath(f))
	kube.CurrentContext = "work"
	must(t, clientcmd.WriteToFile(*kube, kubePath(f)))
	talos := loadTalos(t, f)
	talos.Contexts["work"] = &clientconfig.Context{}
	talos.Context = "work"
	must(t, writeTalosconfig(talosPath(f), talos))

	access.KubernetesAPI = netip.MustParseAddrPort("127.0.0.1:7777")
	access.MachineAPI = netip.MustParseAddrPort("127.0.0.1:8888")
	must(t, f.Refresh(t.Context(), access))

	kube, talos = loadKube(t, kubePath(f)), loadTalos(t, f)
	if kube.CurrentContext != "work" || talos.Context != "work" {
		t.Errorf("current are %q and %q", kube.CurrentContext, talos.Context)
	}
	if server := kube.Clusters["town"].Server; server != "https://127.0.0.1:7777" {
		t.Errorf("the kubeconfig leads to %s", server)
	}
	if endpoints := talos.Contexts["town"].Endpoints; len(endpoints) != 1 || endpoints[0] != "127.0.0.1:8888" {
		t.Errorf("the talosconfig leads to %v", endpoints)
	}
}

func TestRefreshKeepsTheClusterCurrentThatIs(t *testing.T) {
	f, access := testFiles(t), testAccess(t)
	must(t, f.Add(t.Context(), access))
	must(t, f.Refresh(t.Context(), access))
	if kube, talos := loadKube(t, kubePath(f)), loadTalos(t, f); kube.CurrentContext != "admin@town" || talos.Context != "town" {
		t.Errorf("current are %q and %q", kube.CurrentContext, talos.Context)
	}
}

func TestRefreshAddsNothing(t *testing.T) {
	f := testFiles(t)
	must(t, f.Refresh(t.Context(), testAccess(t)))
	for _, path := range []string{kubePath(f), talosPath(f)} {
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("%s is there: %v", path, err)
		}
	}
}
