// Package statetest connects tests to a node's state the way clients are: over gRPC, with roles. It is for tests only.
package statetest

import (
	"context"
	"net"
	"testing"

	"github.com/cosi-project/runtime/api/v1alpha1"
	"github.com/cosi-project/runtime/pkg/state"
	stateclient "github.com/cosi-project/runtime/pkg/state/protobuf/client"
	"github.com/siderolabs/talos/pkg/machinery/constants"
	"github.com/siderolabs/talos/pkg/machinery/role"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"

	"github.com/bronze-os/bronze/images/machined/internal/apid/authz"
	"github.com/bronze-os/bronze/images/machined/internal/resources"
)

// Connect serves st until the test ends and answers a client of it. Nobody is forgotten there.
func Connect(t *testing.T, st state.State) state.State {
	t.Helper()

	return ConnectForgetting(t, st, nil)
}

// ConnectForgetting is Connect to a node that forgets affiliates so.
func ConnectForgetting(t *testing.T, st state.State, forget resources.Forget) state.State {
	t.Helper()

	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer(grpc.UnaryInterceptor(authz.Guard{}.Unary), grpc.StreamInterceptor(authz.Guard{}.Stream))
	resources.Register(server, st, forget)

	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

	conn, err := grpc.NewClient("passthrough:///memory", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		conn.Close()
		server.Stop()

		if err := <-served; err != nil {
			t.Error(err)
		}
	})

	return state.WrapCore(stateclient.NewAdapter(v1alpha1.NewStateClient(conn)))
}

// As answers a context with which a client has that role.
func As(ctx context.Context, role role.Role) context.Context {
	return metadata.AppendToOutgoingContext(ctx, constants.APIAuthzRoleMetadataKey, string(role))
}
