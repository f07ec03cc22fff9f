package health_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/talos/pkg/machinery/api/cluster"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"
	"github.com/siderolabs/talos/pkg/machinery/role"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/bronze-os/bronze/images/machined/internal/apid/authz"
	"github.com/bronze-os/bronze/images/machined/internal/health"
	"github.com/bronze-os/bronze/images/machined/internal/kubeapi"
	"github.com/bronze-os/bronze/images/machined/internal/resources"
	"github.com/bronze-os/bronze/images/machined/internal/resources/statetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const controlPlane, worker = "10.5.0.2", "10.5.0.3"

// fake is a cluster in memory: nodes that serve the machine API with a real state, and a Kubernetes API.
type fake struct {
	nodes   map[string]*node
	objects map[string][]kubeapi.Object
	// known are the nodes that discovery tells.
	known []health.Node
}

// node is the machine API of one node.
type node struct {
	machine.UnimplementedMachineServiceServer
	services map[string]*machine.ServiceInfo
	members  []*machine.EtcdMember
	mode     string
	memory   uint64
	state    state.State
	dead     bool
}

func (n *node) Version(context.Context, *emptypb.Empty) (*machine.VersionResponse, error) {
	return &machine.VersionResponse{Messages: []*machine.Version{{Platform: &machine.PlatformInfo{Mode: n.mode}}}}, nil
}

func (n *node) Memory(context.Context, *emptypb.Empty) (*machine.MemoryResponse, error) {
	return &machine.MemoryResponse{Messages: []*machine.Memory{{Meminfo: &machine.MemInfo{Memtotal: n.memory}}}}, nil
}

func (n *node) ServiceList(context.Context, *emptypb.Empty) (*machine.ServiceListResponse, error) {
	list := &machine.ServiceList{}
	for _, service := range n.services {
		list.Services = append(list.Services, service)
	}

	return &machine.ServiceListResponse{Messages: []*machine.ServiceList{list}}, nil
}

func (n *node) EtcdMemberList(context.Context, *machine.EtcdMemberListRequest) (*machine.EtcdMemberListResponse, error) {
	return &machine.EtcdMemberListResponse{Messages: []*machine.EtcdMembers{{Members: n.members}}}, nil
}

func good(id string) *machine.ServiceInfo {
	return &machine.ServiceInfo{Id: id, State: "Running", Health: &machine.ServiceHealth{Healthy: true}}
}

// working is a cluster of a control plane and a worker without a fault.
func working(t *testing.T) *fake {
	t.Helper()

	f := &fake{
		nodes: map[string]*node{},
		known: []health.Node{{Addresses: []netip.Addr{netip.MustParseAddr(controlPlane)}, ControlPlane: true}, {Addresses: []netip.Addr{netip.MustParseAddr(worker)}}},
		objects: map[string][]kubeapi.Object{
			"nodes": {
				object(`{"metadata":{"name":"cp","labels":{"node-role.kubernetes.io/control-plane":""}},"status":{"addresses":[{"type":"InternalIP","address":"10.5.0.2"}],"conditions":[{"type":"Ready","status":"True"}]}}`),
				object(`{"metadata":{"name":"w"},"status":{"addresses":[{"type":"InternalIP","address":"10.5.0.3"}],"conditions":[{"type":"Ready","status":"True"}]}}`),
			},
			"daemonsets k8s-app=kube-proxy": {object(`{"status":{"desiredNumberScheduled":2}}`)},
			"deployments k8s-app=kube-dns":  {object(`{"spec":{"replicas":1}}`)},
			"pods k8s-app=kube-proxy":       {pod("proxy-a"), pod("proxy-b")},
			"pods k8s-app=kube-dns":         {pod("dns")},
		},
	}

	for address, services := range map[string][]string{controlPlane: {"etcd", "kubelet"}, worker: {"kubelet"}} {
		n := &node{services: map[string]*machine.ServiceInfo{}, mode: "container", members: []*machine.EtcdMember{
			{Id: 1, Hostname: "cp", PeerUrls: []string{"https://10.5.0.2:2380"}},
		}}
		for _, id := range services {
			n.services[id] = good(id)
		}

		var err error
		if n.state, err = resources.New(t.Context()); err != nil {
			t.Fatal(err)
		}

		booted := runtime.NewMachineStatus()
		booted.TypedSpec().Stage = runtime.MachineStageRunning
		create(t, n.state, booted)

		f.nodes[address] = n
	}

	for _, name := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler"} {
		create(t, f.nodes[controlPlane].state, k8s.NewStaticPodStatus(k8s.NamespaceName, "kube-system/"+name+"-cp"))
		f.objects["pods k8s-app="+name] = []kubeapi.Object{pod(name + "-cp")}
	}

	return f
}

