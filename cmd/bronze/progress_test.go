package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bronze-os/bronze/provision"
)

func TestPlainProgressIsALineForEachFinishedStep(t *testing.T) {
	var out strings.Builder
	v := newView(&out)
	for _, event := range []provision.Event{
		{Kind: provision.EventStarted, Step: "create network town"},
		{Kind: provision.EventDone, Step: "create network town", Took: 140 * time.Millisecond},
		{Kind: provision.EventStarted, Step: "all nodes to be Ready"},
		{Kind: provision.EventWaiting, Step: "all nodes to be Ready", Why: "a has not joined"},
		{Kind: provision.EventFailed, Step: "all nodes to be Ready", Took: 90 * time.Second},
	} {
		v.hear(event)
	}
	v.close()
	v.close()
	want := "   0.1 s  create network town\nfailed: all nodes to be Ready after 90.0 s\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestLiveLineSaysWhatIsWaitedForAndWhy(t *testing.T) {
	now := time.Now()
	var active []activity
	for _, event := range []provision.Event{
		{Kind: provision.EventStarted, Step: "first"},
		{Kind: provision.EventStarted, Step: "second", Took: time.Second},
		{Kind: provision.EventWaiting, Step: "second", Why: "not yet"},
		{Kind: provision.EventStarted, Step: "third"},
		{Kind: provision.EventDone, Step: "first"},
	} {
		active = track(active, event, now)
	}
	got := waitingLine(active, now.Add(time.Second), 0, 80)
	if diff := cmp.Diff("   2.0 |  second: not yet (and 1 more)", got); diff != "" {
		t.Error(diff)
	}
}

func TestLiveLineFitsTheTerminal(t *testing.T) {
	active := []activity{{step: strings.Repeat("ä", 100)}}
	if got := []rune(waitingLine(active, time.Now(), 0, 40)); len(got) != 39 {
		t.Errorf("%d columns of 40: a line that fills the last one wraps", len(got))
	}
}
