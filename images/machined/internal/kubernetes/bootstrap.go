package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/bronze-os/bronze/images/machined/internal/kubeapi"
	"github.com/bronze-os/bronze/images/machined/internal/reaper"
)

const (
	// applyWorkers is how many objects are created at once: enough to hide the round trips on two cores.
	applyWorkers = 8

	applyPauseMin = 25 * time.Millisecond
	applyPauseMax = 2 * time.Second
)

// Policy answers the roles that Kubernetes itself needs, from the program that holds them.
func Policy(ctx context.Context, r *reaper.Reaper) ([]kubeapi.Object, error) {
	text, err := r.Run(ctx, programFile, "bootstrap-policy")
	if err != nil {
		return nil, fmt.Errorf("listing the bootstrap policy: %w", err)
	}

	var objects []kubeapi.Object
	if err := json.Unmarshal([]byte(text), &objects); err != nil {
		return nil, fmt.Errorf("cannot read the bootstrap policy: %w", err)
	}

	return objects, nil
}

// SplitPolicy tells the roles that somebody waits for from those of the controller manager's controllers, two thirds of
// all, which start only after the API server has seen to its roles itself.
func SplitPolicy(policy []kubeapi.Object) (early, late []kubeapi.Object) {
	for _, object := range policy {
		if strings.HasPrefix(object.Name(), "system:controller:") {
			late = append(late, object)
		} else {
			early = append(early, object)
		}
	}

	return early, late
}

// Fill creates every object, those that exist already left as they are, since a user may have changed them. It tries
// until ctx ends: a namespace, a kind or a service address may need a moment before the API takes what depends on it.
func Fill(ctx context.Context, api *kubeapi.Client, objects []kubeapi.Object, log *slog.Logger) error {
	return each(ctx, objects, log, func(ctx context.Context, object kubeapi.Object) error { return create(ctx, api, object) })
}

// each does what is to be done with every object, several at once, and each until it has been done or ctx ends.
func each(ctx context.Context, objects []kubeapi.Object, log *slog.Logger, do func(context.Context, kubeapi.Object) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(applyWorkers)

	for _, object := range objects {
		group.Go(func() error { return insist(ctx, object, log, do) })
	}

	return group.Wait()
}

func create(ctx context.Context, api *kubeapi.Client, object kubeapi.Object) error {
	err := api.Create(ctx, object)
	if err == nil || isThere(ctx, api, object, err) {
		return nil
	}

	return err
}

func insist(ctx context.Context, object kubeapi.Object, log *slog.Logger, do func(context.Context, kubeapi.Object) error) error {
	for pause := applyPauseMin; ; pause = min(2*pause, applyPauseMax) {
		err := do(ctx, object)
		if err == nil {
			return nil
		}

		if pause == applyPauseMax {
			log.Warn("the Kubernetes API does not take an object yet", "kind", object.Kind(), "name", object.Name(), "error", err)
		}

		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// isThere tells whether an object could not be created because it exists. Mostly the API says so; of a Service that
// exists it says that its address is taken, which may as well be another's, for a moment or for good.
func isThere(ctx context.Context, api *kubeapi.Client, object kubeapi.Object, refusal error) bool {
	if kubeapi.IsStatus(refusal, http.StatusUnprocessableEntity) {
		return api.Exists(ctx, object) == nil
	}

	return kubeapi.IsStatus(refusal, http.StatusConflict)
}
