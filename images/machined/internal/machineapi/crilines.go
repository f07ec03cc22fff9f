package machineapi

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// lineSize is the room for one line of the CRI's, in bytes: it cuts what containers write at 16 KiB.
const lineSize = 32 << 10

// plainLines takes from each line of a container log what the CRI puts in front: the time, the stream, and whether the
// line goes on in the next.
type plainLines struct {
	from *bufio.Reader
	// rest is of the line that is being read; inside is true where the line's beginning is gone already.
	rest   []byte
	inside bool
}

func newPlainLines(from io.Reader) *plainLines {
	return &plainLines{from: bufio.NewReaderSize(from, lineSize)}
}

// Read is part of io.Reader.
func (l *plainLines) Read(p []byte) (int, error) {
	for len(l.rest) == 0 {
		line, err := l.from.ReadSlice('\n')
		if len(line) == 0 {
			return 0, err
		}

		if !l.inside {
			line = plainLine(line)
		}

		l.rest = line
		// A line that is longer than the CRI writes any comes in pieces.
		l.inside = errors.Is(err, bufio.ErrBufferFull)
	}

	n := copy(p, l.rest)
	l.rest = l.rest[n:]

	return n, nil
}

// plainLine answers what a container wrote. A line of another form is left as it is.
func plainLine(line []byte) []byte {
	_, rest, hasTime := bytes.Cut(line, []byte(" "))
	stream, rest, hasStream := bytes.Cut(rest, []byte(" "))
	tag, text, hasTag := bytes.Cut(rest, []byte(" "))

	if !hasTime || !hasStream || !hasTag || string(stream) != "stdout" && string(stream) != "stderr" {
		return line
	}

	if string(tag) == "P" {
		return bytes.TrimSuffix(text, []byte("\n"))
	}

	return text
}
