//go:build e2e

package e2e

import (
	"errors"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	clientconfig "github.com/siderolabs/talos/pkg/machinery/client/config"

	"github.com/bronze-os/bronze/test/lab"
)

// host is what a cluster could leave changed on the machine that it ran on.
type host struct {
	// Sysctls has the content of each readable file under /proc/sys.
	Sysctls map[string]string
	// Interfaces, Mounts and Cgroups are names.
	Interfaces, Mounts, Cgroups []string
	// Volumes counts those without labels too, which no list of a cluster's own would show.
	Volumes []string
}

func observeHost(t *testing.T) host {
	t.Helper()

	volumes, err := lab.Docker(t.Context(), "volume", "ls", "--quiet")
	if err != nil {
		t.Fatal(err)
	}

	return host{
		Sysctls:    sysctls(t),
		Interfaces: interfaces(t),
		Mounts:     mounts(t),
		Cgroups:    cgroups(t),
		Volumes:    volumes,
	}
}

// moving are the files that change by themselves on an idle host, so that they tell nothing about a cluster.
func moving() map[string]string {
	return map[string]string{
		"fs/dentry-state":                   "counts the kernel's cached names",
		"fs/file-nr":                        "counts open files",
		"fs/inode-nr":                       "counts cached inodes",
		"fs/inode-state":                    "counts cached inodes",
		"fs/aio-nr":                         "counts outstanding requests",
		"fs/quota/syncs":                    "counts syncs",
		"fs/quota/lookups":                  "counts quota look-ups",
		"kernel/ns_last_pid":                "is the last process number given out",
		"kernel/pty/nr":                     "counts open terminals",
		"kernel/random/entropy_avail":       "is the state of the generator",
		"kernel/random/uuid":                "is new on every read",
		"kernel/perf_event_max_sample_rate": "is lowered by the kernel when sampling took too long",
		"net/netfilter/nf_conntrack_count":  "counts the host's connections",
	}
}

func sysctls(t *testing.T) map[string]string {
	t.Helper()

	values := map[string]string{}

	err := filepath.WalkDir("/proc/sys", func(path string, entry fs.DirEntry, err error) error {
		name := strings.TrimPrefix(path, "/proc/sys/")
		if err != nil || entry.IsDir() || moving()[name] != "" {
			return err
		}

		// Some may only be written, or answer an error until they are set.
		if value, err := os.ReadFile(path); err == nil {
			values[name] = string(value)
		}

		return nil
	})
	if err != nil {
		t.Fatal(err)
	}

	return values
}

func interfaces(t *testing.T) []string {
	t.Helper()

	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}

	var names []string
	for _, i := range all {
		names = append(names, i.Name)
	}

	return names
}

// mounts are the mount points of this process's namespace, which is the host's.
func mounts(t *testing.T) []string {
	t.Helper()

	table, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}

	var points []string
	for line := range strings.Lines(string(table)) {
		points = append(points, strings.Fields(line)[1])
	}

	return points
}

// cgroups are those that an engine or a kubelet makes; others of the host come and go with its logins and services.
// What is below a container's is left out: it goes with it, and that of another cluster's pods moves all the time.
func cgroups(t *testing.T) []string {
	t.Helper()

	makers := regexp.MustCompile("docker|kubepods|podruntime|bronze")

	var dirs []string

	err := filepath.WalkDir("/sys/fs/cgroup", func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}

		if err != nil || !entry.IsDir() || !makers.MatchString(path) {
			return err
		}

		dirs = append(dirs, path)

		if filepath.Base(filepath.Dir(path)) == "docker" {
			return fs.SkipDir
		}

		return nil
	})
	if err != nil {
		t.Fatal(err)
	}

	return dirs
}

func checkSameHost(t *testing.T, before, after host) {
	t.Helper()

	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the host before create and after destroy (-before +after):\n%s", diff)
	}
}

