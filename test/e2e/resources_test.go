//go:build e2e

package e2e

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/cosi-project/runtime/pkg/resource/meta"
	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/google/go-cmp/cmp"
	clusterapi "github.com/siderolabs/talos/pkg/machinery/api/cluster"
	"github.com/siderolabs/talos/pkg/machinery/client"
	"github.com/siderolabs/talos/pkg/machinery/resources/config"
	_ "github.com/siderolabs/talos/pkg/machinery/resources/cri"
	"github.com/siderolabs/talos/pkg/machinery/resources/etcd"
	"github.com/siderolabs/talos/pkg/machinery/resources/hardware"
	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"
	"github.com/siderolabs/talos/pkg/machinery/resources/network"
	"github.com/siderolabs/talos/pkg/machinery/resources/perf"
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"
	"github.com/siderolabs/talos/pkg/machinery/resources/secrets"
	"github.com/siderolabs/talos/pkg/machinery/resources/v1alpha1"
	"google.golang.org/grpc/codes"

	"github.com/bronze-os/bronze/test/lab"
	"github.com/bronze-os/bronze/test/lab/labtest"
)

// TestResources wants everything that users get of a node to be there, and to be what the engine and Kubernetes say.
func TestResources(t *testing.T) {
	l := labtest.New(t, "e2e-resources")
	run(t, l.Bronze(t.Context(), append(labtest.Create(l.Cluster), "--workers", "1")...))

	c, err := client.New(t.Context(), client.WithConfigFromFile(l.Talosconfig()), client.WithContextName(l.Cluster))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()

	r := described{running: look(t, l), client: c}

	t.Run("the cluster is healthy", r.testHealth)

	for i, address := range r.addresses() {
		ctx := client.WithNode(t.Context(), address)

		t.Run(r.nodes[i].Name, func(t *testing.T) {
			t.Run("every kind can be listed", func(t *testing.T) { r.testEveryKind(t, ctx, i == 0) })
			t.Run("Kubernetes says the same", func(t *testing.T) { r.testAgainstKubernetes(t, ctx, i) })
			t.Run("the engine says the same", func(t *testing.T) { r.testAgainstEngine(t, ctx, i) })
			t.Run("what is not there is not found", func(t *testing.T) { r.testMissing(t, ctx) })
		})
	}

	t.Run("a watch tells of a change and of nothing else", r.testWatch)
}

// described is a cluster whose resources are read.
type described struct {
	running

	client *client.Client
}

// testHealth wants the node's own examination to end well.
func (r described) testHealth(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()

	stream, err := r.client.ClusterHealthCheck(ctx, patience, &clusterapi.ClusterInfo{})
	if err != nil {
		t.Fatal(err)
	}

	var told []string

	for {
		progress, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}

		if err != nil {
			t.Fatalf("%v after %q", err, told)
		}

		told = append(told, progress.GetMessage())
	}

	held := 0

	for _, line := range told {
		if strings.HasSuffix(line, ": OK") {
			held++
		}
	}

	if held != 16 {
		t.Errorf("%d conditions hold: %q", held, told)
	}
}

// everywhere and onControlPlanes are the kinds that no node, or no control plane, is without.
func everywhere() []resource.Type {
	return []resource.Type{
		config.MachineConfigType, config.MachineTypeType,
		network.AddressStatusType, network.HostnameSpecType, network.HostnameStatusType, network.LinkStatusType, network.NodeAddressType,
		network.ResolverStatusType, network.RouteStatusType, network.StatusType, network.TimeServerStatusType,
		k8s.EndpointType, k8s.KubePrismConfigType, k8s.KubePrismEndpointsType, k8s.KubePrismStatusesType, k8s.KubeletConfigType, k8s.KubeletSpecType,
		k8s.NodeIPType, k8s.NodeStatusType, k8s.NodenameType,
		hardware.MemoryModuleType, hardware.ProcessorType, hardware.SystemInformationType, perf.CPUType, perf.MemoryType,
		runtime.KernelParamStatusType, runtime.MachineStatusType, runtime.MountStatusType, runtime.PlatformMetadataType,
		runtime.SecurityStateType, runtime.VersionType,
		secrets.CertSANType, secrets.KubeletType, secrets.OSRootType,
		v1alpha1.ServiceType,
		"Affiliates.cluster.talos.dev", "Identities.cluster.talos.dev", "Infos.cluster.talos.dev", "Members.cluster.talos.dev",
	}
}

