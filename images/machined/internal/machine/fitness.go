package machine

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/bronze-os/bronze/images/balance"
	"github.com/bronze-os/bronze/images/machined/internal/kubeapi"
)

// readyPath is where an API server says whether it can do its work, which it cannot without etcd.
const readyPath = "/readyz"

// weakLimit is for how many looks in a row a server that answers without being ready keeps its connections: long enough
// for etcd to elect another leader, short enough to get away from a server that has lost its etcd.
const weakLimit = 5

// judge decides which API servers a control plane may use. Of its own it asks little while that boots, and more once it
// was ready: one that has lost its etcd pings still, and the others are better then.
type judge struct {
	// own is the API server on this node.
	own string
	// first is what the own API server must pass from the start, ready what every other must.
	first, ready balance.Fit
	// gate, where it is not nil, must be closed before clients may use the own API server; until then the answer is waits.
	gate  <-chan struct{}
	waits error

	passed   atomic.Bool
	wasReady atomic.Bool
	weak     atomic.Int32
}

// fit is a balance.Fit.
func (j *judge) fit(ctx context.Context, upstream string) error {
	if upstream != j.own {
		return j.other(ctx, upstream)
	}

	if j.gate != nil {
		select {
		case <-j.gate:
		default:
			return j.waits
		}
	}

	if err := j.first(ctx, upstream); err != nil {
		j.wasReady.Store(false)

		return err
	}

	j.passed.Store(true)

	err := j.ready(ctx, upstream)

	switch {
	case err == nil:
		j.wasReady.Store(true)
		j.weak.Store(0)
	case !j.wasReady.Load():
		return nil
	case j.weak.Add(1) <= weakLimit:
		return weakened(err)
	}

	return err
}

// other judges an API server that is not the node's own. Behind a gate one that answers without being ready is no use until
// the own has passed: at the cluster's endpoint that may be the own, and a controller manager that gets to it before it is
// healthy looks again only after a second.
func (j *judge) other(ctx context.Context, upstream string) error {
	err := j.ready(ctx, upstream)
	if j.gate != nil && !j.passed.Load() {
		return err
	}

	return weakened(err)
}

// weakened marks the refusal of a server that answers.
func weakened(err error) error {
	var refusal *kubeapi.StatusError
	if errors.As(err, &refusal) {
		return fmt.Errorf("%w: %w", balance.ErrWeak, err)
	}

	return err
}

// workerFit is fit where the API would let a new kubelet in, and once that has its identity, where the API is ready.
func (m *Machine) workerFit() (balance.Fit, error) {
	config, err := m.clusterTLS()
	if err != nil {
		return nil, err
	}

	token, err := m.tokenIsGood()
	ready := serves(config, readyPath)

	return func(ctx context.Context, upstream string) error {
		if !m.ownKubelet().HasIdentity() {
			return token(ctx, upstream)
		}

		// A worker shows no certificate. Where strangers may not ask, the refusal tells as much as can be had.
		err := ready(ctx, upstream)
		if kubeapi.IsStatus(err, http.StatusUnauthorized) || kubeapi.IsStatus(err, http.StatusForbidden) {
			return nil
		}

		return weakened(err)
	}, err
}

// serves is fit where the API answers path with 200.
func serves(config *tls.Config, path string) balance.Fit {
	client := kubeapi.New("", config)

	return func(ctx context.Context, upstream string) error {
		return client.At("https://"+upstream).Healthy(ctx, path)
	}
}

// tokenIsGood is fit where the API lets the bootstrap token ask for certificates: the token is there then, and the
// roles are. A kubelet that comes earlier is refused and ends.
func (m *Machine) tokenIsGood() (balance.Fit, error) {
	config, err := m.clusterTLS()
	if err != nil {
		return nil, err
	}

	token := m.Config().Cluster().Token().ID() + "." + m.Config().Cluster().Token().Secret()
	review := map[string]any{
		"apiVersion": "authorization.k8s.io/v1",
		"kind":       "SelfSubjectAccessReview",
		"spec": map[string]any{"resourceAttributes": map[string]any{
			"group": "certificates.k8s.io", "resource": "certificatesigningrequests", "verb": "create",
		}},
	}

	client := kubeapi.New("", config).WithToken(token)

	return func(ctx context.Context, upstream string) error {
		var answer struct{ Status struct{ Allowed bool } }

		err := client.At("https://"+upstream).Do(ctx, kubeapi.Request{
			Method: http.MethodPost, Path: "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", Body: review,
		}, &answer)
		if err == nil && !answer.Status.Allowed {
			err = errors.New("the bootstrap token may not ask for certificates yet")
		}

		return err
	}, nil
}
