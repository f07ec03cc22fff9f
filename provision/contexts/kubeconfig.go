package contexts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/bronze-os/bronze/provision"
)

// stampName is the extension that marks our clusters, users and contexts in a kubeconfig.
const stampName = "bronze"

// stamp says whose an entry is.
type stamp struct {
	provision.Stamp
	// MachineCA is the cluster's authority for the machine API, in base64: what proves that a talosconfig's entry is of the
	// same cluster where the ledger is lost. Older stamps have none.
	MachineCA string `json:"machineCA,omitempty"`
}

func (f Files) stamp(cluster string) provision.Stamp {
	return provision.Stamp{Cluster: cluster, StateDir: f.StateDir}
}

func (f Files) addKubeconfig(ctx context.Context, book *ledger, data []byte, machineCA string) error {
	ours, err := clientcmd.Load(data)
	if err != nil {
		return err
	}
	paths, err := f.Environ.kubeconfigPaths()
	if err != nil {
		return err
	}
	path := destination(paths)
	return locked(ctx, path, func() error {
		theirs, err := readKubeconfig(path)
		if err != nil {
			return err
		}
		mark := stamp{Stamp: f.stamp(book.Cluster), MachineCA: machineCA}
		previous := theirs.CurrentContext
		name, err := mergeKubeconfig(theirs, ours, mark)
		if err != nil {
			return err
		}
		theirs.CurrentContext = f.current(name, previous, book.Kubeconfig)
		book.Kubeconfig = book.Kubeconfig.followedBy(entry{Path: path, Context: name, Previous: previous})
		if err := book.write(); err != nil {
			return err
		}
		return writeKubeconfig(path, theirs)
	})
}

func (f Files) removeKubeconfig(ctx context.Context, book ledger) error {
	paths, err := f.Environ.kubeconfigPaths()
	if err != nil && book.Kubeconfig.Path == "" {
		return err
	}
	if book.Kubeconfig.Path != "" && !slices.Contains(paths, book.Kubeconfig.Path) {
		paths = append(paths, book.Kubeconfig.Path)
	}
	mark := f.stamp(book.Cluster)
	var errs []error
	for _, path := range paths {
		if _, err := os.Stat(path); err != nil {
			continue
		}
		errs = append(errs, locked(ctx, path, func() error {
			theirs, err := readKubeconfig(path)
			if err != nil || !removeStamped(theirs, mark, book.Kubeconfig.Previous) {
				return err
			}
			if book.Kubeconfig.made(path) && len(theirs.Clusters)+len(theirs.AuthInfos)+len(theirs.Contexts) == 0 {
				return os.Remove(path)
			}
			return writeKubeconfig(path, theirs)
		}))
	}
	return errors.Join(errs...)
}

// destination is the file to merge into: the first of the list that is there, as its current context wins, else the
// last, which kubectl makes too.
func destination(paths []string) string {
	for _, path := range paths {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return paths[len(paths)-1]
}

func readKubeconfig(path string) (*api.Config, error) {
	config, err := clientcmd.LoadFromFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return api.NewConfig(), nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, err)
	}
	return config, nil
}

func writeKubeconfig(path string, config *api.Config) error {
	data, err := clientcmd.Write(*config)
	if err != nil {
		return fmt.Errorf("cannot encode %s: %w", path, err)
	}
	return writeAtomically(path, data)
}

// mergeKubeconfig puts our one cluster, user and context into theirs, stamped, and makes the context current. Entries
// of ours from before are replaced; where a name is taken by somebody else's, all three get a number, as talosctl does.
// It returns the context's name.
func mergeKubeconfig(theirs, ours *api.Config, mark stamp) (string, error) {
	extension, err := mark.extension()
	if err != nil {
		return "", err
	}
	removeStamped(theirs, mark.Stamp, "")
	from := ours.Contexts[ours.CurrentContext]
	suffix := freeSuffix(theirs, ours.CurrentContext, from)
	cluster, user, name := from.Cluster+suffix, from.AuthInfo+suffix, ours.CurrentContext+suffix

	theirs.Clusters[cluster] = ours.Clusters[from.Cluster].DeepCopy()
	theirs.Clusters[cluster].Extensions = extension
	theirs.AuthInfos[user] = ours.AuthInfos[from.AuthInfo].DeepCopy()
	theirs.AuthInfos[user].Extensions = extension
	theirs.Contexts[name] = &api.Context{
		Cluster: cluster, AuthInfo: user, Namespace: from.Namespace, Extensions: extension,
	}
	theirs.CurrentContext = name
	return name, nil
}

func freeSuffix(config *api.Config, name string, from *api.Context) string {
	suffix := ""
	for i := 1; ; i++ {
		_, context := config.Contexts[name+suffix]
		_, cluster := config.Clusters[from.Cluster+suffix]
		_, user := config.AuthInfos[from.AuthInfo+suffix]
		if !context && !cluster && !user {
			return suffix
		}
		suffix = "-" + strconv.Itoa(i)
	}
}

// removeStamped takes away every entry with that mark, and tells whether there was one. Where the current context goes,
// previous becomes current if it is still there.
func removeStamped(config *api.Config, mark provision.Stamp, previous string) bool {
	removed := false
	for name, entry := range config.Contexts {
		if stampOn(entry.Extensions).Stamp == mark {
			delete(config.Contexts, name)
			removed = true
		}
	}
	for name, entry := range config.Clusters {
		if stampOn(entry.Extensions).Stamp == mark {
			delete(config.Clusters, name)
			removed = true
		}
	}
	for name, entry := range config.AuthInfos {
		if stampOn(entry.Extensions).Stamp == mark {
			delete(config.AuthInfos, name)
			removed = true
		}
	}
	if _, there := config.Contexts[config.CurrentContext]; removed && !there {
		config.CurrentContext = ""
		if _, there := config.Contexts[previous]; there {
			config.CurrentContext = previous
		}
	}
	return removed
}

func (s stamp) extension() (map[string]runtime.Object, error) {
	raw, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("cannot encode a stamp: %w", err)
	}
	unknown := &runtime.Unknown{Raw: raw, ContentType: runtime.ContentTypeJSON}
	return map[string]runtime.Object{stampName: unknown}, nil
}

// stampOn reads the stamp of an entry; the zero one where it bears none.
func stampOn(extensions map[string]runtime.Object) stamp {
	unknown, isRaw := extensions[stampName].(*runtime.Unknown)
	if !isRaw {
		return stamp{}
	}
	var found stamp
	if err := json.Unmarshal(unknown.Raw, &found); err != nil {
		return stamp{}
	}
	return found
}
