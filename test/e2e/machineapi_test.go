//go:build e2e

package e2e

import (
	"context"
	"crypto/tls"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/talos/pkg/machinery/api/common"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/client"
	clientconfig "github.com/siderolabs/talos/pkg/machinery/client/config"
	"github.com/siderolabs/talos/pkg/machinery/constants"
	"github.com/siderolabs/talos/pkg/machinery/resources/config"
	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"
	"github.com/siderolabs/talos/pkg/machinery/resources/network"
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"
	"github.com/siderolabs/talos/pkg/machinery/resources/v1alpha1"
)

// testMachineAPI asks both nodes through the one endpoint that the talosconfig names.
func (r running) testMachineAPI(t *testing.T) {
	c, err := client.New(t.Context(), client.WithConfigFromFile(r.Talosconfig()), client.WithContextName(r.Cluster))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()

	t.Run("version", func(t *testing.T) { r.testVersion(t, c) })
	t.Run("services", func(t *testing.T) { r.testMachineServices(t, c) })
	t.Run("logs", func(t *testing.T) { r.testMachineLogs(t, c) })
	t.Run("resources", func(t *testing.T) { r.testResources(t, c) })
	t.Run("refuses a client without a certificate", r.testRefusal)
}

func (r running) testVersion(t *testing.T, c *client.Client) {
	answer, err := c.Version(client.WithNodes(t.Context(), r.addresses()...))
	if err != nil {
		t.Fatal(err)
	}

	var from []string

	for _, message := range answer.GetMessages() {
		from = append(from, message.GetMetadata().GetHostname())

		if got := message.GetVersion().GetTag(); !strings.HasPrefix(got, "v") {
			t.Errorf("version of %s is %q", message.GetMetadata().GetHostname(), got)
		}
	}

	r.checkFromAll(t, from)
}

// checkFromAll wants one answer of each node; metadata names nodes as they were asked for.
func (r running) checkFromAll(t *testing.T, from []string) {
	t.Helper()
	slices.Sort(from)

	if diff := cmp.Diff(slices.Sorted(slices.Values(r.addresses())), from); diff != "" {
		t.Errorf("nodes that answered (-want +got):\n%s", diff)
	}
}

func (r running) testMachineServices(t *testing.T, c *client.Client) {
	answer, err := c.ServiceList(client.WithNodes(t.Context(), r.addresses()...))
	if err != nil {
		t.Fatal(err)
	}

	var from []string

	for _, message := range answer.GetMessages() {
		node := message.GetMetadata().GetHostname()
		from = append(from, node)

		want := []string{"apid", "containerd", "kubelet"}
		if node == r.addresses()[0] {
			want = append(want, "etcd", "trustd")
		}

		running := runningServices(message)
		for _, id := range want {
			if !slices.Contains(running, id) {
				t.Errorf("of the services of %s, %q run, want %s among them", node, running, id)
			}
		}
	}

	r.checkFromAll(t, from)
}

// runningServices are those that run, and are healthy where they say anything about that.
func runningServices(list *machine.ServiceList) []string {
	var ids []string

	for _, service := range list.GetServices() {
		health := service.GetHealth()
		if service.GetState() == "Running" && (health.GetHealthy() || health.GetUnknown()) {
			ids = append(ids, service.GetId())
		}
	}

	return ids
}

func (r running) testMachineLogs(t *testing.T, c *client.Client) {
	for _, node := range r.addresses() {
		ctx := client.WithNodes(t.Context(), node)

		stream, err := c.Logs(ctx, constants.SystemContainerdNamespace, common.ContainerDriver_CONTAINERD, "kubelet", false, 5)
		if err != nil {
			t.Fatal(err)
		}

		if got := readAll(t, stream); strings.Count(got, "\n") != 5 {
			t.Errorf("the last five lines of %s's kubelet are %q", node, got)
		}
	}
}

func readAll(t *testing.T, stream client.MachineStream) string {
	t.Helper()

	reader, err := client.ReadStream(stream)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()

	all, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}

	return string(all)
}

func (r running) testResources(t *testing.T, c *client.Client) {
	for i, address := range r.addresses() {
		name := r.nodes[i].Name
		ctx := client.WithNode(t.Context(), address)

		t.Run(name, func(t *testing.T) {
			r.testNamedResources(t, ctx, c, name)

			counts := map[resource.Type]int{}
			for namespace, kind := range listed() {
				counts[kind] = count(t, ctx, c, namespace, kind)
			}

			checkCounts(t, counts, i == 0)
		})
	}
}

// testNamedResources reads those whose content is known from outside.
func (r running) testNamedResources(t *testing.T, ctx context.Context, c *client.Client, name string) {
	t.Helper()

	nodename, err := safe.StateGetByID[*k8s.Nodename](ctx, c.COSI, k8s.NodenameID)
	if err != nil {
		t.Fatal(err)
	}

	hostname, err := safe.StateGetByID[*network.HostnameStatus](ctx, c.COSI, network.HostnameID)
	if err != nil {
		t.Fatal(err)
	}

	status, err := safe.StateGetByID[*runtime.MachineStatus](ctx, c.COSI, runtime.MachineStatusID)
	if err != nil {
		t.Fatal(err)
	}

	got := []string{nodename.TypedSpec().Nodename, hostname.TypedSpec().Hostname, status.TypedSpec().Stage.String()}
	if diff := cmp.Diff([]string{name, name, "running"}, got); diff != "" {
		t.Errorf("node name, hostname and stage (-want +got):\n%s", diff)
	}
}

// listed are the resources of which a node has some, with their namespaces.
func listed() map[resource.Namespace]resource.Type {
	return map[resource.Namespace]resource.Type{
		network.NamespaceName:  network.NodeAddressType,
		config.NamespaceName:   config.MachineConfigType,
		k8s.NamespaceName:      k8s.StaticPodStatusType,
		v1alpha1.NamespaceName: v1alpha1.ServiceType,
	}
}

func count(t *testing.T, ctx context.Context, c *client.Client, namespace resource.Namespace, kind resource.Type) int {
	t.Helper()

	list, err := c.COSI.List(ctx, resource.NewMetadata(namespace, kind, "", resource.VersionUndefined))
	if err != nil {
		t.Fatalf("listing %s: %v", kind, err)
	}

	return len(list.Items)
}

func checkCounts(t *testing.T, counts map[resource.Type]int, controlPlane bool) {
	t.Helper()

	for kind, got := range counts {
		want := 1
		if kind == k8s.StaticPodStatusType && controlPlane {
			want = 3
		} else if kind == k8s.StaticPodStatusType {
			want = 0
		}

		if got < want {
			t.Errorf("there are %d of %s, want at least %d", got, kind, want)
		}
	}
}

// testRefusal shows that it is the missing certificate that is refused: the same address serves who brings one.
func (r running) testRefusal(t *testing.T) {
	all, err := clientconfig.Open(r.Talosconfig())
	if err != nil {
		t.Fatal(err)
	}

	stranger, err := client.New(t.Context(),
		client.WithTLSConfig(&tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}),
		client.WithEndpoints(all.Contexts[r.Cluster].Endpoints...))
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()

	if answer, err := stranger.Version(t.Context()); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a client without a certificate got %v and %v, want a refusal that names the certificate", answer, err)
	}
}
