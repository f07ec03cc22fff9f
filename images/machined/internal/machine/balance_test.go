package machine

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bronze-os/bronze/images/balance"
	"github.com/bronze-os/bronze/images/machined/internal/kubeapi"
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

func TestBehindAGateWeakServersAreUsedOnlyOnceTheOwnHasPassed(t *testing.T) {
	unready := &kubeapi.StatusError{Code: http.StatusInternalServerError}

	for name, test := range map[string]struct {
		gated, passed, weak bool
	}{
		"no gate, the own boots":   {weak: true},
		"no gate, the own passed":  {passed: true, weak: true},
		"behind a gate, it boots":  {gated: true},
		"behind a gate, it passed": {gated: true, passed: true, weak: true},
	} {
		t.Run(name, func(t *testing.T) {
			first := errors.New("connection refused")
			if test.passed {
				first = nil
			}

			j := &judge{
				own:   "own",
				first: func(context.Context, string) error { return first },
				ready: func(context.Context, string) error { return unready },
			}

			if test.gated {
				gate := make(chan struct{})
				close(gate)
				j.gate = gate
			}

			if err := j.fit(t.Context(), "own"); !errors.Is(err, first) {
				t.Fatalf("the own is judged %v", err)
			}

			if err := j.fit(t.Context(), "other"); !errors.Is(err, unready) || errors.Is(err, balance.ErrWeak) != test.weak {
				t.Errorf("another is judged %v, want it weak: %t", err, test.weak)
			}
		})
	}
}
