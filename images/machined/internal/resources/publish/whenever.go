package publish

import (
	"context"
	"reflect"
	"sync"
)

// Signal answers a channel that is closed at the next change of something.
type Signal func() <-chan struct{}

// Notice tells whoever listens that something changed. Its zero value is ready.
type Notice struct {
	mu      sync.Mutex
	changed chan struct{}
}

// Changed answers a channel that is closed at the next Notify. Take it before looking, so that no change is missed.
func (n *Notice) Changed() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()

	if n.changed == nil {
		n.changed = make(chan struct{})
	}

	return n.changed
}

// Notify wakes all listeners.
func (n *Notice) Notify() {
	n.mu.Lock()
	defer n.mu.Unlock()

	if n.changed != nil {
		close(n.changed)
		n.changed = nil
	}
}

// Whenever calls act at once, and again whenever something changes, until ctx ends or act errs. The signals are taken
// before act looks, so that no change is missed; many changes at once may be one call.
func Whenever(ctx context.Context, act func(context.Context) error, signals ...Signal) error {
	cases := make([]reflect.SelectCase, len(signals)+1)
	cases[0] = reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(ctx.Done())}

	for {
		for i, signal := range signals {
			cases[i+1] = reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(signal())}
		}

		if err := act(ctx); err != nil {
			return err
		}

		if chosen, _, _ := reflect.Select(cases); chosen == 0 {
			return nil
		}
	}
}
