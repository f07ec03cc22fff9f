package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
)

const (
	requestTimeout  = 10 * time.Second
	shutdownTimeout = 5 * time.Second
)

func parseServe(operands []string) (action, bool) {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	port := flags.Uint("port", 8080, "TCP port")
	dir := flags.String("dir", "", "directory whose files are served")

	if err := flags.Parse(operands); err != nil || flags.NArg() > 0 || *port > 65535 {
		return nil, false
	}

	return serve(net.JoinHostPort("", strconv.FormatUint(uint64(*port), 10)), handler(*dir)), true
}

// serve answers requests at the address until ctx ends.
func serve(address string, handler http.Handler) action {
	return func(ctx context.Context, stdout io.Writer) error {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		if err != nil {
			return err
		}

		fmt.Fprintf(stdout, "serving on %s\n", listener.Addr())

		return serveOn(ctx, listener, handler)
	}
}

func serveOn(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: requestTimeout}
	served := make(chan error, 1)

	go func() { served <- server.Serve(listener) }()

	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}

	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()

	err := server.Shutdown(grace)
	<-served

	return err
}

// handler answers every request with this host's name and the caller's address. Where dir is not empty, its files are
// read and written below /files/.
func handler(dir string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("/", func(w http.ResponseWriter, request *http.Request) {
		name, err := os.Hostname()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)

			return
		}

		fmt.Fprintf(w, "%s %s\n", name, request.RemoteAddr)
	})

	if dir != "" {
		mux.Handle("/files/{name}", files{dir})
	}

	return mux
}

// resolve prints the addresses of a name, one a line.
func resolve(name string) action {
	return func(ctx context.Context, stdout io.Writer) error {
		addresses, err := net.DefaultResolver.LookupHost(ctx, name)
		for _, address := range addresses {
			fmt.Fprintln(stdout, address)
		}

		return err
	}
}

// fetch prints the body of a URL; a status other than 2xx is an error.
func fetch(url string) action {
	return func(ctx context.Context, stdout io.Writer) error {
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()

		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return err
		}

		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()

		if _, err := io.Copy(stdout, response.Body); err != nil {
			return fmt.Errorf("cannot read %s: %w", url, err)
		}

		if response.StatusCode/100 != 2 {
			return fmt.Errorf("%s answers %s", url, response.Status)
		}

		return nil
	}
}

func write(path, text string) action {
	return func(context.Context, io.Writer) error {
		return os.WriteFile(path, []byte(text+"\n"), 0o644)
	}
}

func read(path string) action {
	return func(_ context.Context, stdout io.Writer) error {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()

		_, err = io.Copy(stdout, file)

		return err
	}
}
