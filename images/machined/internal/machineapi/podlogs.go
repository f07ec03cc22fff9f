package machineapi

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// followPause is how often the end of a followed container log is looked at.
const followPause = 500 * time.Millisecond

// podLog opens the newest log of a container, as what the container wrote. Its ID is Talos's, namespace/pod:container,
// whatever comes after a second colon. A piece of a line that was too long for the CRI counts as a line of tail.
func (s *server) podLog(ctx context.Context, id string, follow bool, tail int) (io.ReadCloser, error) {
	pattern, ok := podLogPattern(id)
	if !ok {
		return nil, status.Errorf(codes.InvalidArgument, "%q is not an ID of the form namespace/pod:container", id)
	}

	paths, err := filepath.Glob(filepath.Join(s.opts.PodLogs, pattern))
	if err != nil || len(paths) == 0 {
		return nil, status.Errorf(codes.NotFound, "there is no container log %q", id)
	}

	log, err := openLog(ctx, slices.MaxFunc(paths, byRestart), follow)
	if err != nil {
		return nil, fileError("opening the log of "+id, err)
	}

	if err := log.seekLines(tail); err != nil {
		log.Close()
		return nil, fileError("reading the log of "+id, err)
	}

	return struct {
		io.Reader
		io.Closer
	}{newPlainLines(log), log}, nil
}

// byRestart orders logs by the number in their names, which has no leading zeros.
func byRestart(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

// podLogPattern is the glob of a container's logs below the kubelet's directory. Names are those that Kubernetes
// allows, so that no ID leads elsewhere.
func podLogPattern(id string) (string, bool) {
	namespace, rest, _ := strings.Cut(id, "/")
	pod, rest, _ := strings.Cut(rest, ":")
	container, _, _ := strings.Cut(rest, ":")

	for _, name := range []string{namespace, pod, container} {
		if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" || strings.Contains(name, "..") {
			return "", false
		}
	}

	return filepath.Join(namespace+"_"+pod+"_*", container, "*.log"), true
}

// logFile reads a log file that may grow and be rotated meanwhile.
type logFile struct {
	ctx    context.Context
	path   string
	file   *os.File
	follow bool
}

func openLog(ctx context.Context, path string, follow bool) (*logFile, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}

	return &logFile{ctx: ctx, path: path, file: file, follow: follow}, nil
}

// Close is part of io.Closer.
func (l *logFile) Close() error { return l.file.Close() }

// seekLines goes to the last lines, searching from the end; a negative number is all.
func (l *logFile) seekLines(lines int) error {
	if lines < 0 {
		return nil
	}

	at, err := l.file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}

	block := make([]byte, chunkSize)
	// The newline that ends the last line begins none.
	ends := lines + 1

	for at > 0 && lines > 0 {
		length := min(at, int64(len(block)))
		at -= length

		if _, err := l.file.ReadAt(block[:length], at); err != nil {
			return fmt.Errorf("cannot read back: %w", err)
		}

		var begin int
		if begin, ends = lastEnds(block[:length], ends); begin >= 0 {
			at += int64(begin)
			break
		}
	}

	_, err = l.file.Seek(at, io.SeekStart)

	return err
}

// lastEnds looks for that many newlines from the end of block, and answers what comes after the first of them, or -1 and
// how many are still to be found.
func lastEnds(block []byte, ends int) (begin, left int) {
	for rest := block; ; ends-- {
		at := bytes.LastIndexByte(rest, '\n')

		switch {
		case at < 0:
			return -1, ends
		case ends == 1:
			return at + 1, 0
		}

		rest = rest[:at]
	}
}

// Read is part of io.Reader. When it follows, it ends with ctx.
func (l *logFile) Read(p []byte) (int, error) {
	ticker := time.NewTicker(followPause)
	defer ticker.Stop()

	for {
		n, err := l.file.Read(p)
		if n > 0 || !l.follow || err != nil && !errors.Is(err, io.EOF) {
			return n, err
		}

		if l.reopen() {
			continue
		}

		select {
		case <-ticker.C:
		case <-l.ctx.Done():
			return 0, io.EOF
		}
	}
}

// reopen goes on with the file that the kubelet put in the place of a full one.
func (l *logFile) reopen() bool {
	next, err := os.Open(l.path)
	if err != nil {
		return false
	}

	old, oldErr := l.file.Stat()
	now, nowErr := next.Stat()

	if oldErr != nil || nowErr != nil || os.SameFile(old, now) {
		next.Close()
		return false
	}

	l.file.Close()
	l.file = next

	return true
}
