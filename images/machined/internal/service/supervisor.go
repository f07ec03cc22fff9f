package service

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/bronze-os/bronze/images/machined/internal/ring"
)

// LogSize is how many bytes of each service's log are kept.
const LogSize = 256 << 10

// ErrUnknown is in the error for an ID that no service has.
var ErrUnknown = errors.New("no such service")

// Supervisor runs services. New makes one.
type Supervisor struct {
	ctx context.Context

	mu      sync.Mutex
	runners map[string]*runner
	order   []string
	logs    map[string]*ring.Buffer
	changed chan struct{}
}

// New makes a supervisor whose services all end with ctx.
func New(ctx context.Context) *Supervisor {
	return &Supervisor{
		ctx:     ctx,
		runners: map[string]*runner{},
		logs:    map[string]*ring.Buffer{},
		changed: make(chan struct{}),
	}
}

// Add makes a service known, in state Initialized. Adding an ID twice keeps the first.
func (s *Supervisor) Add(spec Spec) {
	s.mu.Lock()
	defer s.mu.Unlock()

	if _, ok := s.runners[spec.ID]; ok {
		return
	}

	log := ring.New(LogSize)
	s.runners[spec.ID] = newRunner(spec, log, s.notify)
	s.logs[spec.ID] = log
	s.order = append(s.order, spec.ID)
}

// Log answers the log of that name: a service's, or one made by AddLog.
func (s *Supervisor) Log(id string) (*ring.Buffer, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()

	log, ok := s.logs[id]

	return log, ok
}

// Logs tells the names of all logs, sorted.
func (s *Supervisor) Logs() []string {
	s.mu.Lock()
	defer s.mu.Unlock()

	return slices.Sorted(maps.Keys(s.logs))
}

// AddLog makes a log that belongs to no service, such as machined's own.
func (s *Supervisor) AddLog(id string, log *ring.Buffer) {
	s.mu.Lock()
	defer s.mu.Unlock()

	s.logs[id] = log
}

// List tells all services in the order in which they were added.
func (s *Supervisor) List() []Status {
	s.mu.Lock()
	runners := make([]*runner, 0, len(s.order))

	for _, id := range s.order {
		runners = append(runners, s.runners[id])
	}
	s.mu.Unlock()

	statuses := make([]Status, 0, len(runners))
	for _, r := range runners {
		statuses = append(statuses, r.Status())
	}

	return statuses
}

// Status tells one service.
func (s *Supervisor) Status(id string) (Status, error) {
	r, err := s.runner(id)
	if err != nil {
		return Status{}, err
	}

	return r.Status(), nil
}

// Changed answers a channel that is closed at the next change of any service's state or health. Take it before
// looking, so that no change is missed.
func (s *Supervisor) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.changed
}

func (s *Supervisor) notify() {
	s.mu.Lock()
	defer s.mu.Unlock()

	close(s.changed)
	s.changed = make(chan struct{})
}

// Start starts a service and returns at once; one that runs is left alone.
func (s *Supervisor) Start(id string) error {
	r, err := s.runner(id)
	if err != nil {
		return err
	}

	r.start(s.ctx)

	return nil
}

// Stop stops a service and blocks until it has ended.
func (s *Supervisor) Stop(ctx context.Context, id string) error {
	r, err := s.runner(id)
	if err != nil {
		return err
	}

	return r.stop(ctx)
}

// Restart stops a service, then starts it.
func (s *Supervisor) Restart(ctx context.Context, id string) error {
	if err := s.Stop(ctx, id); err != nil {
		return err
	}

	return s.Start(id)
}

// StopAll stops all services, the last added first.
func (s *Supervisor) StopAll(ctx context.Context) error {
	s.mu.Lock()
	order := slices.Clone(s.order)
	s.mu.Unlock()

	var errs []error

	for _, id := range slices.Backward(order) {
		errs = append(errs, s.Stop(ctx, id))
	}

	return errors.Join(errs...)
}

func (s *Supervisor) runner(id string) (*runner, error) {
	s.mu.Lock()
	defer s.mu.Unlock()

	r, ok := s.runners[id]
	if !ok {
		return nil, fmt.Errorf("%w: %q", ErrUnknown, id)
	}

	return r, nil
}
