package main

import (
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/bronze-os/bronze/images/node"
	"github.com/bronze-os/bronze/providers/providertest"
	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/contexts"
)

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write what the commands print into the golden files")
	testscript.Main(m, map[string]func(){"bronze-process": main})
}

func updating() bool {
	return flag.Lookup("update").Value.String() == "true"
}

// TestProcess runs the command as a process, on a host whose engine does not answer.
func TestProcess(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/process",
		UpdateScripts:       updating(),
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("DOCKER_HOST", "unix://"+filepath.Join(env.WorkDir, "no.sock"))
			return nil
		},
	})
}

// engineKey is where a script keeps its engine.
type engineKey struct{}

// TestFlows runs whole lives of clusters on an engine in memory.
func TestFlows(t *testing.T) {
	manifest, err := node.Load()
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/flow",
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			engine := providertest.NewMemory(manifest.Reference())
			engine.AddImage("bronze.local/node:next", false)
			engine.AddImage("bronze.local/node:broken", true)
			env.Values[engineKey{}] = engine
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"bronze": bronzeInMemory, "hand": byHand},
	})
}

func bronzeInMemory(ts *testscript.TestScript, negated bool, args []string) {
	engine := ts.Value(engineKey{}).(*providertest.Memory)
	code := run(append([]string{"--state-dir", ts.MkAbs("state")}, args...), &app{
		stdout:    ts.Stdout(),
		stderr:    ts.Stderr(),
		open:      func(string, string) (provision.Provider, error) { return engine, nil },
		connector: providertest.APIs{Engine: engine},
		changer:   providertest.Reconciling{Engine: engine},
		environ: contexts.Environ{
			Kubeconfig: ts.Getenv("KUBECONFIG"), Talosconfig: ts.Getenv("TALOSCONFIG"), Home: ts.Getenv("HOME"),
		},
	})
	if (code != exitOK) != negated {
		ts.Fatalf("bronze ended with code %d", code)
	}
}

// byHand does to the engine what other hands than Bronze's do.
func byHand(ts *testscript.TestScript, _ bool, args []string) {
	engine := ts.Value(engineKey{}).(*providertest.Memory)
	acts := map[string]struct {
		args int
		do   func(args []string)
	}{
		"vanish":         {1, func(args []string) { engine.Vanish(args[0], false) }},
		"vanish-volumes": {1, func(args []string) { engine.Vanish(args[0], true) }},
		"stop":           {1, func(args []string) { engine.Stop(args[0]) }},
		"rename":         {2, func(args []string) { engine.Rename(args[0], args[1]) }},
		"run": {2, func(args []string) {
			engine.RunByHand(args[0], args[1], provision.Worker, engine.Config(provision.NodeName(args[0], provision.Worker, 1)))
		}},
		"lapse": {1, func(args []string) {
			length, err := time.ParseDuration(args[0])
			ts.Check(err)
			engine.Lapse(length)
		}},
		"silence": {1, func(args []string) { engine.Silence(args[0] == "on") }},
	}
	act, known := acts[args[0]]
	if !known || len(args) != act.args+1 {
		ts.Fatalf("usage: hand ACT ARGUMENTS")
	}
	act.do(args[1:])
}

func TestExitCodes(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("DOCKER_HOST", "unix:///no/such.sock")
	cases := map[string]struct {
		args []string
		want int
	}{
		"an answer":           {[]string{"version"}, exitOK},
		"help":                {nil, exitOK},
		"unknown command":     {[]string{"nonsense"}, exitUsage},
		"unknown subcommand":  {[]string{"cluster", "nonsense"}, exitUsage},
		"unknown flag":        {[]string{"version", "--nonsense"}, exitUsage},
		"too many arguments":  {[]string{"cluster", "create", "a", "b"}, exitUsage},
		"unreadable port":     {[]string{"cluster", "create", "-p", "http"}, exitUsage},
		"engine out of reach": {[]string{"cluster", "list"}, exitFailed},
		"unknown provider":    {[]string{"cluster", "list", "--provider", "magic"}, exitFailed},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			if got := run(test.args, hostApp(io.Discard, io.Discard)); got != test.want {
				t.Errorf("ended with %d, want %d", got, test.want)
			}
		})
	}
}

// golden compares with a file of the repository, or writes it.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if updating() {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("%s is out of date: run go test ./cmd/bronze -update", path)
	}
}
