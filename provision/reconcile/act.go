package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/backup"
)

// apiPatience bounds how long a step that is one call is tried: an API that has just lost a control plane is away for
// seconds.
const apiPatience = time.Minute

// reopenPatience bounds what is done when something else has failed, or was interrupted.
const reopenPatience = 5 * time.Second

// act does one step, after the fences that guard it.
func (d *doing) act(ctx context.Context, step Step, waiting func(string)) error {
	if step.Absent {
		if err := d.fenceMachine(ctx, step); err != nil {
			return err
		}
	}
	switch step.Action {
	case CreateBalancer, Desire, Forget, CreateMachine, StartMachine, RemoveMachine, RemoveVolumes, Settle:
		return d.actOnEngine(ctx, step)
	case TakeSnapshot, LeaveEtcd, RemoveMember, AwaitVoter:
		return d.actOnEtcd(ctx, step, waiting)
	case Drain:
		return d.drain(ctx, step, waiting)
	case ReleasePods, DeleteNode, AwaitReady:
		return d.actOnKubernetes(ctx, step, waiting)
	case ForgetAffiliate:
		return d.persist(ctx, apiPatience, "discovery to forget "+step.Target, waiting, func(ctx context.Context) (string, error) {
			return "", d.forgetAffiliate(ctx, step)
		})
	case WipeMachine, RecoverEtcd, RestartMachine:
		return d.refound(ctx, step, waiting)
	case Verify:
		return d.persist(ctx, apiPatience, "the others to agree", waiting, func(ctx context.Context) (string, error) {
			return d.whyNotWhole(ctx, step)
		})
	default:
		return errors.ErrUnsupported
	}
}

// persist asks until the answer is nothing, and no longer than that.
func (d *doing) persist(ctx context.Context, limit time.Duration, name string, waiting func(string), check func(context.Context) (string, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no more patience after %s", limit))
	defer cancel()
	return provision.Condition{Name: name, Check: check}.Wait(ctx, waiting)
}

// drain opens the node again where its pods do not leave, as it stays then.
func (d *doing) drain(ctx context.Context, step Step, waiting func(string)) error {
	err := d.actOnKubernetes(ctx, step, waiting)
	if err == nil {
		return nil
	}
	reopen, cancel := context.WithTimeout(context.WithoutCancel(ctx), reopenPatience)
	defer cancel()
	_, api, openErr := d.apis.both(reopen)
	if openErr == nil {
		_, openErr = api.Uncordon(reopen, step.Target)
	}
	if openErr != nil {
		err = errors.Join(err, fmt.Errorf("cannot open %q for pods again: %w", step.Target, openErr))
	}
	return provision.WithHint(err, "--drain-timeout waits longer; --force does not ask pods to leave, whatever their disruption budgets say")
}

func (d *doing) actOnKubernetes(ctx context.Context, step Step, waiting func(string)) error {
	limit, name := apiPatience, "the Kubernetes API"
	switch step.Action {
	case Drain:
		limit, name = d.drainPatience(), "pods to leave"
	case AwaitReady:
		limit, name = d.patience(), step.Target+" to be Ready"
	}
	return d.persist(ctx, limit, name, waiting, func(ctx context.Context) (string, error) {
		_, api, err := d.apis.both(ctx)
		if err != nil {
			return "", err
		}
		switch step.Action {
		case Drain:
			return api.Drain(ctx, step.Target)
		case AwaitReady:
			return d.whyNotReady(ctx, api, step)
		case ReleasePods:
			return "", api.OutOfService(ctx, step.Target, step.UID)
		default:
			return "", api.DeleteNode(ctx, step.Target, step.UID)
		}
	})
}

// whyNotReady asks the engine first, as a machine that has died never gets Ready. A node that was in Kubernetes before is
// called Ready there for as long as it is not missed: its kubelet is asked before.
func (d *doing) whyNotReady(ctx context.Context, api Kubernetes, step Step) (string, error) {
	node, err := d.living(ctx, step.Target)
	if err != nil {
		return "", err
	}
	if step.UID != "" {
		nodes, _, err := d.apis.both(ctx)
		if err != nil {
			return "", err
		}
		if why, err := whyUnhealthy(ctx, nodes, node, "kubelet"); why != "" || err != nil {
			return why, err
		}
	}
	return api.NodesReady(ctx, []string{step.Target})
}

func whyUnhealthy(ctx context.Context, nodes Nodes, node provision.Node, id string) (string, error) {
	services, err := nodes.Services(ctx, node)
	if err != nil {
		return "", err
	}
	for _, service := range services {
		if service.ID == id && service.Healthy {
			return "", nil
		}
	}
	return fmt.Sprintf("%s of %s is not healthy yet", id, node.Name), nil
}

func (d *doing) actOnEtcd(ctx context.Context, step Step, waiting func(string)) error {
	switch step.Action {
	case TakeSnapshot:
		return d.takeSnapshot(ctx, step)
	case LeaveEtcd:
		return d.persist(ctx, apiPatience, "etcd to let it leave", waiting, func(ctx context.Context) (string, error) {
			return "", d.leave(ctx, step)
		})
	case RemoveMember:
		return d.persist(ctx, apiPatience, "etcd to remove it", waiting, func(ctx context.Context) (string, error) {
			return "", d.removeMember(ctx, step)
		})
	default:
		return d.persist(ctx, d.patience(), step.Target+" to vote", waiting, func(ctx context.Context) (string, error) {
			if _, err := d.living(ctx, step.Target); err != nil {
				return "", err
			}
			interviews, err := d.interviews(ctx)
			if err != nil {
				return "", err
			}
			return whyNotVoter(interviews, step.Target), nil
		})
	}
}

// takeSnapshot takes it from the first member that gives one that is whole: each has all that was acknowledged, or says
// that it has no leader.
func (d *doing) takeSnapshot(ctx context.Context, step Step) error {
	nodes, _, err := d.apis.both(ctx)
	if err != nil {
		return err
	}
	return d.viaLiving(ctx, step, provision.ControlPlane, func(ctx context.Context, via provision.Node) error {
		_, err := backup.Of(d.Store, d.plan.Cluster).Take(ctx, nodes, via)
		return err
	})
}

func (d *doing) forgetAffiliate(ctx context.Context, step Step) error {
	if !step.Absent {
		if err := d.fenceAffiliate(ctx, step); err != nil {
			return err
		}
	}
	nodes, _, err := d.apis.both(ctx)
	if err != nil {
		return err
	}
	return d.viaLiving(ctx, step, "", func(ctx context.Context, via provision.Node) error {
		return nodes.ForgetAffiliate(ctx, via, step.NodeID)
	})
}