func onControlPlanes() []resource.Type {
	return []resource.Type{
		etcd.ConfigType, etcd.MemberType, etcd.PKIStatusType, etcd.SpecType,
		k8s.APIServerConfigType, k8s.BootstrapManifestsConfigType, k8s.ControllerManagerConfigType, k8s.ManifestStatusType, k8s.ManifestType,
		k8s.SchedulerConfigType, k8s.SecretsStatusType, k8s.StaticPodStatusType, k8s.StaticPodType,
		secrets.EtcdRootType, secrets.EtcdType, secrets.KubernetesDynamicCertsType, secrets.KubernetesRootType, secrets.KubernetesType,
	}
}

// testEveryKind lists each kind that the node knows, and wants some of those that users look at.
func (r described) testEveryKind(t *testing.T, ctx context.Context, controlPlane bool) {
	definitions, err := safe.StateListAll[*meta.ResourceDefinition](ctx, r.client.COSI)
	if err != nil {
		t.Fatal(err)
	}

	counts := map[resource.Type]int{}

	for definition := range definitions.All() {
		spec := definition.TypedSpec()
		counts[spec.Type] = count(t, ctx, r.client, spec.DefaultNamespace, spec.Type)
	}

	wanted := everywhere()
	if controlPlane {
		wanted = append(wanted, onControlPlanes()...)
	}

	for _, kind := range wanted {
		if counts[kind] == 0 {
			t.Errorf("there is no %s", kind)
		}
	}

	if counts[runtime.DiagnosticType] > 0 || counts[runtime.ExtensionStatusType] > 0 {
		t.Errorf("a node that works has %d diagnostics and %d extensions", counts[runtime.DiagnosticType], counts[runtime.ExtensionStatusType])
	}
}

func (r described) testAgainstKubernetes(t *testing.T, ctx context.Context, i int) {
	node := r.nodes[i]
	status := read[*k8s.NodeStatus](t, ctx, r.client, k8s.NewNodeStatus(k8s.NamespaceName, node.Name)).TypedSpec()
	kubelet := read[*k8s.KubeletSpec](t, ctx, r.client, k8s.NewKubeletSpec(k8s.NamespaceName, k8s.KubeletID)).TypedSpec()

	// Annotations go on changing; labels of a node that is Ready do not.
	if diff := cmp.Diff(node.Labels, status.Labels); diff != "" {
		t.Errorf("labels (-Kubernetes +node):\n%s", diff)
	}

	if !status.NodeReady || status.Unschedulable || status.Nodename != node.Name || kubelet.ExpectedNodename != node.Name {
		t.Errorf("status %+v, expected name %s", status, kubelet.ExpectedNodename)
	}

	if len(status.PodCIDRs) != 1 || status.PodCIDRs[0].String() != node.Spec.PodCIDR {
		t.Errorf("pod networks %v, want %s", status.PodCIDRs, node.Spec.PodCIDR)
	}

	discovered := read[*k8s.Endpoint](t, ctx, r.client, k8s.NewEndpoint(k8s.ControlPlaneNamespaceName, k8s.ControlPlaneDiscoveredEndpointsID)).TypedSpec()
	if want := netip.MustParseAddr(r.addresses()[0]); !slices.Contains(discovered.Addresses, want) {
		t.Errorf("control planes at %v, want %s among them", discovered.Addresses, want)
	}

	if i == 0 {
		r.testStaticPods(t, ctx)
	}
}

func (r described) testStaticPods(t *testing.T, ctx context.Context) {
	pods, err := safe.StateListAll[*k8s.StaticPod](ctx, r.client.COSI)
	if err != nil {
		t.Fatal(err)
	}

	var names []string
	for pod := range pods.All() {
		names = append(names, pod.Metadata().ID())
	}

	if diff := cmp.Diff([]string{"kube-apiserver", "kube-controller-manager", "kube-scheduler"}, names); diff != "" {
		t.Errorf("static pods (-want +got):\n%s", diff)
	}

	served := run(t, r.Kubectl(t.Context(), "get", "endpointslices", "-n", "default", "kubernetes", "-o", "jsonpath={.endpoints[*].addresses[0]}"))
	serving := read[*k8s.Endpoint](t, ctx, r.client, k8s.NewEndpoint(k8s.ControlPlaneNamespaceName, k8s.ControlPlaneKubernetesEndpointsID)).TypedSpec()

	if len(serving.Addresses) != 1 || serving.Addresses[0].String() != served {
		t.Errorf("the API serves at %v, want %s", serving.Addresses, served)
	}
}