func object(text string) kubeapi.Object {
	var object kubeapi.Object
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		panic(err)
	}

	return object
}

func pod(name string) kubeapi.Object {
	return object(`{"metadata":{"name":"` + name + `"},"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}`)
}

func create(t *testing.T, st state.State, r resource.Resource) {
	t.Helper()

	if err := st.Create(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

// ServeHTTP plays Kubernetes.
func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key := strings.TrimSpace(r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:] + " " + r.URL.Query().Get("labelSelector"))
	_ = json.NewEncoder(w).Encode(map[string]any{"items": f.objects[key]})
}

// check runs the call over gRPC, and answers what it told and how it ended. Once it told a line that is one of enough, it is
// ended.
func (f *fake) check(t *testing.T, request *cluster.HealthCheckRequest, enough ...string) ([]string, error) {
	t.Helper()

	kubernetes := httptest.NewServer(f)
	t.Cleanup(kubernetes.Close)

	listeners := map[string]*bufconn.Listener{}
	for address, n := range f.nodes {
		listeners[address] = serve(t, func(server *grpc.Server) {
			machine.RegisterMachineServiceServer(server, n)
			resources.Register(server, n.state, nil)
		})
	}

	opts := health.Options{
		Nodes: func(context.Context) ([]health.Node, error) { return f.known, nil },
		Dial: func(ctx context.Context, address string) (context.Context, *grpc.ClientConn, error) {
			if n := f.nodes[address]; n == nil || n.dead {
				return ctx, nil, status.Errorf(codes.Unavailable, "no answer from %s", address)
			}

			return statetest.As(ctx, role.Admin), dial(t, listeners[address]), nil
		},
		Kubernetes: func(endpoint string) (*kubeapi.Client, error) {
			if endpoint != "" {
				return kubeapi.New(endpoint, nil), nil
			}

			return kubeapi.New(kubernetes.URL, nil), nil
		},
		Pause: time.Millisecond,
	}

	conn := dial(t, serve(t, func(server *grpc.Server) { health.Register(server, opts) }))
	defer conn.Close()

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	stream, err := cluster.NewClusterServiceClient(conn).HealthCheck(ctx, request)
	if err != nil {
		t.Fatal(err)
	}

	var told []string

	for {
		progress, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return told, nil
		}

		if err != nil {
			return told, err
		}

		told = append(told, progress.GetMessage())
		if slices.Contains(enough, progress.GetMessage()) {
			cancel()
		}
	}
}

func serve(t *testing.T, register func(*grpc.Server)) *bufconn.Listener {
	t.Helper()

	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer(grpc.UnaryInterceptor(passing), grpc.StreamInterceptor(passingStream))
	register(server)

	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()

	t.Cleanup(func() {
		server.Stop()

		if err := <-done; err != nil {
			t.Error(err)
		}
	})

	return listener
}

// passing lets everybody call, with the roles of the metadata.
func passing(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	roles, _ := authz.MetadataRoles(ctx)

	return handle(authz.WithRoles(ctx, roles), request)
}

func passingStream(server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	return handle(server, stream)
}

func dial(t *testing.T, listener *bufconn.Listener) *grpc.ClientConn {
	t.Helper()

	conn, err := grpc.NewClient("passthrough:///memory", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}

	return conn
}

