package kubernetes

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/constants"
	"golang.org/x/sync/errgroup"

	"github.com/bronze-os/bronze/images/machined/internal/kubeapi"
)

const (
	// manifestLimit is the size in bytes that a manifest from elsewhere may have.
	manifestLimit = 16 << 20
	// downloadLimit bounds one attempt to fetch a manifest, downloadPause lies between two.
	downloadLimit = 30 * time.Second
	downloadPause = 5 * time.Second
)

// ManifestURLs are the manifests that the machine config names by address: those of a custom CNI, of an external cloud
// provider, and any extra ones.
func (n Node) ManifestURLs() []string {
	cluster := n.Config.Cluster()

	var urls []string

	if cluster.Network().CNI().Name() == constants.CustomCNI {
		urls = append(urls, cluster.Network().CNI().URLs()...)
	}

	if cluster.ExternalCloudProvider().Enabled() {
		urls = append(urls, cluster.ExternalCloudProvider().ManifestURLs()...)
	}

	return append(urls, cluster.ExtraManifestURLs()...)
}

// FillFrom creates what the manifests at urls hold, each as soon as it can be fetched. It tries until ctx ends.
func FillFrom(ctx context.Context, api *kubeapi.Client, urls []string, headers map[string]string, log *slog.Logger) error {
	group, ctx := errgroup.WithContext(ctx)

	for _, url := range urls {
		group.Go(func() error {
			objects, err := fetch(ctx, url, headers, log)
			if err != nil {
				return err
			}

			return Fill(ctx, api, objects, log)
		})
	}

	return group.Wait()
}

func fetch(ctx context.Context, url string, headers map[string]string, log *slog.Logger) ([]kubeapi.Object, error) {
	for {
		objects, err := download(ctx, url, headers)
		if err == nil {
			return objects, nil
		}

		log.Warn("cannot fetch a manifest yet", "url", url, "error", err)

		select {
		case <-time.After(downloadPause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func download(ctx context.Context, url string, headers map[string]string) ([]kubeapi.Object, error) {
	ctx, cancel := context.WithTimeout(ctx, downloadLimit)
	defer cancel()

	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}

	for name, value := range headers {
		request.Header.Set(name, value)
	}

	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()

	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answers %s", response.Status)
	}

	text, err := io.ReadAll(io.LimitReader(response.Body, manifestLimit+1))
	if err != nil {
		return nil, fmt.Errorf("reading the manifest: %w", err)
	}

	if len(text) > manifestLimit {
		return nil, fmt.Errorf("cannot take a manifest of more than %d bytes", manifestLimit)
	}

	return parse(string(text))
}
