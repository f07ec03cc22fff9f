package docker

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"

	"github.com/bronze-os/bronze/provision"
)

// An engine that ends closes the stream; who watches must learn of it, and not wait for events that nobody sends.
func TestAWatchEndsWithTheEngine(t *testing.T) {
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		heard  int
	}{
		"the stream ends": {func(http.ResponseWriter, *http.Request) {}, 1},
		"after an event": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"Type":"container","Action":"die"}`))
		}, 2},
		"amid an event": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"Type":"container"`))
		}, 1},
		"it refuses":  {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, 1},
		"it hangs up": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(test.answer)
			defer server.Close()
			heard := 0
			err := providerAt(t, server.Listener.Addr()).Watch(t.Context(), "dev", func() { heard++ })
			if err == nil || heard != test.heard {
				t.Errorf("heard %d times, then %v; want %d times, then an error", heard, err, test.heard)
			}
		})
	}
}

func TestAWatchEndsWithItsContext(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	defer server.Close()
	enough := errors.New("it was enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	err := providerAt(t, server.Listener.Addr()).Watch(ctx, "dev", func() { cancel(enough) })
	if !errors.Is(err, enough) {
		t.Errorf("Watch = %v", err)
	}
}

func TestAContainerIsThereUntilItIsGone(t *testing.T) {
	for state, want := range map[container.ContainerState]provision.MachineState{
		container.StateCreated:    provision.MachineCreated,
		container.StateRunning:    provision.MachineRunning,
		container.StatePaused:     provision.MachinePaused,
		container.StateRestarting: provision.MachineRestarting,
		container.StateExited:     provision.MachineStopped,
		container.StateRemoving:   provision.MachineStopped,
		container.StateDead:       provision.MachineStopped,
	} {
		t.Run(string(state), func(t *testing.T) {
			if diff := cmp.Diff(want, stateOf(state)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
