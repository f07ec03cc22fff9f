package docker

import (
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/bronze-os/bronze/provision"
)

// BenchmarkTwoNodes times what the engine does for a control plane and a worker, from nothing and back.
func BenchmarkTwoNodes(b *testing.B) {
	provider := realEngine(b)
	makeImage(b, provider.engine)
	request := provision.DefaultRequest()
	request.Name, request.Image, request.KubernetesVersion = prefix(), testImage(), "v1.37.2"
	request.Subnet = freeSubnet(b, provider)
	cluster, err := provision.Expand(request, provision.Site{})
	if err != nil {
		b.Fatal(err)
	}
	var network, nodes, removal time.Duration
	for b.Loop() {
		began := time.Now()
		if err := provider.CreateNetwork(b.Context(), cluster); err != nil {
			b.Fatal(err)
		}
		made := time.Now()
		createNodes(b, provider, cluster)
		created := time.Now()
		removeCluster(b, provider, cluster.Name)
		network += made.Sub(began)
		nodes += created.Sub(made)
		removal += time.Since(created)
	}
	report := func(total time.Duration, unit string) { b.ReportMetric(total.Seconds()/float64(b.N), unit) }
	report(network, "s/network")
	report(nodes, "s/nodes")
	report(removal, "s/removal")
}

func createNodes(b *testing.B, provider *Provider, cluster provision.Cluster) {
	group, ctx := errgroup.WithContext(b.Context())
	for _, node := range cluster.Nodes {
		group.Go(func() error { return provider.CreateNode(ctx, cluster, node, nil) })
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
}

func removeCluster(b *testing.B, provider *Provider, name string) {
	observed, err := provider.Observe(b.Context(), name)
	if err == nil {
		err = provider.Remove(b.Context(), observed)
	}
	if err != nil {
		b.Fatal(err)
	}
}
