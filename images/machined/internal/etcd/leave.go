package etcd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// leaveLimit is longer than the 5 s that etcd wants its members connected before it lets one go.
const leaveLimit = 20 * time.Second

// ErrAlone is in the error of Leave and Forfeit on the only member that can vote.
var ErrAlone = errors.New("this is the only voting member of etcd")

// Forfeit has another voter become leader if the member on this node is it, and answers who: its name, or nothing where
// there was no need.
func (m Member) Forfeit(ctx context.Context) (successor string, err error) {
	err = m.ask(ctx, ClientAddress(m.IP.String()), func(ctx context.Context, client *Client) error {
		successor, err = forfeit(ctx, client)

		return err
	})

	return successor, err
}

func forfeit(ctx context.Context, client *Client) (string, error) {
	status, err := client.Status(ctx, &etcdserverpb.StatusRequest{})
	if err != nil {
		return "", err
	}

	own := status.Header.MemberId
	if status.Leader != own {
		return "", nil
	}

	list, err := client.MemberList(ctx, &etcdserverpb.MemberListRequest{Linearizable: true})
	if err != nil {
		return "", err
	}

	refusals := []error{}

	for _, heir := range voters(list.Members, own) {
		_, err := client.MoveLeader(ctx, &etcdserverpb.MoveLeaderRequest{TargetID: heir.ID})
		if err == nil {
			return heir.Name, nil
		}

		refusals = append(refusals, fmt.Errorf("making %s the leader: %w", heir.Name, err))
	}

	if len(refusals) == 0 {
		return "", ErrAlone
	}

	return "", errors.Join(refusals...)
}

// Leave takes the member on this node out of the cluster, after it has handed over what it leads. The member ends then,
// and its data are good for nothing. It waits up to leaveLimit while not all members are well: etcd lets nobody go then.
func (m Member) Leave(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, leaveLimit)
	defer cancel()

	own, others, err := m.resign(ctx)
	if err != nil {
		return err
	}

	for {
		err := m.removeThrough(ctx, others, own)
		if err == nil {
			return nil
		}

		select {
		case <-time.After(settlePause):
		case <-ctx.Done():
			return err
		}
	}
}

// resign hands over what the member on this node leads, and answers its ID and the addresses of the other voters.
func (m Member) resign(ctx context.Context) (own uint64, others []string, err error) {
	err = m.ask(ctx, ClientAddress(m.IP.String()), func(ctx context.Context, client *Client) error {
		list, err := client.MemberList(ctx, &etcdserverpb.MemberListRequest{Linearizable: true})
		if err != nil {
			return err
		}

		own = list.Header.MemberId
		for _, voter := range voters(list.Members, own) {
			others = append(others, hosts(voter.ClientURLs)...)
		}

		if len(others) == 0 {
			return ErrAlone
		}

		_, err = forfeit(ctx, client)

		return err
	})

	return own, others, err
}

// removeThrough has the first voter that does remove the member. The member itself would end before it has answered.
func (m Member) removeThrough(ctx context.Context, voters []string, id uint64) error {
	var refusals []error

	for _, address := range voters {
		err := m.ask(ctx, address, func(ctx context.Context, client *Client) error {
			_, err := client.MemberRemove(ctx, &etcdserverpb.MemberRemoveRequest{ID: id})

			return err
		})
		if err == nil || status.Code(err) == codes.NotFound {
			return nil
		}

		refusals = append(refusals, err)
	}

	return errors.Join(refusals...)
}

// voters are the members but one that can vote.
func voters(members []*etcdserverpb.Member, but uint64) []*etcdserverpb.Member {
	return slices.DeleteFunc(slices.Clone(members), func(member *etcdserverpb.Member) bool {
		return member.ID == but || member.IsLearner || member.Name == ""
	})
}
