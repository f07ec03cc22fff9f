package discovery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/siderolabs/discovery-api/api/v1alpha1/server/pb"
	"google.golang.org/grpc"
)

func TestAnOutageIsToldInFewWords(t *testing.T) {
	var log bytes.Buffer

	l := &link{to: server{address: "10.5.0.9:50002"}, log: slog.New(slog.NewTextHandler(&log, nil)), told: map[string]bool{}}

	for i := range 100 {
		l.complain(t.Context(), errors.New("refused"))
		l.complain(t.Context(), fmt.Errorf("reset by port %d", i))
	}

	if got := strings.Count(log.String(), "\n"); got != maxReasons {
		t.Errorf("%d lines:\n%s", got, log.String())
	}

	if got := strings.Count(log.String(), "refused"); got != 1 {
		t.Errorf("the same reason %d times", got)
	}
}

// recorder is a server that remembers who was announced and who took leave.
type recorder struct {
	pb.ClusterClient

	mu    sync.Mutex
	calls []string
	err   error
}

// AffiliateUpdate is part of pb.ClusterClient.
func (r *recorder) AffiliateUpdate(_ context.Context, request *pb.AffiliateUpdateRequest, _ ...grpc.CallOption) (*pb.AffiliateUpdateResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()

	r.calls = append(r.calls, "update "+request.GetAffiliateId())

	return &pb.AffiliateUpdateResponse{}, r.err
}

// AffiliateDelete is part of pb.ClusterClient.
func (r *recorder) AffiliateDelete(_ context.Context, request *pb.AffiliateDeleteRequest, _ ...grpc.CallOption) (*pb.AffiliateDeleteResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()

	r.calls = append(r.calls, "delete "+request.GetAffiliateId())

	return &pb.AffiliateDeleteResponse{}, r.err
}

func TestNobodyAnnouncesANodeThatHasLeft(t *testing.T) {
	api := &recorder{}
	self := newAnnouncement()
	s := &session{self: self, api: api, nodeID: "id", config: settings{secret: testSecret(t)}}
	talking := newTalk(s.config, nil)
	talking.self = self
	talking.links[server{address: "a"}] = &runningLink{link: &link{current: s}}
	talking.links[server{address: "unreachable"}] = &runningLink{link: &link{}}

	if err := s.update(t.Context(), nil); err != nil {
		t.Fatal(err)
	}

	if err := s.update(t.Context(), []byte("sealed")); err != nil {
		t.Fatal(err)
	}

	if err := talking.farewell(t.Context()); err != nil {
		t.Fatal(err)
	}

	if err := s.update(t.Context(), []byte("sealed")); err != nil {
		t.Fatal(err)
	}

	if got := strings.Join(api.calls, ", "); got != "update id, delete id" {
		t.Errorf("calls %s", got)
	}

	api.err = errors.New("no")
	if err := talking.farewell(t.Context()); err == nil {
		t.Error("a farewell that was refused is no error")
	}
}
