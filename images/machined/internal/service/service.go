// Package service supervises what runs on a node: processes and in-process servers alike, each with the states that
// the machine API shows, back-off between restarts, a health check and a log in memory. It knows no service by name.
package service

import (
	"context"
	"io"
	"time"
)

// State is where a service stands, in the words of Talos's ServiceList.
type State string

// The states of a service.
const (
	// Initialized has never been asked to start.
	Initialized State = "Initialized"
	// Waiting is asked to start and waits for what it needs, or for the end of a back-off.
	Waiting State = "Waiting"
	// Preparing writes the service's files.
	Preparing State = "Preparing"
	// Running is started; whether it works is its Health.
	Running State = "Running"
	// Stopping is asked to end and has not yet.
	Stopping State = "Stopping"
	// Finished ended because it was asked to.
	Finished State = "Finished"
	// Failed ended by itself and will be started again.
	Failed State = "Failed"
)

// Spec tells what a service is.
type Spec struct {
	// ID is the name that users know it by.
	ID string
	// Wait blocks until what the service needs is there; nil waits for nothing. It calls note with what it waits for.
	Wait func(ctx context.Context, note func(string)) error
	// Prepare writes what Run needs, anew before each start; nil has nothing to write.
	Prepare func(ctx context.Context) error
	// Run blocks while the service runs, ends when ctx does, and writes what it has to say to log.
	Run func(ctx context.Context, log io.Writer) error
	// Healthy answers nil when the service works; nil means that running is all there is to know.
	Healthy func(ctx context.Context) error
}

// Health is what the last health check said.
type Health struct {
	// Unknown is true until the first check has ended, and for services that have none.
	Unknown bool
	Healthy bool
	// Message says why it is not healthy.
	Message string
	Changed time.Time
}

// Event is one change of state.
type Event struct {
	Time    time.Time
	State   State
	Message string
}

// Status is a service as it stands.
type Status struct {
	ID     string
	State  State
	Health Health
	// Checked is true for a service that has a health check.
	Checked bool
	// Events are the newest changes of state, oldest first.
	Events []Event
}
