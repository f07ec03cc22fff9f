//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"testing"
	"time"

	"github.com/bronze-os/bronze/test/lab"
)

const (
	kills = 10
	// latestKill is when a create is about done.
	latestKill = 9 * time.Second
)

// TestCreateThatWasKilled kills create without warning at random moments. By turns create is then run again and must
// finish, or destroy is run at once; either way destroy must leave nothing.
func TestCreateThatWasKilled(t *testing.T) {
	l := newLab(t, "e2e-killed")
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))

	t.Logf("the moments come from seed %d", seed)

	for round := range kills {
		// Squaring makes more of them early, while the engine is asked for one thing after the other.
		fraction := random.Float64()
		after := time.Duration(fraction * fraction * float64(latestKill))
		again := round%2 == 0

		t.Run(fmt.Sprintf("after %d ms, create again %t", after.Milliseconds(), again), func(t *testing.T) {
			killCreate(t, l, after)

			if again {
				run(t, create(t.Context(), l))
				look(t, l).testNodes(t)
			}

			traces := tracesOf(t, l)
			run(t, l.Bronze(t.Context(), "cluster", "destroy", l.Cluster, "--force"))
			checkNothingLeft(t, l, traces)
		})
	}
}

func create(ctx context.Context, l lab.Lab) *exec.Cmd {
	return l.Bronze(ctx, "cluster", "create", l.Cluster, "--workers", "1")
}

// killCreate lets create run that long. A create that is done before is killed by nobody, which is one of the moments.
func killCreate(t *testing.T, l lab.Lab, after time.Duration) {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), after)
	defer cancel()

	// The end of ctx is a SIGKILL to the process that exec.CommandContext made.
	_, err := lab.Output(create(ctx, l))
	if err != nil && ctx.Err() == nil {
		t.Fatalf("create failed before it was killed: %v", err)
	}
}
