package provision

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// answers gives one answer after another, and the last one for ever.
func answers(list ...string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		why := list[0]
		if len(list) > 1 {
			list = list[1:]
		}
		return why, nil
	}
}

func TestAConditionTellsEveryReasonAndEndsWhenItHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reasons []string
		condition := Condition{Name: "it", Check: answers("no node", "no node", "one node", "")}
		began := time.Now()
		r := NewRecorder(func(event Event) {
			if event.Kind == EventWaiting {
				reasons = append(reasons, event.Why)
			}
		})
		err := r.Run(PhaseReady, "it", func(waiting func(string)) error { return condition.Wait(t.Context(), waiting) })
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"no node", "one node"}, reasons); diff != "" {
			t.Errorf("reasons (-want +got):\n%s", diff)
		}
		if took := time.Since(began); took != 3*pollInterval {
			t.Errorf("took %s, want three polls", took)
		}
	})
}

func TestAConditionEndsWithItsLastReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := Condition{Name: "nodes", Check: answers("none joined")}.Wait(ctx, func(string) {})
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "waiting for nodes (none joined)") {
			t.Errorf("error = %v", err)
		}
	})
}

func TestAConditionAsksAgainAfterAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		condition := Condition{Name: "it", Check: func(context.Context) (string, error) {
			asked++
			if asked < 3 {
				return "", errors.New("connection refused")
			}
			return "", nil
		}}
		if err := condition.Wait(t.Context(), func(string) {}); err != nil || asked != 3 {
			t.Errorf("error = %v after %d questions", err, asked)
		}
	})
}

func TestAConditionGivesUpWhatIsHopeless(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		condition := Condition{Name: "it", Check: func(context.Context) (string, error) { return "", ErrHopeless }}
		if err := condition.Wait(t.Context(), func(string) {}); !errors.Is(err, ErrHopeless) || time.Since(began) != 0 {
			t.Errorf("error = %v after %s", err, time.Since(began))
		}
	})
}

func TestAConditionDoesNotHangOnOneQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		condition := Condition{Name: "it", Check: func(ctx context.Context) (string, error) {
			if asked++; asked > 1 {
				return "", nil
			}
			<-ctx.Done()
			return "", ctx.Err()
		}}
		if err := condition.Wait(t.Context(), func(string) {}); err != nil || asked != 2 {
			t.Errorf("error = %v after %d questions", err, asked)
		}
	})
}
