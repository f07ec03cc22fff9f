//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/test/lab"
	"github.com/bronze-os/bronze/test/need"
)

const (
	// litterPatience is longer than all of a cluster must have been there before it can be litter.
	litterPatience = 3 * time.Minute
	litterRounds   = 4
)

// TestPruneOfWhatWasKilled kills creates and destroys without warning at random moments, deletes their state directories
// and, brutally, the machines that they left running, and wants prune to leave the host as it was.
func TestPruneOfWhatWasKilled(t *testing.T) {
	before := observeHost(t)
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))

	t.Logf("the moments come from seed %d", seed)

	var labs []lab.Lab

	for round := range litterRounds {
		l := newLab(t, fmt.Sprintf("e2e-litter-%d", round))
		if len(labs) > 0 {
			// One client config for all, as a user has it.
			l.Dir = labs[0].Dir
		}

		fraction := random.Float64()
		leaveLitter(t, l, time.Duration(fraction*float64(latestKill)), round%2 == 0)
		labs = append(labs, l)
	}

	t.Run("it goes with prune", func(t *testing.T) { pruneAll(t, labs) })
	t.Run("the host is as it was", func(t *testing.T) { checkSameHost(t, before, observeHost(t)) })
}

// leaveLitter lets a create, or a destroy after a create, run that long.
func leaveLitter(t *testing.T, l lab.Lab, after time.Duration, destroyed bool) {
	t.Helper()

	if destroyed {
		run(t, create(t.Context(), l))
		killDestroy(t, l, after)
	} else {
		killCreate(t, l, after)
	}

	if err := os.RemoveAll(l.StateDir()); err != nil {
		t.Fatal(err)
	}

	// The engine may still be making what was asked for last.
	until(t, func(ctx context.Context) error {
		left, err := lab.Docker(ctx, "ps", "--all", "--quiet", "--filter", "label=talos.cluster.name="+l.Cluster)
		if err != nil || len(left) == 0 {
			return err
		}

		_, err = lab.Docker(ctx, append([]string{"rm", "--force"}, left...)...)

		return errors.Join(errors.New("there were machines"), err)
	})
}

// killDestroy lets destroy run for a part of the time that a create takes.
func killDestroy(t *testing.T, l lab.Lab, after time.Duration) {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), after/8)
	defer cancel()

	_, err := lab.Output(l.Bronze(ctx, "cluster", "destroy", l.Cluster))
	if err != nil && ctx.Err() == nil {
		t.Fatalf("destroy failed before it was killed: %v", err)
	}
}

// pruneAll waits until all that the labs left is old enough, prunes, and wants nothing of it to be left.
func pruneAll(t *testing.T, labs []lab.Lab) {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), litterPatience)
	defer cancel()

	l := labs[0]

	err := lab.Until(ctx, func(ctx context.Context) error {
		owned, err := ownedByAll(ctx, labs)
		if err != nil {
			return err
		}

		found, err := litterOf(ctx, l, labs)
		if err == nil && found < owned {
			err = fmt.Errorf("prune finds %d of the %d things that are left", found, owned)
		}

		return err
	})
	if errors.Is(err, errOthers) {
		need.Missing(t, "have an engine to yourself: %v", err)
	}

	if err != nil {
		t.Fatal(err)
	}

	run(t, l.Bronze(t.Context(), "prune"))

	if owned, err := ownedByAll(t.Context(), labs); err != nil || owned > 0 {
		t.Errorf("%d things are left, %v", owned, err)
	}

	if names := run(t, l.Kubectl(t.Context(), "config", "get-contexts", "-o", "name")); names != "" {
		t.Errorf("contexts are left: %s", names)
	}
}

func ownedByAll(ctx context.Context, labs []lab.Lab) (int, error) {
	count := 0

	for _, l := range labs {
		owned, err := l.Owned(ctx)
		if err != nil {
			return 0, err
		}

		count += len(owned)
	}

	return count, nil
}

// errOthers says that prune would take away what is not this test's.
var errOthers = errors.New("the engine has litter of others")

// litterOf counts what prune would take away in the engine of those clusters.
func litterOf(ctx context.Context, l lab.Lab, labs []lab.Lab) (int, error) {
	output, err := lab.Output(l.Bronze(ctx, "prune", "--dry-run", "-o", "json"))
	if err != nil {
		return 0, err
	}

	var found []provision.Litter
	if err := json.Unmarshal([]byte(output), &found); err != nil {
		return 0, err
	}

	count := 0

	for _, one := range found {
		inEngine := one.Kind != provision.LitterContext && one.Kind != provision.LitterFile
		mine := slices.ContainsFunc(labs, func(owner lab.Lab) bool { return owner.Cluster == one.Cluster })

		switch {
		case inEngine && mine:
			count++
		case inEngine:
			return 0, fmt.Errorf("%w: %s %s", errOthers, one.Kind, one.Name)
		}
	}

	return count, nil
}
