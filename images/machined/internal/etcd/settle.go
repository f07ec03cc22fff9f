package etcd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
)

const (
	// A lone member is helped to its election as soon as it listens, for every boot waits for it.
	settleEager = 20 * time.Millisecond
	// A learner copies the whole store first.
	settlePause = 250 * time.Millisecond

	votesLimit = 100 * time.Millisecond
)

// Settle brings the member that has just started to where it can vote and serve: a lone one to its election, a learner
// to its promotion. It blocks until that is so and answers the member's ID; note hears what it waits for.
func (m Member) Settle(ctx context.Context, note func(error)) (uint64, error) {
	for {
		id, pause, err := m.settle(ctx)
		if err == nil {
			return id, nil
		}

		note(err)

		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

func (m Member) settle(ctx context.Context) (id uint64, pause time.Duration, err error) {
	seen, err := m.view(ctx)
	if err != nil {
		return 0, settleEager, err
	}

	own, ok := seen.own(m.peerURL())

	switch {
	case !ok:
		return 0, settlePause, m.move(ctx, seen)
	case own.IsLearner:
		return own.ID, settlePause, m.promote(ctx, seen, own.ID)
	case len(seen.members) == 1:
		err := m.campaign(ctx, seen.cluster, own.ID)

		return own.ID, settleEager, errors.Join(err, m.votes(ctx))
	}

	return own.ID, settlePause, m.votes(ctx)
}

// votes answers nil where the member knows a leader and is no learner. It serves clients only when it has caught up with
// what the cluster says of it, while its view at the start is a guess.
func (m Member) votes(ctx context.Context) error {
	return m.ask(ctx, ClientAddress(m.IP.String()), func(ctx context.Context, client *Client) error {
		// Until the port is there, each connection is tried again a second later by itself.
		ctx, cancel := context.WithTimeout(ctx, votesLimit)
		defer cancel()

		status, err := client.Status(ctx, &etcdserverpb.StatusRequest{})

		switch {
		case err != nil:
			return err
		case status.Leader == 0:
			return errors.New("it has no leader yet")
		case status.IsLearner:
			return errors.New("it is a learner")
		}

		return nil
	})
}

// move tells the cluster where this member is now, in case its node was made anew at another address, on its volumes. A
// member that has just joined is not listed yet either. The error tells how it stands.
func (m Member) move(ctx context.Context, seen view) error {
	return m.ask(ctx, ClientAddress(m.IP.String()), func(ctx context.Context, client *Client) error {
		status, err := client.Status(ctx, &etcdserverpb.StatusRequest{})
		if err != nil {
			return err
		}

		id := status.Header.MemberId
		if !seen.lists(id) {
			return errors.New("the cluster does not list this member yet")
		}

		_, err = client.MemberUpdate(ctx, &etcdserverpb.MemberUpdateRequest{ID: id, PeerURLs: []string{m.peerURL()}})
		if err != nil {
			return fmt.Errorf("telling the cluster this member's new address: %w", err)
		}

		return errors.New("the cluster has been told this member's new address")
	})
}

// promote asks the voters in turn; the leader knows whether the learner has caught up. The error tells how it stands.
func (m Member) promote(ctx context.Context, seen view, id uint64) error {
	refusals := []error{errors.New("this member is a learner")}

	for _, address := range seen.others(m.peerURL()) {
		err := m.ask(ctx, address, func(ctx context.Context, client *Client) error {
			_, err := client.MemberPromote(ctx, &etcdserverpb.MemberPromoteRequest{ID: id})

			return err
		})
		if err == nil {
			return errors.New("this member has been promoted and does not know it yet")
		}

		refusals = append(refusals, err)
	}

	return errors.Join(refusals...)
}
