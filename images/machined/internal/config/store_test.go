package config_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	machinery "github.com/siderolabs/talos/pkg/machinery/config"

	"github.com/bronze-os/bronze/images/machined/internal/config"
)

// open makes a store whose config names the endpoint "first".
func open(t *testing.T) (store *config.Store, path string) {
	t.Helper()

	path = filepath.Join(t.TempDir(), "config.yaml")

	store, err := config.New(path, named(t, "first"))
	if err != nil {
		t.Fatal(err)
	}

	return store, path
}

func named(t *testing.T, endpoint string) machinery.Provider {
	t.Helper()

	provider, err := config.Parse([]byte(strings.ReplaceAll(document, "10.5.0.2", endpoint)))
	if err != nil {
		t.Fatal(err)
	}

	return provider
}

// names tells which config is current, which one is kept, and which one the node would boot with.
func names(t *testing.T, store *config.Store, path string) []string {
	t.Helper()

	booted, err := config.Open(path, "")
	if err != nil {
		t.Fatal(err)
	}

	var found []string
	for _, provider := range []machinery.Provider{store.Current(), store.Kept(), booted.Current()} {
		found = append(found, provider.Cluster().Endpoint().Hostname())
	}

	return found
}

func TestEachWayOfTakingAConfigFollowsAndKeepsWhatItSays(t *testing.T) {
	set := func(t *testing.T, s *config.Store, endpoint string) {
		if err := s.Set(named(t, endpoint)); err != nil {
			t.Fatal(err)
		}
	}
	stage := func(t *testing.T, s *config.Store, endpoint string) {
		if err := s.Stage(named(t, endpoint)); err != nil {
			t.Fatal(err)
		}
	}
	try := func(t *testing.T, s *config.Store, endpoint string) { s.Try(named(t, endpoint), time.Minute) }

	tests := []struct {
		name  string
		do    func(t *testing.T, s *config.Store)
		now   []string
		later []string
	}{
		{"nothing", func(*testing.T, *config.Store) {}, []string{"first", "first", "first"}, []string{"first", "first", "first"}},
		{"set", func(t *testing.T, s *config.Store) { set(t, s, "b") }, []string{"b", "b", "b"}, []string{"b", "b", "b"}},
		{"staged", func(t *testing.T, s *config.Store) { stage(t, s, "b") }, []string{"first", "b", "b"}, []string{"first", "b", "b"}},
		{"tried", func(t *testing.T, s *config.Store) { try(t, s, "b") }, []string{"b", "first", "first"}, []string{"first", "first", "first"}},
		{
			"tried twice", func(t *testing.T, s *config.Store) { try(t, s, "b"); try(t, s, "c") },
			[]string{"c", "first", "first"}, []string{"first", "first", "first"},
		},
		{
			"tried and then set", func(t *testing.T, s *config.Store) { try(t, s, "b"); set(t, s, "c") },
			[]string{"c", "c", "c"}, []string{"c", "c", "c"},
		},
		{
			"staged and then tried", func(t *testing.T, s *config.Store) { stage(t, s, "b"); try(t, s, "c") },
			[]string{"c", "b", "b"}, []string{"first", "b", "b"},
		},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, path := open(t)
				stop := background(t, store)

				test.do(t, store)

				if diff := cmp.Diff(test.now, names(t, store, path)); diff != "" {
					t.Errorf("at once, current, kept and booted: %s", diff)
				}

				time.Sleep(2 * time.Minute)

				if diff := cmp.Diff(test.later, names(t, store, path)); diff != "" {
					t.Errorf("later, current, kept and booted: %s", diff)
				}

				stop()
			})
		})
	}
}

// background runs the store until stop is called.
func background(t *testing.T, store *config.Store) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)

	go func() { done <- store.Run(ctx, slog.New(slog.DiscardHandler)) }()

	return func() {
		cancel()

		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestEveryChangeIsAnnounced(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, s *config.Store){
		"set": func(t *testing.T, s *config.Store) {
			if err := s.Set(named(t, "b")); err != nil {
				t.Error(err)
			}
		},
		"staged": func(t *testing.T, s *config.Store) {
			if err := s.Stage(named(t, "b")); err != nil {
				t.Error(err)
			}
		},
		"tried":                    func(t *testing.T, s *config.Store) { s.Try(named(t, "b"), time.Hour) },
		"the end of what is tried": func(*testing.T, *config.Store) { time.Sleep(2 * time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, _ := open(t)
				stop := background(t, store)

				store.Try(named(t, "a"), time.Minute)

				changed := store.Changed()

				change(t, store)

				select {
				case <-changed:
				default:
					t.Error("nobody was told")
				}

				stop()
			})
		})
	}
}

func TestConfigThatCannotBeKeptIsNotTaken(t *testing.T) {
	store, path := open(t)

	// A directory in the place of the file is what a rename cannot replace, for root either.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}

	if err := os.MkdirAll(filepath.Join(path, "full"), 0o700); err != nil {
		t.Fatal(err)
	}

	if err := store.Set(named(t, "b")); err == nil {
		t.Error("taken")
	}

	if got := store.Current().Cluster().Endpoint().Hostname(); got != "first" {
		t.Errorf("the node follows %s", got)
	}
}
