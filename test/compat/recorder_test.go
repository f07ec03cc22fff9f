//go:build e2e

package compat

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// recorder remembers which methods a client called, so that a call which nobody drives is noticed.
type recorder struct {
	mu     sync.Mutex
	called map[string]bool
}

func newRecorder() *recorder { return &recorder{called: map[string]bool{}} }

func (r *recorder) saw(method string) {
	r.mu.Lock()
	defer r.mu.Unlock()

	r.called[method] = true
}

func (r *recorder) options() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
			r.saw(method)

			return invoke(ctx, method, request, reply, conn, options...)
		}),
		grpc.WithChainStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, stream grpc.Streamer, options ...grpc.CallOption) (grpc.ClientStream, error) {
			r.saw(method)

			return stream(ctx, desc, conn, method, options...)
		}),
	}
}

// testComplete compares with the methods that machinery's protocol files define.
func (r *recorder) testComplete(t *testing.T) {
	r.mu.Lock()
	defer r.mu.Unlock()

	for _, method := range definedMethods() {
		if !r.called[method] {
			t.Errorf("nobody drove %s", method)
		}
	}

	t.Logf("%d methods were driven", len(slices.Collect(maps.Keys(r.called))))
}

func definedMethods() []string {
	var methods []string

	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)

			for j := range service.Methods().Len() {
				methods = append(methods, "/"+string(service.FullName())+"/"+string(service.Methods().Get(j).Name()))
			}
		}

		return true
	})

	return slices.DeleteFunc(methods, func(method string) bool { return !ofNodes(method) })
}

// ofNodes leaves out what is not a node's machine API, trustd's service among it, and what only 3+1 can drive.
func ofNodes(method string) bool {
	service, _, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")

	return slices.Contains([]string{
		"machine.MachineService", "machine.ImageService", "machine.LifecycleService", "machine.DebugService",
		"storage.StorageService", "time.TimeService", "inspect.InspectService", "cluster.ClusterService", "cosi.resource.State",
	}, service)
}