// traces tell the processes of a cluster from the others, after its containers are gone too.
type traces struct {
	containers, addresses []string
}

func tracesOf(t *testing.T, l lab.Lab) traces {
	t.Helper()

	ids, err := lab.Docker(t.Context(), "ps", "--all", "--quiet", "--no-trunc", "--filter", "label=talos.cluster.name="+l.Cluster)
	if err != nil {
		t.Fatal(err)
	}

	if len(ids) == 0 {
		return traces{}
	}

	addresses, err := lab.Docker(t.Context(), append([]string{
		"inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}",
	}, ids...)...)
	if err != nil {
		t.Fatal(err)
	}

	return traces{ids, addresses}
}

// checkNothingLeft looks in the engine, among the processes, and in the state directory.
func checkNothingLeft(t *testing.T, l lab.Lab, of traces) {
	t.Helper()

	owned, err := l.Owned(t.Context())
	if err != nil || len(owned) > 0 {
		t.Errorf("the engine still holds %q (%v)", owned, err)
	}

	if left := of.processes(t); len(left) > 0 {
		t.Errorf("processes are left: %q", left)
	}

	if left := filesNamed(t, l.StateDir(), l.Cluster); len(left) > 0 {
		t.Errorf("state is left: %q", left)
	}
}

// processes are those in a cgroup of the containers, and those on the host that work for them: shims, which have the
// container's ID, and proxies of ports, which have its address.
func (of traces) processes(t *testing.T) []string {
	t.Helper()

	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}

	var left []string

	for _, dir := range dirs {
		// A process that ends meanwhile has neither file.
		cgroup, _ := os.ReadFile(dir + "/cgroup")
		arguments, _ := os.ReadFile(dir + "/cmdline")
		words := strings.Split(string(arguments), "\x00")

		mentions := func(id string) bool { return strings.Contains(string(cgroup), id) || slices.Contains(words, id) }
		if slices.ContainsFunc(slices.Concat(of.containers, of.addresses), mentions) {
			left = append(left, filepath.Base(dir)+" "+words[0])
		}
	}

	return left
}

// filesNamed lists the files under dir that have the name in their path or their content.
func filesNamed(t *testing.T, dir, name string) []string {
	t.Helper()

	var found []string

	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}

		content, err := os.ReadFile(path)
		if strings.Contains(strings.TrimPrefix(path, dir), name) || strings.Contains(string(content), name) {
			found = append(found, path)
		}

		return err
	})
	if err != nil {
		t.Fatal(err)
	}

	return found
}

// keepOtherContexts writes client configs that a user could have had, with one context each.
func keepOtherContexts(t *testing.T, l lab.Lab) {
	t.Helper()

	run(t, l.Kubectl(t.Context(), "config", "set-context", "other", "--cluster", "elsewhere", "--user", "somebody"))

	mine := clientconfig.Config{Context: "other", Contexts: map[string]*clientconfig.Context{"other": {Endpoints: []string{"192.0.2.1"}}}}
	if err := mine.Save(l.Talosconfig()); err != nil {
		t.Fatal(err)
	}
}

func checkOtherContexts(t *testing.T, l lab.Lab) {
	t.Helper()

	if got := run(t, l.Kubectl(t.Context(), "config", "get-contexts", "--output", "name")); got != "other" {
		t.Errorf("contexts of kubectl are %q, want the other one only", got)
	}

	left := filesNamed(t, l.Kubeconfig(), l.Cluster)
	if left = append(left, filesNamed(t, l.Talosconfig(), l.Cluster)...); len(left) > 0 {
		t.Errorf("the cluster is still named in %q", left)
	}

	all, err := clientconfig.Open(l.Talosconfig())
	if err != nil {
		t.Fatal(err)
	}

	if got := slices.Collect(maps.Keys(all.Contexts)); !slices.Equal(got, []string{"other"}) {
		t.Errorf("contexts of talosctl are %q, want the other one only", got)
	}
}
