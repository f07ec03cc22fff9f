package kubernetes

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"github.com/bronze-os/bronze/images/machined/internal/kubeapi"
)

const (
	leasesPath    = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/"
	endpointsPath = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"
)

// ReleaseLeases gives up the leases that the controller manager and the scheduler of the node's last run still hold, so
// that those of this run need not wait out the 15 s of a dead leader. It is for a node whose components cannot have
// started yet: they hold leases under the node's name too.
func ReleaseLeases(ctx context.Context, api *kubeapi.Client, node string) error {
	for _, component := range []string{componentControllerManager, componentScheduler} {
		if err := releaseLease(ctx, api, leasesPath+component, node); err != nil {
			return fmt.Errorf("releasing the lease of %s: %w", component, err)
		}
	}

	return nil
}

func releaseLease(ctx context.Context, api *kubeapi.Client, path, node string) error {
	var lease kubeapi.Object

	err := api.Object(ctx, path, &lease)
	if kubeapi.IsStatus(err, http.StatusNotFound) {
		return nil
	}

	// Leaders call themselves by the host's name, an underscore and a UUID.
	if err != nil || !strings.HasPrefix(lease.Text("spec", "holderIdentity"), node+"_") {
		return err
	}

	lease.Set("", "spec", "holderIdentity")

	// The object's version goes along: whoever took the lease meanwhile keeps it.
	err = api.Do(ctx, kubeapi.Request{Method: http.MethodPut, Path: path, Body: lease}, nil)
	if kubeapi.IsStatus(err, http.StatusConflict) {
		return nil
	}

	return err
}

// APIServers are the addresses of the cluster's API servers, as they publish them themselves.
func APIServers(ctx context.Context, api *kubeapi.Client) ([]netip.Addr, error) {
	var slice kubeapi.Object
	if err := api.Object(ctx, endpointsPath, &slice); err != nil {
		return nil, fmt.Errorf("listing the API servers: %w", err)
	}

	var addresses []netip.Addr

	for _, endpoint := range slice.List("endpoints") {
		for _, text := range endpoint.Strings("addresses") {
			if address, err := netip.ParseAddr(text); err == nil {
				addresses = append(addresses, address)
			}
		}
	}

	return addresses, nil
}
