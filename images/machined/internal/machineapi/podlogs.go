package machineapi

import (
	"bytes"
	"cmp"
	"context"
	"errors"
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

// podLog opens the newest log of a container. Its ID is Talos's, namespace/pod:container, whatever comes after a
// second colon.
func (s *server) podLog(ctx context.Context, id string, follow bool, tail int) (io.Reader, error) {
	pattern, ok := podLogPattern(id)
	if !ok {
		return nil, status.Errorf(codes.InvalidArgument, "%q is not an ID of the form namespace/pod:container", id)
	}

	paths, err := filepath.Glob(filepath.Join(s.opts.PodLogs, pattern))
	if err != nil || len(paths) == 0 {
		return nil, status.Errorf(codes.NotFound, "there is no container log %q", id)
	}

	newest := slices.MaxFunc(paths, byRestart)

	text, err := os.ReadFile(newest)
	if err != nil {
		return nil, status.Errorf(codes.Internal, "cannot read the log of %q: %v", id, err)
	}

	whole := io.Reader(bytes.NewReader(lastLines(text, tail)))
	if follow {
		whole = io.MultiReader(whole, &fileFollower{ctx: ctx, path: newest, at: int64(len(text))})
	}

	return whole, nil
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

// lastLines cuts text down to its last lines; a negative number keeps all.
func lastLines(text []byte, lines int) []byte {
	if lines < 0 {
		return text
	}

	at := len(bytes.TrimSuffix(text, []byte("\n")))
	for ; lines > 0 && at >= 0; lines-- {
		at = bytes.LastIndexByte(text[:at], '\n')
	}

	return text[at+1:]
}

// fileFollower reads what is added to a file until ctx ends.
type fileFollower struct {
	ctx  context.Context
	path string
	at   int64
}

// Read is part of io.Reader.
func (f *fileFollower) Read(p []byte) (int, error) {
	ticker := time.NewTicker(followPause)
	defer ticker.Stop()

	for {
		n, err := f.readAt(p)
		if n > 0 || err != nil {
			return n, err
		}

		select {
		case <-ticker.C:
		case <-f.ctx.Done():
			return 0, io.EOF
		}
	}
}

func (f *fileFollower) readAt(p []byte) (int, error) {
	file, err := os.Open(f.path)
	if err != nil {
		return 0, io.EOF
	}
	defer file.Close()

	n, err := file.ReadAt(p, f.at)
	f.at += int64(n)

	if errors.Is(err, io.EOF) {
		err = nil
	}

	return n, err
}
