package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/bronze-os/bronze/images/machined/internal/kubeapi"
)

// Mirrors keeps what the API shows of this node's static pods true: the kubelet makes a mirror of a static pod once, and
// anew only when it next looks at the pod after the mirror was deleted, half a minute later.
type Mirrors struct {
	API *kubeapi.Client
	// Node is this node's name in Kubernetes.
	Node string
	// Dir is where the manifests are.
	Dir string
}

// Run makes mirrors anew that are out of date until ctx ends.
func (m Mirrors) Run(ctx context.Context) error {
	query := url.Values{"fieldSelector": {"spec.nodeName=" + m.Node}, "labelSelector": {"tier=control-plane"}}

	return m.API.Watch(ctx, "/api/v1/namespaces/kube-system/pods?"+query.Encode(), m.handle)
}

func (m Mirrors) handle(ctx context.Context, mirror kubeapi.Object) error {
	pod, err := manifestOf(m.Dir, strings.TrimSuffix(mirror.Name(), "-"+m.Node))
	if err != nil || pod == nil || mark(pod) == mark(mirror) {
		return err
	}

	err = m.API.Do(ctx, kubeapi.Request{
		Method: http.MethodDelete,
		Path:   "/api/v1/namespaces/kube-system/pods/" + url.PathEscape(mirror.Name()),
		Body: map[string]any{
			"gracePeriodSeconds": 0, "preconditions": map[string]any{"uid": mirror.Text("metadata", "uid")},
		},
	}, nil)
	if err != nil {
		return ignoreConflict(err)
	}

	// The kubelet may have been first.
	return ignoreConflict(m.API.Create(ctx, m.mirrorOf(pod, mirror)))
}

// mirrorOf is the mirror that a kubelet would make of a pod, by what it wrote into the one before.
func (m Mirrors) mirrorOf(pod, before kubeapi.Object) kubeapi.Object {
	annotations := map[string]any{}

	for name, value := range before.Map("metadata", "annotations") {
		if strings.HasPrefix(name, "kubernetes.io/config.") {
			annotations[name] = value
		}
	}

	maps.Copy(annotations, pod.Map("metadata", "annotations"))

	mirror := kubeapi.Object{"apiVersion": "v1", "kind": "Pod", "spec": maps.Clone(pod.Map("spec"))}
	mirror.Set(m.Node, "spec", "nodeName")
	mirror.Set(map[string]any{
		"name": before.Name(), "namespace": before.Namespace(), "labels": pod.Map("metadata", "labels"),
		"annotations": annotations, "ownerReferences": before.Map("metadata")["ownerReferences"],
	}, "metadata")

	return mirror
}

// mark is the digest in a manifest or its mirror.
func mark(pod kubeapi.Object) string { return pod.Text("metadata", "annotations", manifestAnnotation) }

// manifestOf reads the manifest of a component; it is nil where there is none.
func manifestOf(dir, component string) (kubeapi.Object, error) {
	text, err := os.ReadFile(filepath.Join(dir, filepath.Base(component)+".yaml"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}

	if err != nil {
		return nil, fmt.Errorf("cannot read the manifest of %s: %w", component, err)
	}

	var pod kubeapi.Object
	if err := json.Unmarshal(text, &pod); err != nil {
		return nil, fmt.Errorf("cannot parse the manifest of %s: %w", component, err)
	}

	return pod, nil
}
