package kubernetes

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/talos/pkg/machinery/config/configpatcher"

	"github.com/bronze-os/bronze/images/machined/internal/kubeapi"
	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
)

// patched is testNode with a patch of its machine config.
func patched(t *testing.T, patch string) Node {
	t.Helper()

	node := testNode(t)

	loaded, err := configpatcher.LoadPatch([]byte(patch))
	if err != nil {
		t.Fatal(err)
	}

	out, err := configpatcher.Apply(configpatcher.WithConfig(node.Config), []configpatcher.Patch{loaded})
	if err != nil {
		t.Fatal(err)
	}

	if node.Config, err = out.Config(); err != nil {
		t.Fatal(err)
	}

	return node
}

// manifest is the static pod of that name.
func manifest(t *testing.T, n Node, name string) kubeapi.Object {
	t.Helper()

	steps, err := n.StaticPods()
	if err != nil {
		t.Fatal(err)
	}

	for _, step := range steps {
		if file, ok := step.(rootfs.File); ok && strings.HasSuffix(file.Path, "/"+name+".yaml") {
			return parsed(t, file.Content)
		}
	}

	t.Fatalf("no static pod %s", name)

	return nil
}

// secretFile is the content of a file that static pods mount.
func secretFile(t *testing.T, n Node, path string) kubeapi.Object {
	t.Helper()

	steps, err := n.Secrets()
	if err != nil {
		t.Fatal(err)
	}

	for _, step := range steps {
		if file, ok := step.(rootfs.File); ok && file.Path == path {
			return parsed(t, file.Content)
		}
	}

	t.Fatalf("no file %s", path)

	return nil
}

func TestStaticPodsFollowTheMachineConfig(t *testing.T) {
	for _, tc := range []struct {
		name, patch, pod string
		with, without    []string
	}{
		{
			"a flag of the API server", "cluster: {apiServer: {extraArgs: {event-ttl: 2h}}}", componentAPIServer,
			[]string{"--event-ttl=2h", "--authorization-mode=Node,RBAC"}, []string{"--authorization-config="},
		},
		{
			"authorizers", "cluster: {apiServer: {authorizationConfig: [{type: Webhook, name: w, webhook: {timeout: 3s}}]}}", componentAPIServer,
			[]string{"--authorization-config=" + secret(componentAPIServer, "authorization.json")}, []string{"--authorization-mode="},
		},
		{
			"authorizers beside a flag",
			"cluster: {apiServer: {extraArgs: {authorization-mode: RBAC}, authorizationConfig: [{type: Webhook, name: w}]}}", componentAPIServer,
			[]string{"--authorization-mode=RBAC"}, []string{"--authorization-config="},
		},
		{
			"a cloud provider", "cluster: {externalCloudProvider: {enabled: true}}", componentControllerManager,
			[]string{"--cloud-provider=external"}, nil,
		},
		{
			"the scheduler's configuration", "cluster: {scheduler: {config: {profiles: []}}}", componentScheduler,
			[]string{"--config=" + secret(componentScheduler, "config.json")}, nil,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			pod := manifest(t, patched(t, tc.patch), tc.pod)
			command := strings.Join(pod.List("spec", "containers")[0].Strings("command"), " ") + " "

			for _, want := range tc.with {
				if !strings.Contains(command, want+" ") {
					t.Errorf("no %s in %s", want, command)
				}
			}

			for _, unwanted := range tc.without {
				if strings.Contains(command, unwanted) {
					t.Errorf("%s in %s", unwanted, command)
				}
			}
		})
	}
}

func TestVolumesEnvironmentAndResourcesOfTheConfigAreInThePod(t *testing.T) {
	pod := manifest(t, patched(t, `cluster:
  apiServer:
    image: example.org/other:v1
    env: {A: b}
    extraVolumes: [{hostPath: /var/x, mountPath: /etc/x, readonly: true}]
    resources: {requests: {cpu: 300m, memory: 1Gi}, limits: {cpu: 2, memory: 2Gi}}
`), componentAPIServer)

	container := pod.List("spec", "containers")[0]

	if got := container.Text("image"); got != "bronze.local/kube-apiserver:v1.37.2" {
		t.Errorf("image %s", got)
	}

	want := map[string]any{
		"requests": map[string]any{"cpu": "300m", "memory": "1Gi"}, "limits": map[string]any{"cpu": "2", "memory": "2Gi"},
	}
	if diff := cmp.Diff(want, container.Map("resources")); diff != "" {
		t.Error(diff)
	}

	text, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}

	for _, want := range []string{`{"name":"A","value":"b"}`, `{"mountPath":"/etc/x","name":"etc-x","readOnly":true}`, `{"hostPath":{"path":"/var/x","type":""},"name":"etc-x"}`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
}

func TestAuthorizersKeepNodesAndRoles(t *testing.T) {
	for _, tc := range []struct{ name, patch, want string }{
		{"in front", "[{type: Webhook, name: w, webhook: {timeout: 3s}}]", "Node RBAC Webhook"},
		{"where the config has them", "[{type: Node, name: n}, {type: Webhook, name: w}, {type: RBAC, name: r}]", "Node Webhook RBAC"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			document := secretFile(t, patched(t, "cluster: {apiServer: {authorizationConfig: "+tc.patch+"}}"), secret(componentAPIServer, "authorization.json"))

			var types []string
			for _, authorizer := range document.List("authorizers") {
				types = append(types, authorizer.Text("type"))
			}

			if got := strings.Join(types, " "); got != tc.want || document.Kind() != "AuthorizationConfiguration" {
				t.Errorf("%s of %s", document.Kind(), got)
			}
		})
	}
}

func TestSchedulerConfigurationKeepsItsConnection(t *testing.T) {
	document := secretFile(t, patched(t, "cluster: {scheduler: {config: {clientConnection: {kubeconfig: /x, qps: 7}, parallelism: 3}}}"), secret(componentScheduler, "config.json"))

	want := kubeapi.Object{
		"apiVersion": "kubescheduler.config.k8s.io/v1", "kind": "KubeSchedulerConfiguration", "parallelism": 3.0,
		"leaderElection":   map[string]any{"leaderElect": true},
		"clientConnection": map[string]any{"kubeconfig": secret(componentScheduler, "kubeconfig"), "qps": 7.0},
	}
	if diff := cmp.Diff(want, document); diff != "" {
		t.Error(diff)
	}
}
