package machine

import (
	"context"

	"github.com/bronze-os/bronze/images/machined/internal/kubeapi"
	"github.com/bronze-os/bronze/images/machined/internal/kubernetes"
)

// keepManifests brings what the machine config wants in the cluster there, anew whenever that changes, until ctx ends.
// What is still to be created for the first time comes after it.
func (m *Machine) keepManifests(ctx context.Context, api *kubeapi.Client, first []kubeapi.Object) error {
	var (
		mark  string
		shown kubernetes.Manifests
		done  chan error
	)

	stop := func() {}
	defer func() { stop() }()

	for {
		changed := m.config.Changed()

		switch manifests, next, err := m.manifests(); {
		case err != nil:
			// Nobody but who changes the config can help; what is in the cluster stays.
			m.log.Error("cannot follow the machine config's manifests", "error", err)
		case next != mark:
			stop()

			if err := m.showManifests(ctx, manifests, false); err != nil {
				return err
			}

			shown = manifests

			if mark == "" {
				// The base is there already.
				manifests.Base = nil
			}

			manifests.Others = append(manifests.Others, first...)
			done, stop = m.fillAside(ctx, api, manifests)
			mark = next
		}

		select {
		case err := <-done:
			if err != nil {
				return err
			}

			done, first = nil, nil

			if err := m.showManifests(ctx, shown, true); err != nil {
				return err
			}
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (m *Machine) manifests() (kubernetes.Manifests, string, error) {
	manifests, err := m.kubernetes().Manifests()
	if err != nil {
		return manifests, "", err
	}

	mark, err := manifests.Digest()

	return manifests, mark, err
}

// fillAside fills the cluster until that is done or stop is called, which waits.
func (m *Machine) fillAside(ctx context.Context, api *kubeapi.Client, manifests kubernetes.Manifests) (done chan error, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done, ended := make(chan error, 1), make(chan struct{})

	go func() {
		defer close(ended)
		done <- manifests.Fill(ctx, api, m.log)
	}()

	return done, func() {
		cancel()
		<-ended
	}
}
