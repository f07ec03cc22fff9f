package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestWrongCallsAreRefused(t *testing.T) {
	for _, line := range []string{
		"", "sleep", "pause now", "serve 8080", "serve --port 70000", "serve --port x", "resolve", "fetch", "write file", "read",
	} {
		t.Run(line, func(t *testing.T) {
			var stdout, stderr bytes.Buffer

			code := run(t.Context(), strings.Fields(line), &stdout, &stderr)
			if code != 2 || stderr.String() != usage || stdout.Len() > 0 {
				t.Errorf("code %d, stdout %q, stderr %q", code, stdout.String(), stderr.String())
			}
		})
	}
}

func TestWriteAndReadAFile(t *testing.T) {
	var stdout, stderr bytes.Buffer

	path := filepath.Join(t.TempDir(), "file")
	for _, arguments := range [][]string{{"write", path, "some text"}, {"read", path}} {
		if code := run(t.Context(), arguments, &stdout, &stderr); code != 0 {
			t.Fatalf("%v: code %d, %s", arguments, code, stderr.String())
		}
	}

	if got := stdout.String(); got != "some text\n" {
		t.Errorf("read %q", got)
	}
}

func TestServeAnswersFetchUntilItIsStopped(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)

	go func() { ended <- serveOn(ctx, listener, handler("")) }()

	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}

	for path, want := range map[string]string{"/healthz": "ok\n", "/": name + " 127.0.0.1:"} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), []string{"fetch", "http://" + listener.Addr().String() + path}, &stdout, &stderr); code != 0 {
			t.Errorf("fetching %s: code %d, %s", path, code, stderr.String())
		}

		if !strings.HasPrefix(stdout.String(), want) {
			t.Errorf("%s answers %q, want %q", path, stdout.String(), want)
		}
	}

	stop()

	if err := <-ended; err != nil {
		t.Errorf("stopping: %v", err)
	}
}

func TestServeEndsWhereItCannotServe(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}

	if err := serveOn(t.Context(), listener, handler("")); err == nil {
		t.Error("served on a closed listener")
	}
}

func TestFetchTellsAnErrorStatus(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	server := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: requestTimeout}
	ended := make(chan error, 1)

	go func() { ended <- server.Serve(listener) }()

	var stdout, stderr bytes.Buffer

	code := run(t.Context(), []string{"fetch", "http://" + listener.Addr().String()}, &stdout, &stderr)
	if code != 1 || !strings.Contains(stderr.String(), "404") {
		t.Errorf("code %d, stderr %q; want 1 and the status", code, stderr.String())
	}

	if err := server.Close(); err != nil {
		t.Error(err)
	}

	<-ended
}

func TestPauseIsCalledByItsName(t *testing.T) {
	tests := map[string]struct{ given, want []string }{
		"by name":   {[]string{"/pause"}, []string{"pause"}},
		"by verb":   {[]string{"/usr/bin/probe", "pause"}, []string{"pause"}},
		"otherwise": {[]string{"probe", "read", "file"}, []string{"read", "file"}},
	}

	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := arguments(test.given); !slices.Equal(got, test.want) {
				t.Errorf("arguments are %v, want %v", got, test.want)
			}
		})
	}
}

func TestPauseReapsUntilItIsStopped(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}

	child, err := os.StartProcess(program, []string{program, "-test.run=^$"}, &os.ProcAttr{})
	if err != nil {
		t.Fatal(err)
	}

	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)

	go func() { ended <- pause(ctx, io.Discard) }()

	// A child that nobody waits for stays as a zombie, which can still be signalled; then the test ends by time-out.
	for !errors.Is(syscall.Kill(child.Pid, 0), syscall.ESRCH) {
		runtime.Gosched()
	}

	stop()

	if err := <-ended; err != nil {
		t.Errorf("stopping: %v", err)
	}
}
