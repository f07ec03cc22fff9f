package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"
	"golang.org/x/sys/unix"

	"github.com/bronze-os/bronze/images/machined/internal/events"
)

// podLimit is how long containers of pods have between SIGTERM and SIGKILL when the node ends.
const podLimit = 3 * time.Second

// Shutdown begins to end the node.
func (m *Machine) Shutdown(ctx context.Context) error {
	return m.end(Ending{Actor: events.Actor(ctx)})
}

// Reboot begins to end the node and to start it over.
func (m *Machine) Reboot(ctx context.Context) error {
	return m.end(Ending{Reboot: true, Actor: events.Actor(ctx)})
}

func (m *Machine) end(ending Ending) error {
	select {
	case m.ending <- ending:
		return nil
	default:
		return errors.New("the node is ending already")
	}
}

// stop ends everything in order: first what would start pods anew, then the pods, which need the runtime and the API
// server needs etcd, then the rest, the last started first.
func (m *Machine) stop(ending Ending) error {
	name, stage := ending.sequence()
	m.stage.Set(stage)

	m.log.Info("stopping all services")

	sequence := m.events.Begin(name, ending.Actor)

	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()

	if !ending.Reboot || len(ending.Wipe) > 0 {
		m.leave(ctx)
	}

	pods := sequence.Phase("cleanup", "stopAllPods", func() error { return m.stopPods(ctx) })
	services := sequence.Phase("stopEverything", "stopAllServices", func() error { return m.services.StopAll(ctx) })

	err := errors.Join(pods, services)
	sequence.End(err)

	return err
}

// sequence is what Talos calls it, and the stage that the machine is in meanwhile.
func (e Ending) sequence() (string, runtime.MachineStage) {
	switch {
	case len(e.Wipe) > 0:
		return "reset", runtime.MachineStageResetting
	case e.Reboot:
		return "reboot", runtime.MachineStageRebooting
	default:
		return "shutdown", runtime.MachineStageShuttingDown
	}
}

// stopPods ends what would start pods anew, and then the pods.
func (m *Machine) stopPods(ctx context.Context) error {
	var errs []error

	for _, id := range []string{"kubelet", "flanneld", "control-plane"} {
		if _, err := m.services.Status(id); err == nil {
			errs = append(errs, m.services.Stop(ctx, id))
		}
	}

	return errors.Join(append(errs, endPods(ctx))...)
}

// endPods ends the processes of all containers that the kubelet started.
func endPods(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, podLimit)
	defer cancel()

	if err := signalPods(unix.SIGTERM); err != nil {
		return err
	}

	err := poll(ctx, func() bool { return len(podProcesses()) == 0 })
	if err == nil {
		return nil
	}

	return signalPods(unix.SIGKILL)
}

func signalPods(signal unix.Signal) error {
	for _, pid := range podProcesses() {
		if err := unix.Kill(pid, signal); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("cannot end process %d of a pod: %w", pid, err)
		}
	}

	return nil
}

// podProcesses are the processes in the kubelet's control groups.
func podProcesses() []int {
	groups, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		// The pattern is constant.
		panic(err)
	}

	var pids []int

	for _, path := range groups {
		text, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(text), "/kubepods") {
			continue
		}

		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			pids = append(pids, pid)
		}
	}

	return pids
}
