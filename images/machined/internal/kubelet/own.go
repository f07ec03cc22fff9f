package kubelet

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"github.com/siderolabs/talos/pkg/machinery/config/config"
	"github.com/siderolabs/talos/pkg/machinery/constants"

	"github.com/bronze-os/bronze/images/machined/internal/kubeapi"
	"github.com/bronze-os/bronze/images/machined/internal/kubernetes"
	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
)

// ownPodPrefix tells the static pods of the machine config from the control plane's and the user's.
const ownPodPrefix = "machine-config-"

// OwnPods answers the manifests of machine.pods. A pod that is another file is another pod, so that their order does not
// matter.
func OwnPods(pods []map[string]any) (rootfs.Step, error) {
	tree := rootfs.Tree{Path: kubernetes.ManifestsDir, Files: map[string]string{}, Mode: 0o600, Prefix: ownPodPrefix}

	for _, pod := range pods {
		object := kubeapi.Object(pod)
		if object.Name() == "" {
			return nil, errors.New("cannot run a static pod of machine.pods that has no metadata.name")
		}

		content, err := json.MarshalIndent(pod, "", "  ")
		if err != nil {
			return nil, fmt.Errorf("cannot encode static pod %q: %w", object.Name(), err)
		}

		namespace := object.Namespace()
		if namespace == "" {
			namespace = "default"
		}

		tree.Files[ownPodPrefix+url.PathEscape(namespace+"-"+object.Name())+".yaml"] = string(content)
	}

	return tree, nil
}

// SeccompProfiles answers the profiles that pods name as localhostProfile: profiles/NAME, where Talos keeps them.
func SeccompProfiles(profiles []config.SeccompProfile) (rootfs.Step, error) {
	tree := rootfs.Tree{Path: constants.SeccompProfilesDirectory, Files: map[string]string{}, Mode: 0o644}

	for _, profile := range profiles {
		content, err := json.Marshal(profile.Value())
		if err != nil {
			return nil, fmt.Errorf("cannot encode seccomp profile %q: %w", profile.Name(), err)
		}

		tree.Files[url.PathEscape(profile.Name())] = string(content)
	}

	return tree, nil
}
