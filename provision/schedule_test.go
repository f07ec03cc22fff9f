package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestScheduleDoesStepsAfterThoseTheyDependOnAndOthersSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		steps := []Step{{Target: "network"}, {Target: "a", After: []int{0}}, {Target: "b", After: []int{0}}, {Target: "last", After: []int{1}}}
		var mu sync.Mutex
		var done []string
		began := time.Now()
		err := Schedule(t.Context(), steps, func(_ context.Context, step Step) error {
			<-time.After(time.Second)
			mu.Lock()
			defer mu.Unlock()
			done = append(done, step.Target)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if done[0] != "network" || slices.Index(done, "last") < slices.Index(done, "a") {
			t.Errorf("order %q", done)
		}
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("took %s, want 3s: a and b side by side", took)
		}
	})
}

func TestScheduleSkipsWhatComesAfterAFailureAndNoOther(t *testing.T) {
	steps := []Step{{Target: "bad"}, {Target: "good"}, {Target: "after bad", After: []int{0}}, {Target: "after that", After: []int{2}}}
	var mu sync.Mutex
	done := map[string]bool{}
	broken := errors.New("broken")
	err := Schedule(t.Context(), steps, func(_ context.Context, step Step) error {
		mu.Lock()
		defer mu.Unlock()
		done[step.Target] = true
		if step.Target == "bad" {
			return broken
		}
		return nil
	})
	if !errors.Is(err, broken) || errors.Is(err, errSkipped) {
		t.Errorf("error = %v", err)
	}
	if !done["good"] || done["after bad"] || done["after that"] {
		t.Errorf("done: %v", done)
	}
}

func TestScheduleBoundsWhatRunsSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var steps []Step
		for i := range 3 * parallel {
			steps = append(steps, Step{Target: fmt.Sprint(i)})
		}
		began := time.Now()
		err := Schedule(t.Context(), steps, func(context.Context, Step) error {
			<-time.After(time.Second)
			return nil
		})
		if took := time.Since(began); err != nil || took != 3*time.Second {
			t.Errorf("took %s, %v, want 3s", took, err)
		}
	})
}
