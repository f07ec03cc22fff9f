package etcd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
)

// ErrNoCluster is in the error of Join and Find where no member of a cluster answers.
var ErrNoCluster = errors.New("no member of an etcd cluster answers")

// Find answers the members of the cluster that the first of hosts to answer belongs to. Every member can tell only
// while there is a quorum, so a cluster that cannot decide counts as one that does not answer.
func (m Member) Find(ctx context.Context, hosts []string) (address string, members []*etcdserverpb.Member, err error) {
	refusals := []error{ErrNoCluster}

	for _, host := range hosts {
		address := ClientAddress(host)

		err := m.ask(ctx, address, func(ctx context.Context, client *Client) error {
			list, err := client.MemberList(ctx, &etcdserverpb.MemberListRequest{Linearizable: true})
			members = list.GetMembers()

			return err
		})
		if err == nil {
			return address, members, nil
		}

		refusals = append(refusals, err)
	}

	return "", nil, errors.Join(refusals...)
}

// Join makes the cluster, one of whose members serves at address, expect this node as a learner, and answers what
// Arguments needs for it. It is for a node without data. Doing it again after it was cut short is doing it once: an entry
// that never started is taken, one whose data are lost makes room. The error is worth another try: etcd adds one learner
// at a time, and none while its members are not all well.
func (m Member) Join(ctx context.Context, address string, log *slog.Logger) (cluster string, err error) {
	err = m.ask(ctx, address, func(ctx context.Context, client *Client) error {
		list, err := client.MemberList(ctx, &etcdserverpb.MemberListRequest{Linearizable: true})
		if err != nil {
			return err
		}

		members := list.Members

		free, stale := m.place(members)
		if stale != 0 {
			log.Warn("removing what this node was in etcd before it lost its data", "member", strconv.FormatUint(stale, 16))

			if _, err := client.MemberRemove(ctx, &etcdserverpb.MemberRemoveRequest{ID: stale}); err != nil {
				return fmt.Errorf("removing the member that this node was: %w", err)
			}
		}

		if !free {
			// etcd would refuse after it had troubled all members with it.
			if slices.ContainsFunc(members, (*etcdserverpb.Member).GetIsLearner) && stale == 0 {
				return errors.New("another node is joining")
			}

			added, err := client.MemberAdd(ctx, &etcdserverpb.MemberAddRequest{PeerURLs: []string{m.peerURL()}, IsLearner: true})
			if err != nil {
				return fmt.Errorf("adding this node: %w", err)
			}

			members = added.Members
		}

		cluster = m.initialCluster(members)

		return nil
	})

	return cluster, err
}

// place tells whether the list has a place that this node can take, or else which member there is a past self of it: it
// has this node's URL and did start once, with data that are here no more.
func (m Member) place(members []*etcdserverpb.Member) (free bool, stale uint64) {
	for _, member := range members {
		if !slices.Contains(member.PeerURLs, m.peerURL()) {
			continue
		}

		if member.Name == "" {
			return true, 0
		}

		return false, member.ID
	}

	return false, 0
}

// initialCluster is the list in the form of etcd's flag. A member that never started has no name yet; etcd compares the
// URLs only, so any will do.
func (m Member) initialCluster(members []*etcdserverpb.Member) string {
	var entries []string

	for _, member := range members {
		name := member.Name

		switch {
		case slices.Contains(member.PeerURLs, m.peerURL()):
			name = m.Name
		case name == "":
			name = strconv.FormatUint(member.ID, 16)
		}

		for _, peer := range member.PeerURLs {
			entries = append(entries, name+"="+peer)
		}
	}

	slices.Sort(entries)

	return strings.Join(entries, ",")
}

// hosts are the host:port parts of URLs.
func hosts(urls []string) []string {
	var found []string

	for _, text := range urls {
		if parsed, err := url.Parse(text); err == nil && parsed.Host != "" {
			found = append(found, parsed.Host)
		}
	}

	return found
}

// IsListed tells whether the cluster's members count this node in, at its address or at one that it had before.
func (m Member) IsListed(members []*etcdserverpb.Member) bool {
	return slices.ContainsFunc(members, func(member *etcdserverpb.Member) bool {
		return member.Name == m.Name || slices.Contains(member.PeerURLs, m.peerURL())
	})
}
