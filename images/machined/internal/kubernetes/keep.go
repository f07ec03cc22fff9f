package kubernetes

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"

	"golang.org/x/sync/errgroup"

	"github.com/bronze-os/bronze/images/machined/internal/kubeapi"
)

// renderedAnnotation tells of an object of ours what it was rendered as. While that is so, what users have changed of it
// stays; when the machine config makes it another, it is applied anew.
const renderedAnnotation = "bronze-os.github.io/rendered"

// Manifests are what the machine config wants to be in the cluster.
type Manifests struct {
	// Own are this node's renderings, which follow the machine config.
	Own []kubeapi.Object
	// Base and Others are created where they are missing, and left alone from then on.
	Base, Others []kubeapi.Object
	// URLs are where more of the others are, asked for with Headers.
	URLs    []string
	Headers map[string]string
}

// Manifests answers them for the machine config as it is.
func (n Node) Manifests() (Manifests, error) {
	base, err := n.Base()
	if err != nil {
		return Manifests{}, err
	}

	own, err := n.AddOns()
	if err != nil {
		return Manifests{}, err
	}

	inline, err := n.Inline()
	if err != nil {
		return Manifests{}, err
	}

	return Manifests{
		Own:     own,
		Base:    base,
		Others:  inline,
		URLs:    n.ManifestURLs(),
		Headers: n.Config.Cluster().ExtraManifestHeaderMap(),
	}, nil
}

// Digest differs whenever the manifests do.
func (m Manifests) Digest() (string, error) { return digest(m) }

// Fill brings all of them to the cluster. It tries until ctx ends.
func (m Manifests) Fill(ctx context.Context, api *kubeapi.Client, log *slog.Logger) error {
	group, ctx := errgroup.WithContext(ctx)

	group.Go(func() error { return keep(ctx, api, m.Own, log) })
	group.Go(func() error { return Fill(ctx, api, append(m.Base, m.Others...), log) })
	group.Go(func() error { return FillFrom(ctx, api, m.URLs, m.Headers, log) })

	return group.Wait()
}

// keep creates objects of ours, and applies those anew that are there but were rendered otherwise.
func keep(ctx context.Context, api *kubeapi.Client, objects []kubeapi.Object, log *slog.Logger) error {
	return each(ctx, objects, log, func(ctx context.Context, object kubeapi.Object) error {
		if err := note(object); err != nil {
			return err
		}

		err := api.Create(ctx, object)
		if err == nil || !isThere(ctx, api, object, err) {
			return err
		}

		found, err := api.Find(ctx, object)
		if err != nil || rendered(found) == rendered(object) {
			return err
		}

		log.Info("an object of the cluster follows the machine config", "kind", object.Kind(), "name", object.Name())

		return api.Apply(ctx, object)
	})
}

func rendered(object kubeapi.Object) string {
	return object.Text("metadata", "annotations", renderedAnnotation)
}

// note writes into the object what it is rendered as.
func note(object kubeapi.Object) error {
	object.Set("", "metadata", "annotations", renderedAnnotation)

	text, err := digest(object)
	if err != nil {
		return err
	}

	object.Set(text, "metadata", "annotations", renderedAnnotation)

	return nil
}

func digest(value any) (string, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("cannot encode a manifest: %w", err)
	}

	sum := sha256.Sum256(text)

	return hex.EncodeToString(sum[:8]), nil
}