func TestAClusterThatWorksPassesEachConditionInOrder(t *testing.T) {
	told, err := working(t).check(t, &cluster.HealthCheckRequest{WaitTimeout: durationpb.New(time.Minute), ClusterInfo: &cluster.ClusterInfo{}})
	if err != nil {
		t.Fatal(err)
	}

	want := []string{`discovered nodes: control plane: ["10.5.0.2"], worker: ["10.5.0.3"]`}
	for _, name := range []string{
		"etcd to be healthy", "etcd members to be consistent across nodes", "etcd members to be control plane nodes", "apid to be ready",
		"all nodes memory sizes", "all nodes disk sizes", "no diagnostics", "kubelet to be healthy", "all nodes to finish boot sequence",
		"all k8s nodes to report", "all control plane static pods to be running", "all control plane components to be ready",
		"all k8s nodes to report ready", "kube-proxy to report ready", "coredns to report ready", "all k8s nodes to report schedulable",
	} {
		want = append(want, "waiting for "+name+": ...", "waiting for "+name+": OK")
	}

	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEachFaultIsNamed(t *testing.T) {
	tests := []struct {
		name  string
		fault func(t *testing.T, f *fake)
		// want is the last line that is told.
		want string
	}{
		{"etcd stopped", func(_ *testing.T, f *fake) { f.nodes[controlPlane].services["etcd"].State = "Finished" },
			`waiting for etcd to be healthy: 10.5.0.2: service "etcd" is finished`},
		{"members that differ", func(t *testing.T, f *fake) {
			f.addControlPlane(t, "10.5.0.4", &machine.EtcdMember{Id: 7, Hostname: "other", PeerUrls: []string{"https://10.5.0.4:2380"}})
		}, "waiting for etcd members to be consistent across nodes: 10.5.0.2 knows the members cp (0000000000000001, learner false), and 10.5.0.4 knows other (0000000000000007, learner false)"},
		{"a member elsewhere", func(_ *testing.T, f *fake) {
			f.nodes[controlPlane].members[0].PeerUrls = []string{"https://10.5.0.9:2380"}
		},
			"waiting for etcd members to be control plane nodes: 10.5.0.2: member cp is at https://10.5.0.9:2380, which no control plane is"},
		{"a dead worker", func(_ *testing.T, f *fake) { f.nodes[worker].dead = true },
			"waiting for apid to be ready: 10.5.0.3: rpc error: code = Unavailable desc = no answer from 10.5.0.3"},
		{"a small machine", func(_ *testing.T, f *fake) { f.nodes[worker].mode, f.nodes[worker].memory = "metal", 512<<10 },
			"waiting for all nodes memory sizes: 10.5.0.3: has 512 MiB of memory and needs 874 MiB"},
		{"a diagnostic", func(t *testing.T, f *fake) {
			diagnostic := runtime.NewDiagnostic(runtime.NamespaceName, "address-overlap")
			diagnostic.TypedSpec().Message = "networks overlap"
			create(t, f.nodes[worker].state, diagnostic)
		}, "waiting for no diagnostics: 10.5.0.3: active diagnostics: networks overlap"},
		{"a kubelet that is not healthy", func(_ *testing.T, f *fake) {
			f.nodes[worker].services["kubelet"].Health = &machine.ServiceHealth{LastMessage: "refused"}
		}, `waiting for kubelet to be healthy: 10.5.0.3: service "kubelet" is not healthy: refused`},
		{"a node that boots", func(t *testing.T, f *fake) {
			booting := runtime.NewMachineStatus()
			booting.TypedSpec().Stage = runtime.MachineStageBooting
			if err := f.nodes[worker].state.Destroy(t.Context(), booting.Metadata()); err != nil {
				t.Fatal(err)
			}
			create(t, f.nodes[worker].state, booting)
		}, "waiting for all nodes to finish boot sequence: 10.5.0.3: the machine is booting"},
		{"a node that Kubernetes does not know", func(_ *testing.T, f *fake) { f.objects["nodes"] = f.objects["nodes"][:1] },
			`waiting for all k8s nodes to report: there are no Kubernetes nodes at ["10.5.0.3"]`},
		{"a node that only Kubernetes knows", func(_ *testing.T, f *fake) {
			f.objects["nodes"] = append(f.objects["nodes"], object(`{"metadata":{"name":"stranger"}}`))
		}, `waiting for all k8s nodes to report: the Kubernetes nodes ["stranger"] are not of the cluster`},
		{"a static pod that is missing", func(t *testing.T, f *fake) {
			gone := k8s.NewStaticPodStatus(k8s.NamespaceName, "kube-system/kube-scheduler-cp")
			if err := f.nodes[controlPlane].state.Destroy(t.Context(), gone.Metadata()); err != nil {
				t.Fatal(err)
			}
		}, "waiting for all control plane static pods to be running: 10.5.0.2: there are no static pods of kube-scheduler"},
		{"a component too few", func(_ *testing.T, f *fake) { delete(f.objects, "pods k8s-app=kube-scheduler") },
			"waiting for all control plane components to be ready: there are 0 pods of kube-scheduler and should be 1"},
		{"a node that is not ready", func(_ *testing.T, f *fake) {
			f.objects["nodes"][1].Set([]any{map[string]any{"type": "Ready", "status": "Unknown"}}, "status", "conditions")
		}, `waiting for all k8s nodes to report ready: some nodes are not ready: ["w"]`},
		{"a proxy that is not ready", func(_ *testing.T, f *fake) {
			f.objects["pods k8s-app=kube-proxy"][1] = object(`{"metadata":{"name":"proxy-b"},"status":{"phase":"Pending"}}`)
		}, "waiting for kube-proxy to report ready: pods of kube-proxy are not ready: proxy-b"},
		{"no DNS", func(_ *testing.T, f *fake) { delete(f.objects, "pods k8s-app=kube-dns") },
			"waiting for coredns to report ready: there are 0 pods of kube-dns and should be 1"},
		{"a cordoned node", func(_ *testing.T, f *fake) { f.objects["nodes"][1].Set(true, "spec", "unschedulable") },
			`waiting for all k8s nodes to report schedulable: some nodes are not schedulable: ["w"]`},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := working(t)
			test.fault(t, f)

			told, err := f.check(t, &cluster.HealthCheckRequest{}, test.want)
			if status.Code(err) != codes.Canceled {
				t.Errorf("it told %q and ended with %v", told, err)
			}
		})
	}
}

