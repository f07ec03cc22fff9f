package service_test

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/bronze-os/bronze/images/machined/internal/reaper"
	"github.com/bronze-os/bronze/images/machined/internal/service"
)

// childVariable makes the test binary behave as a service's program instead.
const childVariable = "SERVICE_TEST_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(childVariable) {
	case "":
		goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("os/signal.loop"))
	case "talk":
		_, _ = io.WriteString(os.Stdout, "last words\n")
		os.Exit(3)
	case "stay":
		_, _ = io.WriteString(os.Stdout, "staying\n")
		select {}
	}
}

// await looks at the service at every change until it is as wanted.
func await(t *testing.T, s *service.Supervisor, id string, wanted func(service.Status) bool) service.Status {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()

	for {
		changed := s.Changed()

		status, err := s.Status(id)
		if err != nil {
			t.Fatal(err)
		}

		if wanted(status) {
			return status
		}

		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("%s never came to be as wanted: %+v", id, status)
		}
	}
}

func in(state service.State) func(service.Status) bool {
	return func(s service.Status) bool { return s.State == state }
}

func supervisor(t *testing.T) *service.Supervisor {
	t.Helper()

	s := service.New(context.Background())

	t.Cleanup(func() {
		if err := s.StopAll(context.Background()); err != nil {
			t.Error(err)
		}
	})

	return s
}

func untilDone(ctx context.Context, _ io.Writer) error {
	<-ctx.Done()

	return nil
}

func TestServiceGoesThroughItsStates(t *testing.T) {
	s := supervisor(t)
	s.Add(service.Spec{ID: "one", Run: untilDone})

	if status, _ := s.Status("one"); status.State != service.Initialized {
		t.Errorf("before start: %s", status.State)
	}

	if err := s.Start("one"); err != nil {
		t.Fatal(err)
	}

	await(t, s, "one", in(service.Running))

	if err := s.Stop(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}

	await(t, s, "one", in(service.Finished))

	if err := s.Restart(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}

	await(t, s, "one", in(service.Running))
}

func TestServiceWaitsForWhatItNeedsAndSaysSo(t *testing.T) {
	s := supervisor(t)
	ready := make(chan struct{})

	s.Add(service.Spec{
		ID:  "one",
		Run: untilDone,
		Wait: func(ctx context.Context, note func(string)) error {
			note("waiting for the test")

			select {
			case <-ready:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
	})

	if err := s.Start("one"); err != nil {
		t.Fatal(err)
	}

	await(t, s, "one", func(status service.Status) bool {
		return status.State == service.Waiting && slices.ContainsFunc(status.Events, func(e service.Event) bool {
			return e.Message == "waiting for the test"
		})
	})
	close(ready)
	await(t, s, "one", in(service.Running))
}

func TestServiceThatFailsIsStartedAgain(t *testing.T) {
	s := supervisor(t)

	var runs atomic.Int32

	third := make(chan struct{})

	s.Add(service.Spec{ID: "one", Run: func(ctx context.Context, log io.Writer) error {
		if runs.Add(1) < 3 {
			return errors.New("not this time")
		}

		close(third)

		return untilDone(ctx, log)
	}})

	if err := s.Start("one"); err != nil {
		t.Fatal(err)
	}

	<-third
	status := await(t, s, "one", in(service.Running))

	failures := 0
	for _, event := range status.Events {
		if event.State == service.Failed && strings.Contains(event.Message, "not this time") {
			failures++
		}
	}

	if failures != 2 {
		t.Errorf("%d failures among the events, want 2: %+v", failures, status.Events)
	}
}

func TestHealthFollowsTheCheck(t *testing.T) {
	s := supervisor(t)

	var healthy atomic.Bool

	s.Add(service.Spec{ID: "one", Run: untilDone, Healthy: func(context.Context) error {
		if !healthy.Load() {
			return errors.New("feeling low")
		}

		return nil
	}})

	if err := s.Start("one"); err != nil {
		t.Fatal(err)
	}

	await(t, s, "one", func(status service.Status) bool {
		return !status.Health.Unknown && !status.Health.Healthy && status.Health.Message == "feeling low"
	})
	healthy.Store(true)
	await(t, s, "one", func(status service.Status) bool { return status.Health.Healthy })
}

func TestUnknownServiceIsAnError(t *testing.T) {
	if err := supervisor(t).Start("none"); !errors.Is(err, service.ErrUnknown) {
		t.Errorf("Start = %v", err)
	}
}

func TestProgramsLastWordsAndExitCodeAreKept(t *testing.T) {
	r := reaper.New()
	t.Cleanup(r.Close)

	s := supervisor(t)
	s.Add(service.Spec{ID: "child", Run: child(r, "talk")})

	if err := s.Start("child"); err != nil {
		t.Fatal(err)
	}

	status := await(t, s, "child", in(service.Failed))
	if message := status.Events[len(status.Events)-1].Message; !strings.Contains(message, "exit code 3") {
		t.Errorf("failed with %q", message)
	}

	if got := log(t, s, "child"); !strings.HasPrefix(got, "last words\n") {
		t.Errorf("log %q", got)
	}
}

func TestStopEndsTheProgram(t *testing.T) {
	r := reaper.New()
	t.Cleanup(r.Close)

	s := supervisor(t)
	s.Add(service.Spec{ID: "child", Run: child(r, "stay")})

	if err := s.Start("child"); err != nil {
		t.Fatal(err)
	}

	await(t, s, "child", in(service.Running))

	// Following ends at the first word, which comes once the program is up.
	buffer, _ := s.Log("child")
	if _, err := buffer.Reader(t.Context(), true, -1).Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}

	if err := s.Stop(t.Context(), "child"); err != nil {
		t.Fatal(err)
	}

	await(t, s, "child", in(service.Finished))
}

func child(r *reaper.Reaper, role string) func(context.Context, io.Writer) error {
	return service.Process(r, func() (service.Command, error) {
		return service.Command{Argv: []string{os.Args[0]}, Env: []string{childVariable + "=" + role}}, nil
	})
}

func log(t *testing.T, s *service.Supervisor, id string) string {
	t.Helper()

	buffer, ok := s.Log(id)
	if !ok {
		t.Fatalf("no log of %s", id)
	}

	text, err := io.ReadAll(buffer.Reader(t.Context(), false, -1))
	if err != nil {
		t.Fatal(err)
	}

	return string(text)
}
