package contexts

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// foreign is a kubeconfig that somebody else wrote.
const foreign = `apiVersion: v1
kind: Config
current-context: work
clusters:
- name: work
  cluster: {server: "https://work:6443", certificate-authority: ca.pem}
users:
- name: me
  user: {token: secret}
contexts:
- name: work
  context: {cluster: work, user: me, namespace: team}
`

func TestKubeconfigKeepsWhatIsThere(t *testing.T) {
	f, access := testFiles(t), testAccess(t)
	write(t, kubePath(f), foreign)
	before := loadKube(t, kubePath(f))

	must(t, f.AddKubeconfig(t.Context(), access))
	during := loadKube(t, kubePath(f))
	if during.CurrentContext != "admin@town" {
		t.Errorf("current context %q after the merge", during.CurrentContext)
	}
	if diff := cmp.Diff(before.Contexts["work"], during.Contexts["work"]); diff != "" {
		t.Error(diff)
	}

	must(t, f.Remove(t.Context(), "town"))
	if diff := cmp.Diff(before, loadKube(t, kubePath(f))); diff != "" {
		t.Errorf("the file is not as it was: %s", diff)
	}
}

func TestKubeconfigIsMadeForItsOwnerOnlyAndGoesAgain(t *testing.T) {
	f := testFiles(t)
	must(t, f.Add(t.Context(), testAccess(t)))
	for _, path := range []string{kubePath(f), talosPath(f)} {
		info, err := os.Stat(path)
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o", path, info.Mode().Perm())
		}
	}
	must(t, f.Remove(t.Context(), "town"))
	for _, path := range []string{kubePath(f), talosPath(f), filepath.Join(f.StateDir, "contexts")} {
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("%s is left: %v", path, err)
		}
	}
}

func TestKubeconfigGivesWayToAForeignEntryOfThatName(t *testing.T) {
	f, access := testFiles(t), testAccess(t)
	theirs := api.NewConfig()
	theirs.Clusters["town"] = &api.Cluster{Server: "https://elsewhere:6443"}
	data, err := clientcmd.Write(*theirs)
	must(t, err)
	write(t, kubePath(f), string(data))

	must(t, f.AddKubeconfig(t.Context(), access))
	merged := loadKube(t, kubePath(f))
	if merged.CurrentContext != "admin@town-1" || merged.Contexts["admin@town-1"].Cluster != "town-1" {
		t.Errorf("current context %q, contexts %v", merged.CurrentContext, slices.Collect(maps.Keys(merged.Contexts)))
	}
	must(t, f.Remove(t.Context(), "town"))
	after := loadKube(t, kubePath(f))
	if diff := cmp.Diff([]string{"town"}, slices.Collect(maps.Keys(after.Clusters))); diff != "" {
		t.Errorf("clusters: %s", diff)
	}
}

func TestKubeconfigOfARepeatedCreateReplacesItsOwn(t *testing.T) {
	f := testFiles(t)
	write(t, kubePath(f), foreign)
	must(t, f.AddKubeconfig(t.Context(), testAccess(t)))
	must(t, f.AddKubeconfig(t.Context(), testAccess(t)))
	merged := loadKube(t, kubePath(f))
	if len(merged.Contexts) != 2 || len(merged.Clusters) != 2 || len(merged.AuthInfos) != 2 {
		t.Errorf("contexts %v", slices.Collect(maps.Keys(merged.Contexts)))
	}
	must(t, f.Remove(t.Context(), "town"))
	if after := loadKube(t, kubePath(f)); after.CurrentContext != "work" {
		t.Errorf("current context %q, want the one from before the first create", after.CurrentContext)
	}
}

func TestKubeconfigLeavesAnotherStateDirectorysEntries(t *testing.T) {
	mine := testFiles(t)
	other := mine
	other.StateDir = t.TempDir()
	must(t, mine.AddKubeconfig(t.Context(), testAccess(t)))
	must(t, other.AddKubeconfig(t.Context(), testAccess(t)))
	must(t, mine.Remove(t.Context(), "town"))
	left := loadKube(t, kubePath(mine))
	if diff := cmp.Diff([]string{"admin@town-1"}, slices.Collect(maps.Keys(left.Contexts))); diff != "" {
		t.Error(diff)
	}
}

func TestKubeconfigGoesIntoTheFirstFileOfTheListThatIsThere(t *testing.T) {
	f, dir := testFiles(t), t.TempDir()
	first, second := filepath.Join(dir, "first"), filepath.Join(dir, "second")
	f.Environ.Kubeconfig = first + string(filepath.ListSeparator) + second
	write(t, second, foreign)
	must(t, f.AddKubeconfig(t.Context(), testAccess(t)))
	if _, err := os.Stat(first); !os.IsNotExist(err) {
		t.Errorf("the absent file was made: %v", err)
	}
	// The ledger finds the file again though the variable says something else.
	f.Environ.Kubeconfig = ""
	must(t, f.Remove(t.Context(), "town"))
	if after := loadKube(t, second); len(after.Contexts) != 1 || after.CurrentContext != "work" {
		t.Errorf("contexts %v", slices.Collect(maps.Keys(after.Contexts)))
	}
}

func TestKubeconfigStaysASymbolicLink(t *testing.T) {
	f, target := testFiles(t), filepath.Join(t.TempDir(), "real")
	write(t, target, foreign)
	must(t, os.MkdirAll(filepath.Dir(kubePath(f)), 0o700))
	must(t, os.Symlink(target, kubePath(f)))
	must(t, f.AddKubeconfig(t.Context(), testAccess(t)))
	if link, err := os.Readlink(kubePath(f)); err != nil || link != target {
		t.Errorf("link %q, %v", link, err)
	}
	if merged := loadKube(t, target); merged.CurrentContext != "admin@town" {
		t.Errorf("the link's target was not written")
	}
}

func TestHeldLockIsNamed(t *testing.T) {
	f := testFiles(t)
	write(t, kubePath(f)+".lock", "")
	ctx, cancel := canceled(t)
	defer cancel()
	err := f.AddKubeconfig(ctx, testAccess(t))
	if err == nil {
		t.Fatal("merged without the lock")
	}
	if _, statErr := os.Stat(kubePath(f)); !os.IsNotExist(statErr) {
		t.Errorf("written without the lock: %v", statErr)
	}
}
