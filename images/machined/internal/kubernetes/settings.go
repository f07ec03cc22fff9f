package kubernetes

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
)

// schedulerConfigFile lies beside the scheduler's kubeconfig.
const schedulerConfigFile = "config.json"

// authorizes tells whether the machine config has authorizers of its own. Flags that say so in another way go before
// them, as the API server does not take both.
func (n Node) authorizes() bool {
	flags := n.Config.Cluster().APIServer().ExtraArgs()
	_, mode := flags["authorization-mode"]
	_, config := flags["authorization-config"]

	return len(n.Config.Cluster().APIServer().AuthorizationConfig()) > 0 && !mode && !config
}

// authorization is the API server's AuthorizationConfiguration. Nodes and roles come first unless the machine config
// says where they come: without them nothing in the cluster may do its work.
func (n Node) authorization() map[string]any {
	var (
		authorizers []map[string]any
		types       []string
	)

	for _, authorizer := range n.Config.Cluster().APIServer().AuthorizationConfig() {
		entry := map[string]any{"type": authorizer.Type(), "name": authorizer.Name()}
		if webhook := authorizer.Webhook(); len(webhook) > 0 {
			entry["webhook"] = webhook
		}

		authorizers, types = append(authorizers, entry), append(types, authorizer.Type())
	}

	for _, needed := range []struct{ kind, name string }{{"RBAC", "rbac"}, {"Node", "node"}} {
		if !slices.Contains(types, needed.kind) {
			authorizers = slices.Insert(authorizers, 0, map[string]any{"type": needed.kind, "name": needed.name})
		}
	}

	return map[string]any{
		"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthorizationConfiguration", "authorizers": authorizers,
	}
}

// schedulerConfig is the scheduler's configuration file, where the machine config has one. It takes the place of flags
// that the scheduler then passes over.
func (n Node) schedulerConfig() ([]rootfs.Step, error) {
	asked := n.Config.Cluster().Scheduler().Config()
	if len(asked) == 0 {
		return nil, nil
	}

	settings := map[string]any{
		"apiVersion":     "kubescheduler.config.k8s.io/v1",
		"kind":           "KubeSchedulerConfiguration",
		"leaderElection": map[string]any{"leaderElect": true},
	}
	maps.Copy(settings, asked)

	connection := map[string]any{}
	if own, ok := settings["clientConnection"].(map[string]any); ok {
		maps.Copy(connection, own)
	}

	connection["kubeconfig"] = secret(componentScheduler, "kubeconfig")
	settings["clientConnection"] = connection

	content, err := json.Marshal(settings)
	if err != nil {
		return nil, fmt.Errorf("cannot encode the scheduler's configuration: %w", err)
	}

	return []rootfs.Step{rootfs.File{Path: secret(componentScheduler, schedulerConfigFile), Content: string(content), Mode: 0o600}}, nil
}
