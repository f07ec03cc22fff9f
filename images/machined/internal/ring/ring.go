// Package ring keeps the newest bytes of a log in memory and lets any number of readers follow it. It imports the
// standard library only.
package ring

import (
	"bytes"
	"context"
	"io"
	"sync"
)

// Buffer holds the last size bytes written to it. Its zero value is not usable; New makes one.
type Buffer struct {
	mu sync.Mutex
	// data is a ring: byte number n of the log lies at n modulo len(data).
	data []byte
	// end is how many bytes were ever written.
	end int64
	// grown is closed and renewed by every write.
	grown  chan struct{}
	closed bool
}

// New makes a buffer of size bytes.
func New(size int) *Buffer {
	return &Buffer{data: make([]byte, size), grown: make(chan struct{})}
}

// Write appends p, overwriting the oldest bytes. It never blocks and never fails.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()

	kept := p[max(0, len(p)-len(b.data)):]
	b.end += int64(len(p) - len(kept))

	for len(kept) > 0 {
		n := copy(b.data[b.end%int64(len(b.data)):], kept)
		kept = kept[n:]
		b.end += int64(n)
	}

	b.wake()

	return len(p), nil
}

// Close ends all following readers once they have read what is there.
func (b *Buffer) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()

	b.closed = true
	b.wake()

	return nil
}

func (b *Buffer) wake() {
	close(b.grown)
	b.grown = make(chan struct{})
}

// Reader starts at the last tailLines lines, or at the oldest byte kept where tailLines is negative. With follow it
// waits for more until ctx ends or the buffer is closed; without, it ends at what is there.
func (b *Buffer) Reader(ctx context.Context, follow bool, tailLines int) io.Reader {
	b.mu.Lock()
	defer b.mu.Unlock()

	at := b.start()
	if tailLines >= 0 {
		at = b.end - int64(tailLength(b.since(at), tailLines))
	}

	return &reader{ctx: ctx, buffer: b, at: at, follow: follow}
}

// start is the number of the oldest byte kept.
func (b *Buffer) start() int64 {
	return max(0, b.end-int64(len(b.data)))
}

// since copies out all bytes from number at on.
func (b *Buffer) since(at int64) []byte {
	out := make([]byte, 0, b.end-at)

	for at < b.end {
		from := at % int64(len(b.data))
		to := min(from+b.end-at, int64(len(b.data)))
		out = append(out, b.data[from:to]...)
		at += to - from
	}

	return out
}

// tailLength tells how many bytes at the end of text hold its last lines lines.
func tailLength(text []byte, lines int) int {
	rest := bytes.TrimSuffix(text, []byte("\n"))
	if lines == 0 || len(text) == 0 {
		return 0
	}

	for ; lines > 0; lines-- {
		i := bytes.LastIndexByte(rest, '\n')
		if i < 0 {
			return len(text)
		}

		rest = rest[:i]
	}

	return len(text) - len(rest) - 1
}

type reader struct {
	ctx    context.Context
	buffer *Buffer
	at     int64
	follow bool
}

// Read answers what came since the last one. A reader that fell behind by more than the buffer holds goes on at the
// oldest byte kept.
func (r *reader) Read(p []byte) (int, error) {
	for {
		n, grown, done := r.take(p)
		if n > 0 || len(p) == 0 {
			return n, nil
		}

		if done {
			return 0, io.EOF
		}

		select {
		case <-grown:
		case <-r.ctx.Done():
			return 0, io.EOF
		}
	}
}

func (r *reader) take(p []byte) (n int, grown <-chan struct{}, done bool) {
	r.buffer.mu.Lock()
	defer r.buffer.mu.Unlock()

	r.at = max(r.at, r.buffer.start())

	for n < len(p) && r.at < r.buffer.end {
		from := r.at % int64(len(r.buffer.data))
		to := min(from+r.buffer.end-r.at, int64(len(r.buffer.data)))
		copied := copy(p[n:], r.buffer.data[from:to])
		n += copied
		r.at += int64(copied)
	}

	return n, r.buffer.grown, !r.follow || r.buffer.closed
}