func (r described) testAgainstEngine(t *testing.T, ctx context.Context, i int) {
	inspect := func(format string) string {
		answer, err := lab.Docker(t.Context(), "inspect", "--format", format, r.nodes[i].Name)
		if err != nil {
			t.Fatal(err)
		}

		return strings.Join(answer, "")
	}

	hostname := read[*network.HostnameStatus](t, ctx, r.client, network.NewHostnameStatus(network.NamespaceName, network.HostnameID)).TypedSpec()
	card := read[*network.HardwareAddr](t, ctx, r.client, network.NewHardwareAddr(network.NamespaceName, network.FirstHardwareAddr)).TypedSpec()
	link := read[*network.LinkStatus](t, ctx, r.client, network.NewLinkStatus(network.NamespaceName, card.Name)).TypedSpec()
	gateway := inspect("{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}")
	route := read[*network.RouteStatus](t, ctx, r.client, network.NewRouteStatus(network.NamespaceName, "inet4/"+gateway+"//0")).TypedSpec()
	main := read[*network.NodeAddress](t, ctx, r.client, network.NewNodeAddress(network.NamespaceName, network.NodeAddressDefaultID)).TypedSpec()
	state := read[*runtime.MountStatus](t, ctx, r.client, runtime.NewMountStatus(runtime.NamespaceName, "STATE")).TypedSpec()

	got := []string{hostname.Hostname, card.HardwareAddr.String(), link.HardwareAddr.String(), route.OutLinkName, main.Addresses[0].Addr().String(), state.Target}
	want := []string{
		inspect("{{.Config.Hostname}}"), inspect("{{range .NetworkSettings.Networks}}{{.MacAddress}}{{end}}"),
		inspect("{{range .NetworkSettings.Networks}}{{.MacAddress}}{{end}}"), card.Name, inspect("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"),
		"/system/state",
	}

	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-engine +node):\n%s", diff)
	}
}

func (r described) testMissing(t *testing.T, ctx context.Context) {
	for _, missing := range []resource.Resource{
		network.NewLinkStatus(network.NamespaceName, "none"), k8s.NewNodeStatus(k8s.NamespaceName, "none"), v1alpha1.NewService("none"),
	} {
		if _, err := r.client.COSI.Get(ctx, missing.Metadata()); !state.IsNotFoundError(err) && client.StatusCode(err) != codes.NotFound {
			t.Errorf("%s: %v", missing.Metadata(), err)
		}
	}
}

// testWatch cordons the worker and wants its watch to see that, once.
func (r described) testWatch(t *testing.T) {
	worker := r.nodes[1].Name
	ctx := client.WithNode(t.Context(), r.addresses()[1])
	events := make(chan state.Event)

	if err := r.client.COSI.Watch(ctx, k8s.NewNodeStatus(k8s.NamespaceName, worker).Metadata(), events); err != nil {
		t.Fatal(err)
	}

	// The first event is the resource as it is.
	before := next(t, events)

	run(t, r.Kubectl(t.Context(), "cordon", worker))

	for {
		after := next(t, events)
		if after.Metadata().Version().Equal(before.Metadata().Version()) || cmp.Equal(*before.TypedSpec(), *after.TypedSpec(), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })) {
			t.Errorf("an event without a change: version %s", after.Metadata().Version())
		}

		if after.TypedSpec().Unschedulable {
			break
		}

		before = after
	}

	run(t, r.Kubectl(t.Context(), "uncordon", worker))
}

func next(t *testing.T, events <-chan state.Event) *k8s.NodeStatus {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()

	select {
	case event := <-events:
		status, ok := event.Resource.(*k8s.NodeStatus)
		if !ok {
			t.Fatalf("the watch tells of %T: %v", event.Resource, event.Error)
		}

		return status
	case <-ctx.Done():
		t.Fatal("the watch tells nothing")

		return nil
	}
}

// read fetches the resource that is named as like.
func read[R resource.Resource](t *testing.T, ctx context.Context, c *client.Client, like R) R {
	t.Helper()

	found, err := safe.StateGet[R](ctx, c.COSI, like.Metadata())
	if err != nil {
		t.Fatalf("reading %s: %v", like.Metadata(), err)
	}

	return found
}
