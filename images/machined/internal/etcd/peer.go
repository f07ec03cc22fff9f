package etcd

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// view is the cluster as the member on this node has it in its own store, which it tells on its port for peers without
// a leader and as a learner too.
type view struct {
	cluster string
	members []peer
}

// peer is a member in the words of etcd's /members.
type peer struct {
	ID         uint64   `json:"id"`
	Name       string   `json:"name"`
	PeerURLs   []string `json:"peerURLs"`
	ClientURLs []string `json:"clientURLs"`
	IsLearner  bool     `json:"isLearner"`
}

// viewLimit is how many bytes of an answer are read; a member takes some hundred.
const viewLimit = 1 << 20

const clusterHeader = "X-Etcd-Cluster-ID"

// view asks the member on this node.
func (m Member) view(ctx context.Context) (view, error) {
	config, err := m.tls("peer")
	if err != nil {
		return view{}, err
	}

	response, err := get(ctx, config, m.peerURL()+"/members")
	if err != nil {
		return view{}, fmt.Errorf("asking etcd for its peers: %w", err)
	}
	defer response.Body.Close()

	seen := view{cluster: response.Header.Get(clusterHeader)}
	if err := json.NewDecoder(io.LimitReader(response.Body, viewLimit)).Decode(&seen.members); err != nil {
		return view{}, fmt.Errorf("cannot read etcd's peers: %w", err)
	}

	return seen, nil
}

// own is the member on this node.
func (v view) own(url string) (peer, bool) {
	i := slices.IndexFunc(v.members, func(p peer) bool { return slices.Contains(p.PeerURLs, url) })
	if i < 0 {
		return peer{}, false
	}

	return v.members[i], true
}

// lists tells whether there is a member of that ID.
func (v view) lists(id uint64) bool {
	return slices.ContainsFunc(v.members, func(p peer) bool { return p.ID == id })
}

// others are the addresses (host:port) of the other voters' ports for clients.
func (v view) others(url string) []string {
	var addresses []string

	for _, p := range v.members {
		if !p.IsLearner && !slices.Contains(p.PeerURLs, url) {
			addresses = append(addresses, hosts(p.ClientURLs)...)
		}
	}

	return addresses
}

// The message by which a leader hands over: its receiver starts an election without waiting for its time-out. Numbers
// are those of raftpb (https://github.com/etcd-io/raft, raftpb/raft.proto).
const (
	messageType = 1
	messageTo   = 2
	messageFrom = 3

	timeoutNow = 14
)

// campaign has a lone member elect itself at once. By itself it waits for up to etcd's election time-out of 1 s, half of
// it on average, for a leader that cannot be. A shorter time-out would do too, but is no good as soon as others join:
// their leader steps down whenever a busy machine keeps it from hearing them for so long. An election that nobody needed
// is safe at any time.
func (m Member) campaign(ctx context.Context, cluster string, id uint64) error {
	config, err := m.tls("peer")
	if err != nil {
		return err
	}

	var message []byte

	for _, field := range []struct {
		number protowire.Number
		value  uint64
	}{{messageType, timeoutNow}, {messageTo, id}, {messageFrom, id}} {
		message = protowire.AppendTag(message, field.number, protowire.VarintType)
		message = protowire.AppendVarint(message, field.value)
	}

	request, err := http.NewRequestWithContext(ctx, http.MethodPost, m.peerURL()+"/raft", bytes.NewReader(message))
	if err != nil {
		return err
	}

	request.Header.Set(clusterHeader, cluster)
	request.Header.Set("Content-Type", "application/protobuf")
	// Any version 3 may talk to any other.
	request.Header.Set("X-Server-Version", "3.0.0")
	request.Header.Set("X-Min-Cluster-Version", "3.0.0")

	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
	defer transport.CloseIdleConnections()

	response, err := transport.RoundTrip(request)
	if err != nil {
		return fmt.Errorf("asking etcd to elect itself: %w", err)
	}
	defer response.Body.Close()

	if response.StatusCode != http.StatusNoContent {
		return fmt.Errorf("etcd does not elect itself: %s", response.Status)
	}

	return nil
}
