package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
)

// breach is what a fence answers: what the step's plan was made of is not so any more, and waiting does not mend that.
type breach struct{ error }

// Is makes whoever waits give up.
func (breach) Is(target error) bool {
	return target == provision.ErrHopeless
}

// Unwrap lets errors.As see what is below.
func (b breach) Unwrap() error {
	return b.error
}

// fenceMachine asks the engine whether the node's machine is gone still: by its ID, as somebody may have given it another
// name or other labels, and by its name, as somebody may have made it anew.
func (d *doing) fenceMachine(ctx context.Context, step Step) error {
	if step.MachineID != "" {
		machine, found, err := d.Engine.Machine(ctx, step.MachineID)
		if err != nil {
			return fmt.Errorf("asking the engine for machine %s: %w", step.MachineID, err)
		}
		if found {
			return breach{fmt.Errorf("cannot go on: the machine is there, as %q, and %s", machine.Name, machine.State)}
		}
	}
	observed, err := d.Engine.Observe(ctx, d.plan.Cluster)
	if err != nil {
		return fmt.Errorf("asking the engine for %q: %w", step.Target, err)
	}
	for _, machine := range observed.Machines {
		if machine.Name == step.Target {
			return breach{fmt.Errorf("cannot go on: there is a machine %q again, and it is %s", machine.Name, machine.State)}
		}
	}
	return nil
}

// fenceAffiliate asks the living whether one of them has the identity that is to be forgotten.
func (d *doing) fenceAffiliate(ctx context.Context, step Step) error {
	interviews, err := d.interviews(ctx)
	if err != nil {
		return err
	}
	for name, interview := range interviews {
		if interview.NodeID == step.NodeID {
			return breach{fmt.Errorf("cannot go on: %q lives, and is that affiliate", name)}
		}
	}
	return nil
}

// removeMember takes a dead member out of etcd, where that is safe still. One that is no member any more is done.
func (d *doing) removeMember(ctx context.Context, step Step) error {
	interviews, err := d.interviews(ctx)
	if err != nil {
		return err
	}
	member, err := fenceRemoval(interviews, step.MemberID)
	if err != nil || !member {
		return err
	}
	nodes, _, err := d.apis.both(ctx)
	if err != nil {
		return err
	}
	return d.viaLiving(ctx, step, provision.ControlPlane, func(ctx context.Context, via provision.Node) error {
		return nodes.RemoveMember(ctx, via, step.MemberID)
	})
}

// leave lets a living member give up its membership, where etcd can spare it.
func (d *doing) leave(ctx context.Context, step Step) error {
	interviews, err := d.interviews(ctx)
	if err != nil {
		return err
	}
	member, err := fenceLeaving(interviews, step.MemberID)
	if err != nil || !member {
		return err
	}
	node, err := d.living(ctx, step.Target)
	if err != nil {
		return err
	}
	nodes, _, err := d.apis.both(ctx)
	if err != nil {
		return err
	}
	return nodes.LeaveEtcd(ctx, node)
}

// fenceRemoval tells whether a dead member is one still, and why it must not be removed now: only a majority whose members
// all have the same list may, and only while nobody else joins.
func fenceRemoval(interviews map[string]picture.Interview, id uint64) (member bool, err error) {
	say, err := consensus(interviews)
	if err != nil {
		return false, err
	}
	if name, lives := say.alive[id]; lives {
		return false, breach{fmt.Errorf("cannot go on: the etcd member %x lives, on %q", id, name)}
	}
	return say.mayLose(id, len(say.alive))
}

// fenceLeaving tells whether a living member is one still, and why it must not leave now: those that stay must be a
// majority of themselves.
func fenceLeaving(interviews map[string]picture.Interview, id uint64) (member bool, err error) {
	say, err := consensus(interviews)
	if err != nil {
		return false, err
	}
	if voters := say.voters(); len(voters) == 1 && voters[0].ID == id {
		return true, breach{errors.New("cannot go on: it is the only voter of etcd")}
	}
	rest := len(say.alive)
	if _, lives := say.alive[id]; lives {
		rest--
	}
	return say.mayLose(id, rest)
}

// agreement is what all living members say of etcd.
type agreement struct {
	members []picture.EtcdMember
	// alive are the voters that answer, by ID, with the names of their nodes.
	alive map[uint64]string
}

// consensus is what the living members agree on; its error is in what they do not.
func consensus(interviews map[string]picture.Interview) (agreement, error) {
	say := agreement{alive: map[uint64]string{}}
	var first *picture.EtcdAnswer
	for _, name := range slices.Sorted(maps.Keys(interviews)) {
		answer := interviews[name].Etcd
		switch {
		case answer == nil:
			continue
		case answer.Leader == 0:
			return agreement{}, fmt.Errorf("cannot tell who leads etcd: %s knows of nobody", name)
		case first == nil:
			first, say.members = answer, answer.Members
		case first.Leader != answer.Leader || !slices.Equal(first.Members, answer.Members):
			return agreement{}, errors.New("cannot trust etcd: its members do not agree on who they are")
		}
		if slices.ContainsFunc(answer.Members, func(m picture.EtcdMember) bool { return m.ID == answer.Self && !m.Learner }) {
			say.alive[answer.Self] = name
		}
	}
	if first == nil {
		return agreement{}, errors.New("cannot ask etcd: no member answers")
	}
	return say, nil
}

func (a agreement) voters() []picture.EtcdMember {
	return slices.DeleteFunc(slices.Clone(a.members), func(m picture.EtcdMember) bool { return m.Learner })
}

// mayLose tells whether id is a member, and why it must not go: rest is how many voters stay alive.
func (a agreement) mayLose(id uint64, rest int) (member bool, err error) {
	member = slices.ContainsFunc(a.members, func(m picture.EtcdMember) bool { return m.ID == id })
	if !member {
		return false, nil
	}
	for _, other := range a.members {
		if other.ID != id && (other.Learner || other.Name == "") {
			return true, fmt.Errorf("cannot change etcd while member %x joins", other.ID)
		}
	}
	voters := len(a.voters())
	if alive := len(a.alive); alive < majority(voters) {
		return true, fmt.Errorf("cannot change etcd: %d of %d voters live, and %d are needed", alive, voters, majority(voters))
	}
	after := len(slices.DeleteFunc(a.voters(), func(m picture.EtcdMember) bool { return m.ID == id }))
	if rest < majority(after) {
		return true, breach{fmt.Errorf("cannot go on: of %d voters that stay %d live, and %d are needed", after, rest, majority(after))}
	}
	return true, nil
}

// whyNotVoter tells why the named node does not vote for all yet.
func whyNotVoter(interviews map[string]picture.Interview, name string) string {
	own := interviews[name].Etcd
	if own == nil {
		return "its etcd does not answer yet"
	}
	say, err := consensus(interviews)
	if err != nil {
		return err.Error()
	}
	for _, member := range say.members {
		if member.Learner || member.Name == "" {
			return fmt.Sprintf("etcd member %x still learns", member.ID)
		}
	}
	if _, votes := say.alive[own.Self]; !votes {
		return "it is no member yet"
	}
	return ""
}
