package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// ErrNotRegular is in the error for what is no file that could be read: a directory, device, socket or pipe.
var ErrNotRegular = errors.New("not a regular file")

// Open opens a regular file for a reader that ends when ctx does, even when the kernel has nothing to read for a while, as
// with /proc/kmsg. The caller closes it.
func Open(ctx context.Context, path string) (io.ReadCloser, error) {
	file, err := openRegular(path)
	if err != nil {
		return nil, err
	}

	// Closing wakes a read that waits.
	stop := context.AfterFunc(ctx, func() { file.Close() })

	return &reader{file: file, stop: stop}, nil
}

// openRegular looks before it opens, as opening some devices does something already.
func openRegular(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}

	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w but %s", path, ErrNotRegular, kindOf(info.Mode()))
	}

	// A file that cannot block ignores the flag; one that can is left to Go's poller.
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}

	return os.NewFile(uintptr(fd), path), nil
}

func kindOf(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeDevice != 0:
		return "a device"
	case mode&fs.ModeNamedPipe != 0:
		return "a pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	default:
		return "something else"
	}
}

type reader struct {
	file *os.File
	stop func() bool
}

// Read is part of io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	n, err := r.file.Read(p)
	if errors.Is(err, unix.EAGAIN) {
		// The kernel has no more for now, and no way to wait for it.
		return n, io.EOF
	}

	return n, err
}

// Close is part of io.Closer.
func (r *reader) Close() error {
	r.stop()
	return r.file.Close()
}