func (f *fake) addControlPlane(t *testing.T, address string, member *machine.EtcdMember) {
	t.Helper()

	other := *working(t).nodes[controlPlane]
	other.members = []*machine.EtcdMember{member}
	f.nodes[address] = &node{services: other.services, members: other.members, mode: other.mode, state: other.state}
	f.known = append(f.known, health.Node{Addresses: []netip.Addr{netip.MustParseAddr(address)}, ControlPlane: true})
}

func TestWhatAClusterDoesNotHaveIsSkipped(t *testing.T) {
	f := working(t)
	delete(f.objects, "daemonsets k8s-app=kube-proxy")

	told, err := f.check(t, &cluster.HealthCheckRequest{WaitTimeout: durationpb.New(time.Minute)})
	if err != nil {
		t.Fatal(err)
	}

	if !slices.Contains(told, "waiting for kube-proxy to report ready: SKIP") {
		t.Errorf("told %q", told)
	}
}

func TestACallerMayNameNodesAndEndpoint(t *testing.T) {
	f := working(t)
	known := f.known
	f.known = nil

	info := &cluster.ClusterInfo{ControlPlaneNodes: []string{known[0].Addresses[0].String()}, WorkerNodes: []string{worker}}
	if _, err := f.check(t, &cluster.HealthCheckRequest{WaitTimeout: durationpb.New(time.Minute), ClusterInfo: info}); err != nil {
		t.Error(err)
	}

	info.ForceEndpoint = "http://127.0.0.1:1"

	line := "waiting for all k8s nodes to report: asking Kubernetes: Get \"http://127.0.0.1:1/api/v1/nodes\": dial tcp 127.0.0.1:1: connect: connection refused"

	if told, err := f.check(t, &cluster.HealthCheckRequest{ClusterInfo: info}, line); status.Code(err) != codes.Canceled {
		t.Errorf("the endpoint was not taken: %v %q", err, told)
	}
}

func TestTheWaitEnds(t *testing.T) {
	f := working(t)
	f.nodes[controlPlane].services["etcd"].State = "Failed"

	_, err := f.check(t, &cluster.HealthCheckRequest{WaitTimeout: durationpb.New(200 * time.Millisecond)})
	if status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("it ended with %v", err)
	}
}

func TestSenselessRequestsAreRefusedWithTheCure(t *testing.T) {
	many := make([]string, 1001)
	tests := []struct {
		name    string
		request *cluster.HealthCheckRequest
		want    codes.Code
		cure    string
	}{
		{"no time", &cluster.HealthCheckRequest{WaitTimeout: durationpb.New(0)}, codes.InvalidArgument, "name a time-out"},
		{"no address", &cluster.HealthCheckRequest{ClusterInfo: &cluster.ClusterInfo{WorkerNodes: []string{"nonsense"}}}, codes.InvalidArgument, "by their IP addresses"},
		{"too many", &cluster.HealthCheckRequest{ClusterInfo: &cluster.ClusterInfo{WorkerNodes: many}}, codes.InvalidArgument, "at most 1000"},
		{"workers only", &cluster.HealthCheckRequest{ClusterInfo: &cluster.ClusterInfo{WorkerNodes: []string{worker}}}, codes.FailedPrecondition, "control_plane_nodes"},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := working(t).check(t, test.request)
			if status.Code(err) != test.want || !strings.Contains(err.Error(), test.cure) {
				t.Errorf("got %v", err)
			}
		})
	}
}
