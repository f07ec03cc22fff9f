package drill

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/bronze-os/bronze/provision/picture"
)

const (
	// lookEvery is the least time between two pictures.
	lookEvery = 500 * time.Millisecond
	// lookLimit bounds one.
	lookLimit = 10 * time.Second
)

// sample is the picture at one time.
type sample struct {
	// began is when the asking began, at when it ended.
	began, at time.Time
	picture   picture.Picture
	err       error
}

// watch takes pictures until it is ended, keeps them all, and tells those who wait for one.
type watch struct {
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	samples []sample
	// fresh is closed when the next sample is there.
	fresh chan struct{}
}

func look(ctx context.Context, eye Eye) *watch {
	ctx, cancel := context.WithCancel(ctx)
	w := &watch{cancel: cancel, done: make(chan struct{}), fresh: make(chan struct{})}
	go func() {
		defer close(w.done)
		w.run(ctx, eye)
	}()
	return w
}

func (w *watch) run(ctx context.Context, eye Eye) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		w.add(take(ctx, eye))
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func take(ctx context.Context, eye Eye) sample {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	s := sample{began: time.Now()}
	s.picture, s.err = eye.Look(ctx)
	s.at = time.Now()
	return s
}

func (w *watch) add(s sample) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.samples = append(w.samples, s)
	close(w.fresh)
	w.fresh = make(chan struct{})
}

func (w *watch) end() {
	w.cancel()
	<-w.done
}

// since are the samples that were asked for after that time, and what is closed when the next is there.
func (w *watch) since(from time.Time) ([]sample, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.IndexFunc(w.samples, func(s sample) bool { return s.began.After(from) })
	if i < 0 {
		return nil, w.fresh
	}
	return slices.Clone(w.samples[i:]), w.fresh
}

// await waits for a picture that was asked for after that time and of which why has nothing to say. Its error has the
// last reason.
func (w *watch) await(ctx context.Context, from time.Time, why func(picture.Picture) string, waiting func(string)) (sample, error) {
	last := "the cluster was not looked at"
	for {
		samples, fresh := w.since(from)
		for _, s := range samples {
			if last = whyOf(s, why); last == "" {
				return s, nil
			}
			from = s.began
			waiting(last)
		}
		select {
		case <-fresh:
		case <-ctx.Done():
			return sample{}, fmt.Errorf("%s: %w", last, context.Cause(ctx))
		}
	}
}

// settled waits for a picture of now in which all sources answer and of which why has nothing to say, and tells since
// when that has been so without a break.
func (w *watch) settled(ctx context.Context, from time.Time, why func(picture.Picture) string, waiting func(string)) (picture.Picture, time.Time, error) {
	answered := func(p picture.Picture) string { return cmp.Or(whySilent(p), why(p)) }
	now, err := w.await(ctx, time.Now(), answered, waiting)
	if err != nil {
		return picture.Picture{}, time.Time{}, err
	}
	since := now.at
	samples, _ := w.since(from)
	for _, s := range slices.Backward(samples) {
		if whyOf(s, answered) != "" {
			break
		}
		if s.at.Before(since) {
			since = s.at
		}
	}
	return now.picture, since, nil
}

func whyOf(s sample, why func(picture.Picture) string) string {
	if s.err != nil {
		return s.err.Error()
	}
	return why(s.picture)
}

// lanes are the nodes' states over the time of all samples, in seconds since zero. A state lasts until the next sample.
func (w *watch) lanes(zero time.Time) []Lane {
	w.mu.Lock()
	defer w.mu.Unlock()
	return lanesOf(w.samples, zero)
}

func lanesOf(samples []sample, zero time.Time) []Lane {
	var lanes []Lane
	for i, s := range samples {
		if s.err != nil {
			continue
		}
		span := Span{From: seconds(s.at.Sub(zero)), To: seconds(s.at.Sub(zero))}
		if i+1 < len(samples) {
			span.To = seconds(samples[i+1].at.Sub(zero))
		}
		for _, node := range s.picture.Nodes {
			span.State, span.Why = appearance(s.picture, node)
			lanes = extend(lanes, node, span)
		}
	}
	slices.SortStableFunc(lanes, func(a, b Lane) int { return cmp.Or(cmp.Compare(a.Role, b.Role), cmp.Compare(a.Node, b.Node)) })
	return lanes
}

// appearance is the picture's state of a node, but for one that runs and of which Kubernetes says that it is not Ready.
func appearance(p picture.Picture, node picture.Node) (state, why string) {
	_, silent := p.Silent[picture.Kubernetes]
	if node.State == picture.Running && !silent && (node.Kubernetes == nil || !node.Kubernetes.Ready) {
		return "not ready", "it runs, and Kubernetes does not call it Ready"
	}
	return string(node.State), node.Why
}

// extend adds a span to the node's lane: to its last span where that touches and is of the same state.
func extend(lanes []Lane, node picture.Node, span Span) []Lane {
	i := slices.IndexFunc(lanes, func(l Lane) bool { return l.Node == node.Name })
	if i < 0 {
		return append(lanes, Lane{Node: node.Name, Role: string(node.Role), Spans: []Span{span}})
	}
	lane := &lanes[i]
	lane.Role = cmp.Or(lane.Role, string(node.Role))
	last := &lane.Spans[len(lane.Spans)-1]
	if last.State == span.State && last.To == span.From {
		last.To = span.To
		return lanes
	}
	lane.Spans = append(lane.Spans, span)
	return lanes
}
