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
)

// stampName is the extension that marks our clusters, users and contexts in a kubeconfig.
const stampName = "bronze"

// stamp says whose an entry is.
type stamp struct {
	Cluster  string `json:"cluster"`
	StateDir string `json:"stateDir"`
}

func (f Files) addKubeconfig(ctx context.Context, book *ledger, data []byte) error {
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
		mark := stamp{Cluster: book.Cluster, StateDir: f.StateDir}
		previous := theirs.CurrentContext
		name, err := mergeKubeconfig(theirs, ours, mark)
		if err != nil {
			return err
		}
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
	mark := stamp{Cluster: book.Cluster, StateDir: f.StateDir}
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
	removeStamped(theirs, mark, "")
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
func removeStamped(config *api.Config, mark stamp, previous string) bool {
	removed := false
	for name, entry := range config.Contexts {
		if mark.on(entry.Extensions) {
			delete(config.Contexts, name)
			removed = true
		}
	}
	for name, entry := range config.Clusters {
		if mark.on(entry.Extensions) {
			delete(config.Clusters, name)
			removed = true
		}
	}
	for name, entry := range config.AuthInfos {
		if mark.on(entry.Extensions) {
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

func (s stamp) on(extensions map[string]runtime.Object) bool {
	unknown, isRaw := extensions[stampName].(*runtime.Unknown)
	if !isRaw {
		return false
	}
	var found stamp
	return json.Unmarshal(unknown.Raw, &found) == nil && found == s
}
