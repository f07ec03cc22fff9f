package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	clientpb "github.com/siderolabs/discovery-api/api/v1alpha1/client/pb"
	"github.com/siderolabs/discovery-api/api/v1alpha1/server/pb"
	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/container"
	"github.com/siderolabs/talos/pkg/machinery/config/types/v1alpha1"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/bronze-os/bronze/images/machined/internal/discovery/seal"
	"github.com/bronze-os/bronze/images/machined/internal/machinepki/pkitest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const clusterID = "the-cluster"

func secretText() string { return base64.StdEncoding.EncodeToString([]byte(strings.Repeat("s", 32))) }

// withDiscovery adds to a machine config what a server needs of it.
func withDiscovery(base config.Provider) config.Provider {
	raw := base.RawV1Alpha1().DeepCopy()
	raw.ClusterConfig.ClusterID = clusterID
	raw.ClusterConfig.ClusterSecret = secretText()
	raw.ClusterConfig.ClusterDiscoveryConfig = &v1alpha1.ClusterDiscoveryConfig{DiscoveryEnabled: new(true)}

	return container.NewV1Alpha1(raw)
}

func testSecret(t testing.TB) *seal.Secret {
	t.Helper()

	secret, err := seal.New(secretText())
	if err != nil {
		t.Fatal(err)
	}

	return secret
}

// serve runs a server until the test ends, and answers its address and who trusts it.
func serve(t *testing.T, change func(*v1alpha1.Config)) (string, *tls.Config) {
	t.Helper()

	c := pkitest.NewCluster(t)
	cfg := withDiscovery(c.ControlPlaneConfig())

	if change != nil {
		change(cfg.RawV1Alpha1())
	}

	store := c.Store(t, cfg, pkitest.NewAddresses("127.0.0.1/8"), slog.New(slog.DiscardHandler))
	if err := store.Wait(pkitest.Within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}

	port := pkitest.FreePort(t)
	pkitest.Background(t, func(ctx context.Context) error {
		return Run(ctx, Options{Host: "127.0.0.1", Port: port, TLS: store.OpenTLS(), Config: func() config.Provider { return cfg }})
	})

	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), &tls.Config{RootCAs: c.Pool()}
}

func dial(t *testing.T, address string, trust *tls.Config) pb.ClusterClient {
	t.Helper()

	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(credentials.NewTLS(trust)),
		grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { conn.Close() })

	return pb.NewClusterClient(conn)
}

// sealed is an announcement of a node.
func sealed(t testing.TB, id string) *pb.AffiliateUpdateRequest {
	t.Helper()

	data, err := testSecret(t).Seal(&clientpb.Affiliate{NodeId: id})
	if err != nil {
		t.Fatal(err)
	}

	return &pb.AffiliateUpdateRequest{ClusterId: clusterID, AffiliateId: id, AffiliateData: data, Ttl: durationpb.New(time.Minute)}
}

func TestAWatcherSeesAllThenEachChange(t *testing.T) {
	address, trust := serve(t, nil)
	client := dial(t, address, trust)
	ctx := pkitest.Within(t, 20*time.Second)

	hello, err := client.Hello(ctx, &pb.HelloRequest{ClusterId: clusterID})
	if err != nil || !net.IP(hello.GetClientIp()).IsLoopback() || hello.GetRedirect() != nil {
		t.Errorf("Hello = %v, %v", hello, err)
	}

	stream, err := client.Watch(ctx, &pb.WatchRequest{ClusterId: clusterID})
	if err != nil {
		t.Fatal(err)
	}

	expect := func(deleted bool, ids ...string) {
		t.Helper()

		message, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}

		var got []string
		for _, a := range message.GetAffiliates() {
			got = append(got, a.GetId())
		}

		if message.GetDeleted() != deleted || strings.Join(got, " ") != strings.Join(ids, " ") {
			t.Errorf("deleted=%t %q, want %t %q", message.GetDeleted(), got, deleted, ids)
		}
	}

	expect(false)

	short := sealed(t, "short")
	short.Ttl = durationpb.New(time.Second)

	for _, request := range []*pb.AffiliateUpdateRequest{sealed(t, "a"), short} {
		if _, err := client.AffiliateUpdate(ctx, request); err != nil {
			t.Fatal(err)
		}

		expect(false, request.GetAffiliateId())
	}

	late, err := client.Watch(ctx, &pb.WatchRequest{ClusterId: clusterID})
	if err != nil {
		t.Fatal(err)
	}

	if all, err := late.Recv(); err != nil || len(all.GetAffiliates()) != 2 {
		t.Errorf("a later watcher's first message is %v, %v", all, err)
	}

	// Nobody refreshes it.
	expect(true, "short")

	proof := seal.Deletion{Secret: testSecret(t), ClusterID: clusterID, AffiliateID: "a"}
	if _, err := client.AffiliateDelete(ctx, &pb.AffiliateDeleteRequest{ClusterId: clusterID, AffiliateId: "a"}, grpc.PerRPCCredentials(proof)); err != nil {
		t.Fatal(err)
	}

	expect(true, "a")
}

