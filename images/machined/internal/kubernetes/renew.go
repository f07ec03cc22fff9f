package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// renewPause lies between two looks at a process that is to end.
const renewPause = 20 * time.Millisecond

// Renew ends what was started from another manifest than dir holds now, and blocks until that is so. The kubelet, which
// watches the manifests, starts it over as they say. proc is where the kernel tells of processes, /proc.
func Renew(ctx context.Context, dir, proc string) error {
	var errs []error

	for _, component := range []string{componentAPIServer, componentControllerManager, componentScheduler} {
		pod, err := manifestOf(dir, component)
		if err != nil || pod == nil {
			errs = append(errs, err)
			continue
		}

		for _, pid := range outdated(proc, component, mark(pod)) {
			errs = append(errs, end(ctx, proc, component, pid, mark(pod)))
		}
	}

	return errors.Join(errs...)
}

// outdated are the processes of a component that bear another mark. Those that nobody can read have ended.
func outdated(proc, component, mark string) []int {
	var found []int

	paths, err := filepath.Glob(filepath.Join(proc, "[0-9]*"))
	if err != nil {
		// The pattern is constant.
		panic(err)
	}

	for _, path := range paths {
		if pid, err := strconv.Atoi(filepath.Base(path)); err == nil && isOutdated(path, component, mark) {
			found = append(found, pid)
		}
	}

	return found
}

func isOutdated(process, component, mark string) bool {
	arguments, err := os.ReadFile(filepath.Join(process, "cmdline"))
	if err != nil || !strings.HasPrefix(string(arguments), filepath.Join(programsDir, component)+"\x00") {
		return false
	}

	environment, err := os.ReadFile(filepath.Join(process, "environ"))
	if err != nil {
		return false
	}

	// What bears no mark at all is no static pod of this node's.
	_, after, marked := strings.Cut("\x00"+string(environment), "\x00"+manifestVariable+"=")
	own, _, _ := strings.Cut(after, "\x00")

	return marked && own != mark
}

// end asks a process to end, and ends it after stopLimit.
func end(ctx context.Context, proc, component string, pid int, mark string) error {
	ctx, cancel := context.WithTimeout(ctx, stopLimit*time.Second)
	defer cancel()

	if err := unix.Kill(pid, unix.SIGTERM); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("cannot end %s: %w", component, err)
	}

	for isOutdated(filepath.Join(proc, strconv.Itoa(pid)), component, mark) {
		select {
		case <-time.After(renewPause):
			continue
		case <-ctx.Done():
		}

		if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("cannot kill %s: %w", component, err)
		}

		return nil
	}

	return nil
}
