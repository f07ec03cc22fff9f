package main

import (
	"context"
	"net/http"
	"time"

	"github.com/coredns/coredns/coremain"
)

const (
	// readyURL is what CoreDNS's ready plugin serves; readyAddress is where the patient answer to the same question is.
	readyURL     = "http://127.0.0.1:8181/ready"
	readyAddress = ":8182"

	// readyPatience is how long a question waits for a yes. The pod's probe gives it a second more.
	readyPatience = 4 * time.Second
	readyPause    = 20 * time.Millisecond
)

// runCoreDNS runs CoreDNS with a readiness endpoint that waits for a yes. The kubelet asks once a second at most, and
// an early no would cost a whole one of the few that a cluster takes to start.
func runCoreDNS() int {
	server := &http.Server{Addr: readyAddress, Handler: http.HandlerFunc(answerReady), ReadHeaderTimeout: time.Second}

	// CoreDNS ends the process itself, and the server with it. Should the port be taken, the probe fails and says so.
	go func() { report("coredns: readiness", server.ListenAndServe()) }()

	coremain.Run()

	return 0
}

func answerReady(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyPatience)
	defer cancel()

	for !isReady(ctx) {
		select {
		case <-time.After(readyPause):
		case <-ctx.Done():
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
	}
}

func isReady(ctx context.Context) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, readyURL, nil)
	if err != nil {
		return false
	}

	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()

	return response.StatusCode == http.StatusOK
}
