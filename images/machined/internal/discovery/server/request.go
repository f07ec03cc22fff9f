package server

import (
	"time"

	"github.com/siderolabs/discovery-api/api/v1alpha1/server/pb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/bronze-os/bronze/images/machined/internal/discovery/seal"
)

// What a server keeps, so that nobody can fill the memory of PID 1. Those of affiliates are siderolabs' server's or
// near (https://github.com/siderolabs/discovery-service, pkg/limits).
const (
	maxAffiliates = 1024
	// maxID, maxData and maxEndpoint are in bytes.
	maxID        = 256
	maxData      = 4 << 10
	maxEndpoints = 64
	maxEndpoint  = 64
	maxTTL       = 30 * time.Minute
	maxWatchers  = 1024
	// maxMessage is the size in bytes of one request.
	maxMessage = 64 << 10
	// maxStreams is how many calls one connection may have at a time.
	maxStreams = 32
)

// parse checks an update. A server is a member of the cluster itself, so that it opens what it is given: what strangers
// say is refused here, and no client has to cope with it.
func parse(request *pb.AffiliateUpdateRequest, secret *seal.Secret) (update, error) {
	news := update{
		id: request.GetAffiliateId(), data: request.GetAffiliateData(), endpoints: request.GetAffiliateEndpoints(),
		ttl: request.GetTtl().AsDuration(),
	}

	if err := checkSizes(news); err != nil {
		return update{}, err
	}

	if request.GetTtl().CheckValid() != nil || news.ttl <= 0 || news.ttl > maxTTL {
		return update{}, status.Errorf(codes.InvalidArgument, "the ttl must be over 0 and at most %s", maxTTL)
	}

	for _, sealed := range news.endpoints {
		if _, err := secret.OpenEndpoint(sealed); err != nil {
			return update{}, status.Errorf(codes.PermissionDenied, "taking an endpoint of affiliate %q: %v", news.id, err)
		}
	}

	if len(news.data) == 0 {
		return news, nil
	}

	content, err := secret.Open(news.data)
	if err != nil {
		return update{}, status.Errorf(codes.PermissionDenied, "taking affiliate %q: %v", news.id, err)
	}

	if content.GetNodeId() != news.id {
		return update{}, status.Errorf(codes.PermissionDenied, "affiliate %q is another node's, %q", news.id, content.GetNodeId())
	}

	return news, nil
}

func checkSizes(news update) error {
	if err := checkID(news.id); err != nil {
		return err
	}

	if len(news.data) > maxData {
		return status.Errorf(codes.InvalidArgument, "the data must be at most %d bytes, not %d", maxData, len(news.data))
	}

	if len(news.endpoints) > maxEndpoints {
		return status.Errorf(codes.InvalidArgument, "there must be at most %d endpoints, not %d", maxEndpoints, len(news.endpoints))
	}

	for _, sealed := range news.endpoints {
		if len(sealed) > maxEndpoint {
			return status.Errorf(codes.InvalidArgument, "an endpoint must be at most %d bytes, not %d", maxEndpoint, len(sealed))
		}
	}

	return nil
}

func checkID(id string) error {
	if id == "" || len(id) > maxID {
		return status.Errorf(codes.InvalidArgument, "the affiliate's ID must have 1 to %d bytes, not %d", maxID, len(id))
	}

	return nil
}
