package server

import (
	"context"
	"testing"

	"github.com/siderolabs/discovery-api/api/v1alpha1/server/pb"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// FuzzServerMessage plays a stranger who sends whatever can be sent: bytes as every request there is, with the cluster's
// ID in it and without. None of it may end the server, fill it, or take away what is there.
func FuzzServerMessage(f *testing.F) {
	add := func(message proto.Message) {
		text, err := proto.Marshal(message)
		if err != nil {
			f.Fatal(err)
		}

		f.Add(text, true, "00")
		f.Add(text, false, "")
	}

	add(sealed(f, "a"))
	add(sealed(f, "b"))
	add(&pb.HelloRequest{ClusterId: clusterID, ClientVersion: "v1"})
	add(&pb.AffiliateDeleteRequest{ClusterId: clusterID, AffiliateId: "a"})
	add(&pb.AffiliateUpdateRequest{ClusterId: clusterID, AffiliateId: "a", AffiliateEndpoints: [][]byte{make([]byte, 16), {}}})

	f.Fuzz(func(t *testing.T, text []byte, insider bool, proof string) {
		s := testServer(nil)
		if _, err := s.AffiliateUpdate(t.Context(), sealed(t, "a")); err != nil {
			t.Fatal(err)
		}

		ctx, cancel := context.WithCancel(peer.NewContext(t.Context(), &peer.Peer{}))
		defer cancel()

		ctx = metadata.NewIncomingContext(ctx, metadata.Pairs("bronze-discovery-proof", proof))

		for _, err := range sendAll(ctx, s, text, insider) {
			if _, ok := status.FromError(err); !ok {
				t.Errorf("an error without a code: %v", err)
			}
		}

		if _, known := s.registry["a"]; !known || len(s.registry) > 2 {
			t.Errorf("affiliates are now %v", s.registry.ids())
		}

		for _, a := range s.registry {
			if len(a.data) > maxData || len(a.endpoints) > maxEndpoints {
				t.Errorf("it holds %d bytes and %d endpoints", len(a.data), len(a.endpoints))
			}
		}
	})
}

// sendAll sends the bytes as each kind of request and answers the errors.
func sendAll(ctx context.Context, s *server, text []byte, insider bool) []error {
	id := func(own string) string {
		if insider {
			return clusterID
		}

		return own
	}

	var errs []error

	if r := new(pb.HelloRequest); proto.Unmarshal(text, r) == nil {
		r.ClusterId = id(r.GetClusterId())
		_, err := s.Hello(ctx, r)
		errs = append(errs, err)
	}

	if r := new(pb.AffiliateUpdateRequest); proto.Unmarshal(text, r) == nil {
		r.ClusterId = id(r.GetClusterId())
		_, err := s.AffiliateUpdate(ctx, r)
		errs = append(errs, err)
	}

	if r := new(pb.AffiliateDeleteRequest); proto.Unmarshal(text, r) == nil {
		r.ClusterId = id(r.GetClusterId())
		_, err := s.AffiliateDelete(ctx, r)
		errs = append(errs, err)
	}

	if r := new(pb.ListRequest); proto.Unmarshal(text, r) == nil {
		r.ClusterId = id(r.GetClusterId())
		_, err := s.List(ctx, r)
		errs = append(errs, err)
	}

	if r := new(pb.WatchRequest); proto.Unmarshal(text, r) == nil {
		r.ClusterId = id(r.GetClusterId())

		gone, cancel := context.WithCancel(ctx)
		cancel()

		// A call that has ended is no failure of the server's, and gRPC gives its error a code.
		_ = s.Watch(r, newStream(gone))
		s.senders.Wait()
	}

	return errs
}
