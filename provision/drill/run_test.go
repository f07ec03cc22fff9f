package drill

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bronze-os/bronze/provision/picture"
)

// rehearse runs a drill on a cluster of the shape that it needs, in the time of a bubble.
func rehearse(t *testing.T, name string, faults faults) (Run, *fakeCluster) {
	t.Helper()
	drills, err := Named([]string{name})
	if err != nil {
		t.Fatal(err)
	}
	var run Run
	cluster := newFake(drills[0].Needs.ControlPlanes, max(2, drills[0].Needs.Workers))
	if faults.failover == 0 {
		faults.failover = time.Second
	}
	cluster.faults = faults
	synctest.Test(t, func(t *testing.T) { run = cluster.site().Run(t.Context(), drills[0]) })
	return run, cluster
}

func TestEveryDrillPassesOnAClusterThatRecovers(t *testing.T) {
	for _, drill := range Catalog() {
		t.Run(drill.Name, func(t *testing.T) {
			run, cluster := rehearse(t, drill.Name, faults{})
			if run.Verdict != Passed {
				t.Fatalf("%s: %s", run.Verdict, run.Reason)
			}
			checkMeasures(t, drill, run)
			if cluster.planted || cluster.bounded || cluster.full || len(cluster.nodes) != drill.Needs.ControlPlanes+2 {
				t.Errorf("not put back: %+v", cluster)
			}
			for _, n := range cluster.nodes {
				if n.state != picture.Running {
					t.Errorf("%s is left %s", n.name, n.state)
				}
			}
		})
	}
}

// checkMeasures wants what each drill measures, in an order that can be.
func checkMeasures(t *testing.T, drill Drill, run Run) {
	t.Helper()
	times := run.Times
	once := drill.Act != KillReconcile
	if times.Detect == nil || (times.Strong != nil) != once || times.Gap == nil {
		text, _ := json.Marshal(times)
		t.Fatalf("measured %s", text)
	}
	if (times.Clean != nil) != (drill.Act.loses() && once) {
		t.Errorf("time to clean %v of %s", times.Clean, drill.Act)
	}
	if (times.MaxGap != nil) != (drill.MaxGap > 0) {
		t.Errorf("allowed gap %v, want %s", times.MaxGap, drill.MaxGap)
	}
	var stages []Stage
	for _, phase := range run.Phases {
		stages = append(stages, phase.Stage)
	}
	want := []Stage{StageCanary, StageSteady, StageHarm, StageDetect}
	for stage, there := range map[Stage]bool{StageHold: drill.Hold > 0, StageCure: drill.Cure != Nothing, StageClean: drill.Act.loses()} {
		if there && !slices.Contains(stages, stage) {
			t.Errorf("%s is left out of %v", stage, stages)
		}
	}
	want = append(want, StageStrong, StageCheck, StagePutBack)
	stages = slices.DeleteFunc(stages, func(s Stage) bool { return s == StageHold || s == StageCure || s == StageClean })
	if !slices.Equal(stages, want) {
		t.Errorf("stages %v", stages)
	}
}

func TestADrillFindsWhatIsBroken(t *testing.T) {
	for _, test := range []struct {
		name, drill string
		faults      faults
		reason      string
	}{
		{"an acknowledged write is lost", "rm-worker", faults{losesWrites: true}, "every acknowledged write is there"},
		{"reconcile touches who is only paused", "pause-worker", faults{touchesAll: true}, "reconcile leaves the victim alone"},
		{"reconcile touches who is only cut off", "partition-leader", faults{touchesAll: true}, "reconcile leaves the victim alone"},
		{"another leader takes too long", "rm-controlplane-leader", faults{failover: 8 * time.Second}, "takes writes again within 5s"},
		{"a source still knows who is gone", "rm-worker", faults{leaves: true}, "clean: the engine knows|clean: Kubernetes knows"},
		{"nobody replaces who is gone", "rm-worker", faults{weak: true}, "full strength: 1 control planes, 1 workers"},
	} {
		t.Run(test.name, func(t *testing.T) {
			run, cluster := rehearse(t, test.drill, test.faults)
			found := slices.ContainsFunc(strings.Split(test.reason, "|"), func(part string) bool { return strings.Contains(run.Reason, part) })
			if run.Verdict != Failed || !found {
				t.Errorf("%s: %q, want %q", run.Verdict, run.Reason, test.reason)
			}
			if cluster.planted {
				t.Error("the canary is left")
			}
		})
	}
}

func TestAnEngineWhoseMachinesStayDownIsHelpedByStart(t *testing.T) {
	run, _ := rehearse(t, "engine-restart", faults{staysDown: true})
	told := slices.ContainsFunc(run.Events, func(e Event) bool { return strings.Contains(e.Text, "not back by itself") })
	if run.Verdict != Passed || !told {
		t.Errorf("%s %q, %v", run.Verdict, run.Reason, run.Events)
	}
}

func TestAnEngineThatNobodySaysHowToRestartIsAnErrorWithACure(t *testing.T) {
	drills, err := Named([]string{"engine-restart"})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		site := newFake(1, 1).site()
		site.RestartEngine = nil
		if run := site.Run(t.Context(), drills[0]); run.Verdict != Failed || !strings.Contains(run.Reason, "--engine-restart") {
			t.Errorf("%s: %s", run.Verdict, run.Reason)
		}
	})
}

func TestADrillBeginsWithAHealthyClusterOnly(t *testing.T) {
	drills, err := Named([]string{"rm-worker"})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		cluster := newFake(1, 2)
		cluster.nodes[2].state = picture.Stopped
		run := cluster.site().Run(t.Context(), drills[0])
		if run.Verdict != Failed || !strings.Contains(run.Reason, "is stopped") || run.HarmedAt != nil {
			t.Errorf("%s: %s, harmed %v", run.Verdict, run.Reason, run.HarmedAt)
		}
	})
}

// Some drills are over before the last of the interruptions.
func TestAnInterruptedDrillPutsBackWhatItDid(t *testing.T) {
	for _, drill := range Catalog() {
		t.Run(drill.Name, func(t *testing.T) {
			for _, after := range []time.Duration{time.Second, 3 * time.Second, 5 * time.Second, 7 * time.Second} {
				synctest.Test(t, func(t *testing.T) {
					ctx, cancel := context.WithTimeout(t.Context(), after)
					defer cancel()
					cluster := newFake(drill.Needs.ControlPlanes, 2)
					run := cluster.site().Run(ctx, drill)
					if run.Verdict == Failed && !strings.Contains(run.Reason, "interrupted") {
						t.Errorf("after %s: %s", after, run.Reason)
					}
					whole, _ := cluster.Look(t.Context())
					if why := whyNotWhole(whole); why != "" || cluster.planted || cluster.bounded {
						t.Errorf("after %s it left: %s, %+v", after, why, cluster)
					}
				})
			}
		})
	}
}
