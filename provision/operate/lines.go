package operate

import "bytes"

// lines cuts what a node streams into lines, so that several nodes' can be told apart. A line that is longer than
// longestLine is handed on in pieces.
type lines struct {
	hear func(line string) error
	rest []byte
}

// longestLine is in bytes.
const longestLine = 1 << 20

// Write hands on every line that data completes, without its end.
func (l *lines) Write(data []byte) (int, error) {
	l.rest = append(l.rest, data...)
	for {
		end := bytes.IndexByte(l.rest, '\n')
		skip := end + 1
		if end < 0 {
			if len(l.rest) < longestLine {
				return len(data), nil
			}
			end, skip = longestLine, longestLine
		}
		line := string(bytes.TrimSuffix(l.rest[:end], []byte("\r")))
		l.rest = l.rest[skip:]
		if err := l.hear(line); err != nil {
			return 0, err
		}
	}
}

// flush hands on a last line without an end.
func (l *lines) flush() error {
	if len(l.rest) == 0 {
		return nil
	}
	line := string(l.rest)
	l.rest = nil
	return l.hear(line)
}
