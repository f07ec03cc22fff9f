package drill

import (
	"context"
	"fmt"
	"time"
)

const (
	// writeEvery makes 25 writes a second.
	writeEvery = 40 * time.Millisecond
	// writeLimit bounds one write: a client that waits longer would measure its own patience.
	writeLimit = time.Second
)

// stream is writing that goes on until it is ended.
type stream struct {
	*ledger
	cancel context.CancelFunc
	done   chan struct{}
	// ended is when it was, and gone are the acknowledged keys that were looked for in vain.
	ended time.Time
	gone  []string
}

// write starts to write one key after the other, a fresh one after a refusal too: whether a write that was not
// acknowledged is there says nothing.
func write(ctx context.Context, to Canary) *stream {
	ctx, cancel := context.WithCancel(ctx)
	s := &stream{ledger: newLedger(time.Now()), cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		s.run(ctx, to)
	}()
	return s
}

func (s *stream) run(ctx context.Context, to Canary) {
	ticker := time.NewTicker(writeEvery)
	defer ticker.Stop()
	for i := 0; ; i++ {
		s.once(ctx, to, fmt.Sprintf("write-%06d", i))
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (s *stream) once(ctx context.Context, to Canary, key string) {
	limited, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	err := to.Write(limited, key)
	switch {
	case err == nil:
		s.acknowledged(key, time.Now())
	case ctx.Err() == nil:
		s.refusedWith(err)
	}
}

// end ends the stream and waits for it. It may be called twice.
func (s *stream) end() {
	s.cancel()
	<-s.done
	if s.ended.IsZero() {
		s.ended = time.Now()
	}
}

// sum is what came of a stream that was ended, in seconds since zero.
func (s *stream) sum(zero time.Time) Writes {
	writes := s.writes(zero, s.ended)
	writes.Lost = s.gone
	return writes
}

// longestGap is the longest time without an acknowledged write in a stream that was ended.
func (s *stream) longestGap() time.Duration {
	return s.longest(s.ended)
}
