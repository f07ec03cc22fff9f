package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/bronze-os/bronze/images/balance"
)

// idleLimit is how long a connection to an API server is kept for the next look.
const idleLimit = 10 * time.Second

// anyCertificate believes every certificate: the balancer only asks whether somebody is there, and its clients verify
// for themselves whom they reach.
func anyCertificate() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true}
}

// ready is fit where the API server calls itself ready, which it is not while it has no etcd. Any other answer makes it
// weak: a first API server that still starts is better than none, and one that lets nobody ask unnamed cannot be told
// from a ready one.
func ready() balance.Fit {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: anyCertificate(), IdleConnTimeout: idleLimit}}

	return func(ctx context.Context, upstream string) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+upstream+"/readyz", nil)
		if err != nil {
			return fmt.Errorf("cannot ask: %w", err)
		}

		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()

		if _, err := io.Copy(io.Discard, io.LimitReader(response.Body, 1<<16)); err != nil {
			return err
		}

		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%w: %s", balance.ErrWeak, response.Status)
		}

		return nil
	}
}

// shakesHands is fit where a TLS server answers. That a port takes connections proves less: the kernel accepts them for
// a node that is paused too.
func shakesHands(ctx context.Context, upstream string) error {
	dialer := tls.Dialer{Config: anyCertificate()}

	conn, err := dialer.DialContext(ctx, "tcp", upstream)
	if err != nil {
		return err
	}

	return conn.Close()
}

// accepts is fit where the port takes connections.
func accepts(ctx context.Context, upstream string) error {
	var dialer net.Dialer

	conn, err := dialer.DialContext(ctx, "tcp", upstream)
	if err != nil {
		return err
	}

	return conn.Close()
}
