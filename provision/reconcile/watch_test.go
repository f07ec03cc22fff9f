package reconcile_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bronze-os/bronze/provision/reconcile"
)

// log is what a watch told.
type log struct {
	mu    sync.Mutex
	plans []reconcile.Plan
	errs  []error
}

func (l *log) report(told reconcile.Report) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if told.Plan != nil {
		l.plans = append(l.plans, *told.Plan)
	}
	if told.Err != nil {
		l.errs = append(l.errs, told.Err)
	}
}

// watching runs a watch with ticks of a minute while act happens, and waits for its end.
func (w *world) watching(t *testing.T, policy reconcile.Policy, act func()) *log {
	t.Helper()
	told := &log{}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.runner().Watch(ctx, "dev", policy, time.Minute, told.report)
	}()
	<-time.After(5 * time.Second)
	act()
	cancel()
	<-ended
	return told
}

func TestAnEventWakesAWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, 2)
		told := w.watching(t, reconcile.Policy{Missing: reconcile.ForgetMissing}, func() {
			w.engine.Vanish("dev-worker-1", true)
			<-time.After(5 * time.Second)
		})
		if err := w.whole(t, 1, 1); err != nil || len(told.errs) > 0 {
			t.Errorf("%v, failures %v", err, told.errs)
		}
	})
}

func TestAWatchWaitsForTheSecondSighting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, 2)
		w.watching(t, reconcile.Policy{Missing: reconcile.ForgetMissing, Interval: 30 * time.Second}, func() {
			w.engine.Vanish("dev-worker-1", true)
			<-time.After(25 * time.Second)
			if len(w.record(t).Cluster.Nodes) != 3 {
				t.Error("it was forgotten before")
			}
			<-time.After(10 * time.Second)
		})
		if err := w.whole(t, 1, 1); err != nil {
			t.Error(err)
		}
	})
}

func TestAWatchTellsARepeatedFailureOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3, 1)
		told := w.watching(t, reconcile.Policy{Missing: reconcile.ReplaceMissing}, func() {
			w.engine.Vanish("dev-controlplane-1", true)
			w.engine.Vanish("dev-controlplane-2", true)
			<-time.After(10 * time.Minute)
		})
		if len(told.plans) != 1 || len(told.errs) != 1 || !strings.Contains(told.plans[0].Refusals[0].Why, "no quorum") {
			t.Errorf("told of %d plans and of %v", len(told.plans), told.errs)
		}
	})
}

func TestAWatchOutlivesASilentEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, 2)
		told := w.watching(t, reconcile.Policy{Missing: reconcile.ForgetMissing}, func() {
			w.engine.Silence(true)
			w.engine.Vanish("dev-worker-1", true)
			<-time.After(5 * time.Minute)
			if len(w.record(t).Cluster.Nodes) != 3 {
				t.Error("it acted on a silent engine")
			}
			w.engine.Silence(false)
			<-time.After(2 * time.Minute)
		})
		if err := w.whole(t, 1, 1); err != nil || len(told.errs) != 1 {
			t.Errorf("%v, failures %v", err, told.errs)
		}
	})
}

func TestOthersMayWorkOnAClusterThatIsWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, 1)
		w.watching(t, reconcile.Policy{Missing: reconcile.ForgetMissing}, func() {
			if err := w.store.Held("dev", func() error { return nil }); err != nil {
				t.Error(err)
			}
		})
	})
}
