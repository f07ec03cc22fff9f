package drill

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// fakeGround makes clusters in memory.
type fakeGround struct {
	clusters map[string]*fakeCluster
	acts     []string
	full     bool
}

func (g *fakeGround) Open(_ context.Context, cluster string) (Site, Shape, error) {
	found, there := g.clusters[cluster]
	if !there {
		return Site{}, Shape{}, errors.New("no such cluster")
	}
	p, err := found.Look(context.Background())
	shape := shapeOf(p)
	shape.Balancer = true
	return found.site(), shape, err
}

func (g *fakeGround) Make(_ context.Context, cluster string, shape Shape) error {
	g.acts = append(g.acts, "make "+cluster)
	if g.full {
		return errors.New("no space left")
	}
	g.clusters[cluster] = newFake(shape.ControlPlanes, shape.Workers)
	return nil
}

func (g *fakeGround) Destroy(_ context.Context, cluster string) error {
	g.acts = append(g.acts, "destroy "+cluster)
	delete(g.clusters, cluster)
	return nil
}

// outcomes are a word for each run.
func outcomes(report Report) []string {
	var words []string
	for _, run := range report.Runs {
		words = append(words, run.Name+" "+string(run.Verdict))
	}
	return words
}

func session(t *testing.T, s Session, ground *fakeGround, names ...string) (report Report, err error) {
	t.Helper()
	if s.Drills, err = Named(names); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) { report, err = s.Run(t.Context(), ground) })
	return report, err
}

func TestASessionWithoutAClusterMakesAndDestroysItsOwn(t *testing.T) {
	ground := &fakeGround{clusters: map[string]*fakeCluster{}}
	report, err := session(t, Session{}, ground, "rm-only-controlplane", "kill-kubelet", "kill-etcd")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"rm-only-controlplane passed", "kill-kubelet passed", "kill-etcd passed"}
	if diff := cmp.Diff(want, outcomes(report)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"make drill-3-1", "destroy drill-3-1", "make drill-1-1", "destroy drill-1-1"}, ground.acts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhatWasNamedAndDoesNotFitIsRefusedBeforeAnythingIsDone(t *testing.T) {
	ground := &fakeGround{clusters: map[string]*fakeCluster{"dev": newFake(1, 2)}}
	_, err := session(t, Session{Cluster: "dev"}, ground, "rm-worker", "kill-etcd")
	if err == nil || !strings.Contains(err.Error(), "cannot run kill-etcd") || ground.clusters["dev"].planted {
		t.Errorf("error %v", err)
	}
	if _, err := session(t, Session{}, ground, "engine-restart"); err == nil || !errors.Is(err, errNoRestart) {
		t.Errorf("error %v", err)
	}
	if len(ground.acts) > 0 {
		t.Errorf("it did %q", ground.acts)
	}
}

func TestWhatNobodyNamedAndDoesNotFitIsSkippedWithTheReason(t *testing.T) {
	ground := &fakeGround{clusters: map[string]*fakeCluster{"dev": newFake(1, 2)}}
	report, err := session(t, Session{Cluster: "dev", Lenient: true}, ground, "kill-kubelet", "kill-etcd", "engine-restart")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"kill-kubelet passed", "kill-etcd skipped", "engine-restart skipped"}
	if diff := cmp.Diff(want, outcomes(report)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if report.Failures() != 0 || report.Skips() != 2 || !strings.Contains(report.Runs[1].Reason, "needs 3 control planes") {
		t.Errorf("%d failures, %d skips, %q", report.Failures(), report.Skips(), report.Runs[1].Reason)
	}
	if len(ground.acts) > 0 {
		t.Errorf("the user's cluster: %q", ground.acts)
	}
}

func TestAClusterThatCannotBeMadeFailsItsDrillsAndIsTakenAway(t *testing.T) {
	ground := &fakeGround{clusters: map[string]*fakeCluster{}, full: true}
	report, err := session(t, Session{}, ground, "kill-kubelet")
	if err != nil || report.Failures() != 1 || !strings.Contains(report.Runs[0].Reason, "no space left") {
		t.Errorf("%v, %v", report.Runs, err)
	}
	if !slices.Contains(ground.acts, "destroy drill-1-1") {
		t.Errorf("it did %q", ground.acts)
	}
}

func TestAnInterruptedSessionDestroysItsClustersAndSkipsTheRest(t *testing.T) {
	ground := &fakeGround{clusters: map[string]*fakeCluster{}}
	drills, err := Named([]string{"kill-kubelet", "rm-worker"})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), writeEvery*enough)
		defer cancel()
		report, err := Session{Drills: drills}.Run(ctx, ground)
		if diff := cmp.Diff([]string{"kill-kubelet failed", "rm-worker skipped"}, outcomes(report)); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	})
	if len(ground.clusters) > 0 {
		t.Error("a cluster is left")
	}
}
