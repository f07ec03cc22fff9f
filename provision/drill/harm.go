package drill

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
)

// harm picks the victims in the picture of now, as another may lead than at the start, and does the act to them.
func (r *rehearsal) harm(ctx context.Context, waiting func(string)) error {
	s, err := r.watch.await(ctx, time.Now(), whyNotWhole, waiting)
	if err != nil {
		return err
	}
	r.start = s.picture
	if r.victims, err = r.drill.Whom.pick(s.picture); err != nil {
		return err
	}
	r.note("%s: %s", r.drill.Act, r.aim())
	r.harmed = time.Now()
	switch r.drill.Act {
	case Vanish, VanishBare:
		return r.vanish(ctx)
	case Pause:
		return r.pause(ctx)
	case Partition:
		return r.partition(ctx)
	case KillProcess:
		return r.kill(ctx)
	case RestartEngine:
		return r.restartEngine(ctx)
	case FillEtcd:
		return r.fillEtcd(ctx, waiting)
	case VanishDuringAdd:
		return r.vanishDuringAdd(ctx, waiting)
	case KillReconcile:
		return r.vanish(ctx)
	default:
		return fmt.Errorf("cannot %s: %w", r.drill.Act, errors.ErrUnsupported)
	}
}

// aim is what the act is done to, in words.
func (r *rehearsal) aim() string {
	if r.drill.Process != "" {
		return r.drill.Process + " of " + strings.Join(names(r.victims), ", ")
	}
	return strings.Join(names(r.victims), ", ")
}

// vanish deletes the victims' machines side by side. Until they are replaced or resurrected, putting back is to do that.
func (r *rehearsal) vanish(ctx context.Context) error {
	r.later("bring back what was deleted", func(ctx context.Context) error {
		s := take(ctx, r.Eye)
		if s.err == nil && r.before.whyWeaker(s.picture) == "" {
			return nil
		}
		_, err := r.Healer.Reconcile(ctx, r.policy())
		return err
	})
	return each(ctx, r.victims, func(ctx context.Context, victim picture.Node) error {
		if r.drill.Act.loses() {
			r.remember(victim)
		}
		return r.Hand.Vanish(ctx, *victim.Machine, r.drill.Act.loses())
	})
}

// policy is what reconcile is asked for in this drill.
func (r *rehearsal) policy() Cure {
	if r.drill.Cure == Resurrect {
		return Resurrect
	}
	return Replace
}

// remember keeps the identity of a node that nobody may know in the end.
func (r *rehearsal) remember(victim picture.Node) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gone = append(r.gone, identityOf(victim))
}

// pause freezes the victims, and with everyone the balancers.
func (r *rehearsal) pause(ctx context.Context) error {
	machines := machinesOf(r.victims)
	if r.drill.Whom == Everyone {
		observed, err := r.Hand.Observe(ctx, r.Cluster)
		if err != nil {
			return err
		}
		machines = append(machines, observed.Balancers...)
	}
	turn := func(to provision.MachineState) func(context.Context) error {
		return func(ctx context.Context) error {
			return each(ctx, machines, func(ctx context.Context, machine provision.Machine) error {
				return r.Hand.Turn(ctx, machine, to)
			})
		}
	}
	r.over = turn(provision.MachineRunning)
	r.later("let the frozen go on", r.over)
	return turn(provision.MachinePaused)(ctx)
}

// partition cuts the victims off. Joining what is joined is no error.
func (r *rehearsal) partition(ctx context.Context) error {
	cut := func(apart bool) func(context.Context) error {
		return func(ctx context.Context) error {
			return each(ctx, machinesOf(r.victims), func(ctx context.Context, machine provision.Machine) error {
				return r.Hand.Partition(ctx, machine, apart)
			})
		}
	}
	r.over = cut(false)
	r.later("join the network again", r.over)
	return cut(true)(ctx)
}

// kill is seen by the service having another process than before, or none.
func (r *rehearsal) kill(ctx context.Context) error {
	victim := r.victims[0]
	service := func(ctx context.Context) (string, error) {
		return r.Guest.Incarnation(ctx, nodeOf(victim), r.drill.Process)
	}
	before, err := service(ctx)
	if err != nil {
		return err
	}
	if before == "" {
		return fmt.Errorf("cannot kill %s of %s: it does not run", r.drill.Process, victim.Name)
	}
	r.shown = func(ctx context.Context) (bool, error) {
		now, err := service(ctx)
		return err == nil && now != before, err
	}
	r.harmed = time.Now()
	return r.Hand.Kill(ctx, *victim.Machine, r.drill.Process)
}

// restartEngine is seen by an engine or nodes that do not answer, or by writes that stop. The command may be over before
// any of it was seen, so that pictures of its time count.
func (r *rehearsal) restartEngine(ctx context.Context) error {
	if r.RestartEngine == nil {
		return provision.WithHint(errors.New("cannot restart the engine: nothing says how"),
			"--engine-restart 'systemctl restart docker', or what restarts it on this host")
	}
	_, before := r.stream.counts()
	r.shown = func(context.Context) (bool, error) {
		samples, _ := r.watch.since(r.harmed)
		for _, s := range samples {
			if whyOf(s, whyNotWhole) != "" {
				return true, nil
			}
		}
		_, now := r.stream.counts()
		return now > before, nil
	}
	return r.RestartEngine(ctx)
}

func each[T any](ctx context.Context, items []T, do func(ctx context.Context, item T) error) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, item := range items {
		group.Go(func() error { return do(ctx, item) })
	}
	return group.Wait()
}

func machinesOf(nodes []picture.Node) []provision.Machine {
	var machines []provision.Machine
	for _, node := range nodes {
		if node.Machine != nil {
			machines = append(machines, *node.Machine)
		}
	}
	return machines
}

// nodeOf is the desired node; each that is picked has one, as the cluster was whole.
func nodeOf(node picture.Node) provision.Node {
	if node.Desired == nil {
		return provision.Node{Name: node.Name, Role: node.Role}
	}
	return *node.Desired
}