// deletion answers a call that deletes affiliate "a" with those credentials.
func deletion(options ...grpc.CallOption) func(context.Context, pb.ClusterClient) error {
	return func(ctx context.Context, c pb.ClusterClient) error {
		_, err := c.AffiliateDelete(ctx, &pb.AffiliateDeleteRequest{ClusterId: clusterID, AffiliateId: "a"}, options...)
		return err
	}
}

func TestWhatAServerRefuses(t *testing.T) {
	address, trust := serve(t, nil)
	client := dial(t, address, trust)

	if _, err := client.AffiliateUpdate(t.Context(), sealed(t, "a")); err != nil {
		t.Fatal(err)
	}

	other, err := seal.New(base64.StdEncoding.EncodeToString(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}

	updated := func(change func(*pb.AffiliateUpdateRequest)) func(context.Context, pb.ClusterClient) error {
		return func(ctx context.Context, c pb.ClusterClient) error {
			request := sealed(t, "b")
			change(request)
			_, err := c.AffiliateUpdate(ctx, request)

			return err
		}
	}

	tests := []struct {
		name string
		call func(context.Context, pb.ClusterClient) error
		want codes.Code
	}{
		{"deleting without a proof", deletion(), codes.PermissionDenied},
		{"deleting with another secret", deletion(grpc.PerRPCCredentials(seal.Deletion{Secret: other, ClusterID: clusterID, AffiliateID: "a"})), codes.PermissionDenied},
		{"deleting with another's proof", deletion(grpc.PerRPCCredentials(seal.Deletion{Secret: testSecret(t), ClusterID: clusterID, AffiliateID: "b"})), codes.PermissionDenied},
		{"another cluster", updated(func(r *pb.AffiliateUpdateRequest) { r.ClusterId = "other" }), codes.PermissionDenied},
		{"no cluster", updated(func(r *pb.AffiliateUpdateRequest) { r.ClusterId = "" }), codes.PermissionDenied},
		{"no ID", updated(func(r *pb.AffiliateUpdateRequest) { r.AffiliateId = "" }), codes.InvalidArgument},
		{"a long ID", updated(func(r *pb.AffiliateUpdateRequest) { r.AffiliateId = strings.Repeat("a", maxID+1) }), codes.InvalidArgument},
		{"another's ID", updated(func(r *pb.AffiliateUpdateRequest) { r.AffiliateId = "a" }), codes.PermissionDenied},
		{"words of a stranger", updated(func(r *pb.AffiliateUpdateRequest) { r.AffiliateData = []byte("hello") }), codes.PermissionDenied},
		{"many words", updated(func(r *pb.AffiliateUpdateRequest) { r.AffiliateData = make([]byte, maxData+1) }), codes.InvalidArgument},
		{"more than a message", updated(func(r *pb.AffiliateUpdateRequest) { r.AffiliateData = make([]byte, maxMessage) }), codes.ResourceExhausted},
		{"many endpoints", updated(func(r *pb.AffiliateUpdateRequest) { r.AffiliateEndpoints = make([][]byte, maxEndpoints+1) }), codes.InvalidArgument},
		{"a large endpoint", updated(func(r *pb.AffiliateUpdateRequest) { r.AffiliateEndpoints = [][]byte{make([]byte, maxEndpoint+1)} }), codes.InvalidArgument},
		{"an endpoint that ends siderolabs' client", updated(func(r *pb.AffiliateUpdateRequest) { r.AffiliateEndpoints = [][]byte{{}} }), codes.PermissionDenied},
		{"no TTL", updated(func(r *pb.AffiliateUpdateRequest) { r.Ttl = nil }), codes.InvalidArgument},
		{"a TTL of the past", updated(func(r *pb.AffiliateUpdateRequest) { r.Ttl = durationpb.New(-1) }), codes.InvalidArgument},
		{"a TTL for ever", updated(func(r *pb.AffiliateUpdateRequest) { r.Ttl = durationpb.New(maxTTL + 1) }), codes.InvalidArgument},
		{"a TTL that is none", updated(func(r *pb.AffiliateUpdateRequest) { r.Ttl = &durationpb.Duration{Seconds: 1, Nanos: -1} }), codes.InvalidArgument},
		{"greeting another cluster", func(ctx context.Context, c pb.ClusterClient) error {
			_, err := c.Hello(ctx, &pb.HelloRequest{ClusterId: "other"})
			return err
		}, codes.PermissionDenied},
		{"listing another cluster", func(ctx context.Context, c pb.ClusterClient) error {
			_, err := c.List(ctx, &pb.ListRequest{ClusterId: "other"})
			return err
		}, codes.PermissionDenied},
		{"watching another cluster", func(ctx context.Context, c pb.ClusterClient) error {
			stream, err := c.Watch(ctx, &pb.WatchRequest{ClusterId: "other"})
			if err == nil {
				_, err = stream.Recv()
			}

			return err
		}, codes.PermissionDenied},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if err := test.call(pkitest.Within(t, 10*time.Second), client); status.Code(err) != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}

			list, err := client.List(t.Context(), &pb.ListRequest{ClusterId: clusterID})
			if err != nil || len(list.GetAffiliates()) != 1 || list.GetAffiliates()[0].GetId() != "a" {
				t.Errorf("affiliates are now %v, %v", list, err)
			}
		})
	}
}

