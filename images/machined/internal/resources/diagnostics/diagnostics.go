// Package diagnostics tells of what is wrong with a node although each of its parts works: Talos's Diagnostic resources, with
// its checks, IDs and words (https://www.talos.dev/latest/talos-guides/network/diagnostics). It judges what others publish and
// asks the kubelet's port.
package diagnostics

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"
	"github.com/siderolabs/talos/pkg/machinery/resources/network"
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"
	"github.com/siderolabs/talos/pkg/machinery/resources/v1alpha1"

	"github.com/bronze-os/bronze/images/machined/internal/resources/publish"
)

const (
	// pause lies between two looks.
	pause = 30 * time.Second
	// patience is how long something must be wrong before it is told, as in Talos: a node that boots passes through much.
	patience = 30 * time.Second
	// dialLimit bounds the question to the kubelet.
	dialLimit = 5 * time.Second
)

// Options tell what is looked at.
type Options struct {
	State state.State
	// Kubelet is the address of the kubelet's port.
	Kubelet string
}

// check answers what is wrong, or nil.
type check struct {
	id    string
	wrong func(ctx context.Context, opts Options) (*runtime.DiagnosticSpec, error)
}

func checks() []check {
	return []check{{"address-overlap", addressOverlap}, {"kubelet-csr", kubeletCertificate}}
}

// Run looks from time to time, and blocks until ctx ends.
func Run(ctx context.Context, opts Options) error {
	ticker := time.NewTicker(pause)
	defer ticker.Stop()

	since := map[string]time.Time{}

	for {
		set, err := look(ctx, opts, since, time.Now())
		if ctx.Err() != nil {
			return nil
		}

		if err != nil {
			return err
		}

		if err := set.Write(ctx, opts.State); err != nil && ctx.Err() == nil {
			return err
		}

		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// look makes the resources of this moment. since remembers when each check first failed.
func look(ctx context.Context, opts Options, since map[string]time.Time, now time.Time) (*publish.Set, error) {
	var set publish.Set
	set.Kind(&runtime.Diagnostic{})

	for _, check := range checks() {
		found, err := check.wrong(ctx, opts)
		if err != nil {
			return nil, fmt.Errorf("checking %s: %w", check.id, err)
		}

		if found == nil {
			delete(since, check.id)
			continue
		}

		if _, known := since[check.id]; !known {
			since[check.id] = now
		}

		if now.Sub(since[check.id]) < patience {
			continue
		}

		diagnostic := runtime.NewDiagnostic(runtime.NamespaceName, check.id)
		*diagnostic.TypedSpec() = *found
		set.Add(diagnostic)
	}

	return &set, nil
}

// addressOverlap finds a node all of whose addresses lie in the networks of pods and services: nothing can be sent to it.
func addressOverlap(ctx context.Context, opts Options) (*runtime.DiagnosticSpec, error) {
	all, err := addresses(ctx, opts.State, network.NodeAddressRoutedID)
	if err != nil || len(all) == 0 {
		return nil, err
	}

	free, err := addresses(ctx, opts.State, network.FilteredNodeAddressID(network.NodeAddressRoutedID, k8s.NodeAddressFilterNoK8s))
	if err != nil || len(free) > 0 {
		return nil, err
	}

	filter, err := safe.StateGetByID[*network.NodeAddressFilter](ctx, opts.State, k8s.NodeAddressFilterNoK8s)
	if err != nil {
		return nil, unlessMissing(err)
	}

	return &runtime.DiagnosticSpec{
		Message: "host and Kubernetes pod/service CIDR addresses overlap",
		Details: []string{
			fmt.Sprintf("host routed addresses: %q", all),
			fmt.Sprintf("Kubernetes pod and service CIDRs: %q", filter.TypedSpec().ExcludeSubnets),
		},
	}, nil
}

func addresses(ctx context.Context, st state.State, id string) ([]netip.Prefix, error) {
	list, err := safe.StateGetByID[*network.NodeAddress](ctx, st, id)
	if err != nil {
		return nil, unlessMissing(err)
	}

	return list.TypedSpec().Addresses, nil
}

func unlessMissing(err error) error {
	if state.IsNotFoundError(err) {
		return nil
	}

	return err
}

// kubeletCertificate finds a kubelet that works but cannot serve: it asked for a certificate, and nobody approved that.
func kubeletCertificate(ctx context.Context, opts Options) (*runtime.DiagnosticSpec, error) {
	kubelet, err := safe.StateGetByID[*v1alpha1.Service](ctx, opts.State, "kubelet")
	if err != nil {
		return nil, unlessMissing(err)
	}

	if !kubelet.TypedSpec().Running || !kubelet.TypedSpec().Healthy {
		return nil, nil
	}

	dialer := tls.Dialer{
		NetDialer: &net.Dialer{Timeout: dialLimit},
		// Who answers does not matter, only whether anybody has a certificate.
		Config: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12},
	}

	conn, err := dialer.DialContext(ctx, "tcp", opts.Kubelet)
	if err == nil {
		return nil, conn.Close()
	}

	if !isInternalError(err) {
		return nil, nil
	}

	return &runtime.DiagnosticSpec{
		Message: "kubelet server certificate rotation is enabled, but CSR is not approved",
		Details: []string{
			"kubelet API error: " + err.Error(),
			"see the pending requests with: kubectl get certificatesigningrequests",
		},
	}, nil
}

// isInternalError tells the alert that a server sends which has no certificate (RFC 8446, section 6: internal_error, 80).
func isInternalError(err error) bool {
	var remote *net.OpError

	return errors.As(err, &remote) && remote.Op == "remote error" && remote.Err.Error() == tls.AlertError(80).Error()
}
