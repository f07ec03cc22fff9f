package main

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/bronze-os/bronze/images/balance"
)

func TestAnAPIServerIsFitWhenItIsReady(t *testing.T) {
	for name, test := range map[string]struct {
		status    int
		fit, weak bool
	}{
		"ready":           {http.StatusOK, true, false},
		"without etcd":    {http.StatusInternalServerError, false, true},
		"closed to asker": {http.StatusUnauthorized, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/readyz" {
					t.Errorf("asked for %s", r.URL.Path)
				}

				w.WriteHeader(test.status)
			}))
			defer server.Close()

			err := ready()(t.Context(), server.Listener.Addr().String())
			if (err == nil) != test.fit || errors.Is(err, balance.ErrWeak) != test.weak {
				t.Errorf("fit: %v", err)
			}
		})
	}
}

func TestADeadUpstreamIsNotFit(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	listener.Close()

	for _, fit := range []balance.Fit{ready(), shakesHands, accepts} {
		if err := fit(t.Context(), listener.Addr().String()); err == nil || errors.Is(err, balance.ErrWeak) {
			t.Errorf("fit: %v", err)
		}
	}
}

func TestAServerOfTLSIsFitForTheMachineAPI(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()

	if err := shakesHands(t.Context(), server.Listener.Addr().String()); err != nil {
		t.Error(err)
	}
}

func TestUsageIsToldWhereTheCommandIsNotUnderstood(t *testing.T) {
	for _, args := range [][]string{nil, {"dance"}} {
		if err := run(args); err == nil || !strings.Contains(err.Error(), "usage:") {
			t.Errorf("run(%q) = %v", args, err)
		}
	}
}
