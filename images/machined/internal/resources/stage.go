package resources

import (
	"sync"

	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"
)

// Stage is how far the machine is in its life. Its zero value is not usable; NewStage makes one.
type Stage struct {
	mu      sync.Mutex
	value   runtime.MachineStage
	changed chan struct{}
}

// NewStage makes a stage that is booting.
func NewStage() *Stage {
	return &Stage{value: runtime.MachineStageBooting, changed: make(chan struct{})}
}

// Set enters a stage. MachineStageRunning is entered when all services have been started; to the outside the machine
// is booting until they also work.
func (s *Stage) Set(value runtime.MachineStage) {
	s.mu.Lock()
	defer s.mu.Unlock()

	if s.value != value {
		s.value = value
		close(s.changed)
		s.changed = make(chan struct{})
	}
}

// now answers the stage, and a channel that is closed when it changes.
func (s *Stage) now() (runtime.MachineStage, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.value, s.changed
}
