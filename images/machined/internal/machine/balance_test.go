package machine

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestUpstreamsAreOrderedAndNamedOnce(t *testing.T) {
	tests := []struct {
		name               string
		first, last, alias string
		others             []string
		want               []string
	}{
		{"a worker that knows nobody", "", "10.5.0.254:6443", "", nil, []string{"10.5.0.254:6443"}},
		{
			"a control plane behind a balancer", "127.0.0.1:6443", "10.5.0.254:6443", "10.5.0.2:6443", []string{"10.5.0.3:6443"},
			[]string{"127.0.0.1:6443", "10.5.0.3:6443", "10.5.0.254:6443"},
		},
		{
			"the endpoint is the node itself", "127.0.0.1:6443", "10.5.0.2:6443", "10.5.0.2:6443", []string{"10.5.0.3:6443"},
			[]string{"127.0.0.1:6443", "10.5.0.3:6443"},
		},
		{
			"the endpoint is another control plane", "127.0.0.1:6443", "10.5.0.3:6443", "10.5.0.2:6443", []string{"10.5.0.3:6443"},
			[]string{"127.0.0.1:6443", "10.5.0.3:6443"},
		},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, ordered(test.first, test.others, test.last, test.alias)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestJudgeAsksMoreOfAServerThatWasReady walks one own API server through its life.
func TestJudgeAsksMoreOfAServerThatWasReady(t *testing.T) {
	dead, unready := errors.New("refused"), errors.New("no etcd")
	gate := make(chan struct{})

	var first, ready error

	j := &judge{
		own: "own", gate: gate, waits: errors.New("not filled"),
		first: func(context.Context, string) error { return first },
		ready: func(context.Context, string) error { return ready },
	}

	steps := []struct {
		name         string
		open         bool
		first, ready error
		own, other   error
	}{
		{name: "shut gate", own: j.waits},
		{name: "dead while it boots", open: true, first: dead, ready: dead, own: dead, other: dead},
		{name: "it pings but is not ready yet", ready: unready, other: unready},
		{name: "ready"},
		{name: "it lost its etcd", ready: unready, own: unready, other: unready},
		{name: "it starts over", first: dead, ready: dead, own: dead, other: dead},
		{name: "it pings again", ready: unready, other: unready},
	}

	for _, step := range steps {
		if step.open {
			close(gate)
		}

		first, ready = step.first, step.ready

		if err := j.fit(t.Context(), "own"); !errors.Is(err, step.own) {
			t.Errorf("%s: the own is judged %v, want %v", step.name, err, step.own)
		}

		if err := j.fit(t.Context(), "other"); !errors.Is(err, step.other) {
			t.Errorf("%s: another is judged %v, want %v", step.name, err, step.other)
		}
	}
}