func TestAServerFollowsItsMachineConfig(t *testing.T) {
	for name, change := range map[string]func(*v1alpha1.Config){
		"discovery is off": func(c *v1alpha1.Config) { c.ClusterConfig.ClusterDiscoveryConfig = nil },
		"the service is off": func(c *v1alpha1.Config) {
			c.ClusterConfig.ClusterDiscoveryConfig.DiscoveryRegistries.RegistryService.RegistryDisabled = new(true)
		},
		"there is no secret": func(c *v1alpha1.Config) { c.ClusterConfig.ClusterSecret = "" },
	} {
		t.Run(name, func(t *testing.T) {
			address, trust := serve(t, change)

			_, err := dial(t, address, trust).List(pkitest.Within(t, 10*time.Second), &pb.ListRequest{ClusterId: clusterID})
			if status.Code(err) != codes.FailedPrecondition {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestManyAffiliatesComeInSeveralMessages(t *testing.T) {
	address, trust := serve(t, nil)
	client := dial(t, address, trust)
	ctx := pkitest.Within(t, 30*time.Second)

	for i := range 2*chunk + 1 {
		if _, err := client.AffiliateUpdate(ctx, sealed(t, strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}

	stream, err := client.Watch(ctx, &pb.WatchRequest{ClusterId: clusterID})
	if err != nil {
		t.Fatal(err)
	}

	var sizes []int

	for range 3 {
		message, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}

		sizes = append(sizes, len(message.GetAffiliates()))
	}

	if sizes[0] != chunk || sizes[1] != chunk || sizes[2] != 1 {
		t.Errorf("messages of %d", sizes)
	}
}

func TestBytesThatAreNoTLSHurtNobody(t *testing.T) {
	address, trust := serve(t, nil)

	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		// The server may not listen yet; it does when this answers.
		if _, err := dial(t, address, trust).List(pkitest.Within(t, 10*time.Second), &pb.ListRequest{ClusterId: clusterID}); err != nil {
			t.Fatal(err)
		}

		conn, err = (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
	}
	defer conn.Close()

	if _, err := conn.Write(bytes.Repeat([]byte("PRI * HTTP/2.0\r\n"), 1000)); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		t.Logf("the server hung up: %v", err)
	}

	if _, err := dial(t, address, trust).List(pkitest.Within(t, 10*time.Second), &pb.ListRequest{ClusterId: clusterID}); err != nil {
		t.Error(err)
	}
}
