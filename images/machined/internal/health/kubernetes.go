package health

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/constants"

	"github.com/bronze-os/bronze/images/machined/internal/kubeapi"
)

// nodesReport wants a Kubernetes node for each node of the cluster, and no other.
func nodesReport(ctx context.Context, c *checked) error {
	nodes, err := c.kubernetesNodes(ctx)
	if err != nil {
		return err
	}

	var strangers []string

	missing := slices.Clone(c.nodes)

	for _, node := range nodes {
		own := internalAddresses(node)
		at := slices.IndexFunc(missing, func(n Node) bool {
			return slices.ContainsFunc(n.Addresses, func(address netip.Addr) bool { return slices.Contains(own, address) })
		})

		if at < 0 {
			strangers = append(strangers, node.Name())
		} else {
			missing = slices.Delete(missing, at, at+1)
		}
	}

	switch {
	case len(missing) > 0:
		return fmt.Errorf("there are no Kubernetes nodes at %q", addressesOf(missing))
	case len(strangers) > 0:
		return fmt.Errorf("the Kubernetes nodes %q are not of the cluster", strangers)
	default:
		return nil
	}
}

func internalAddresses(node kubeapi.Object) []netip.Addr {
	var addresses []netip.Addr

	for _, entry := range node.List("status", "addresses") {
		if address, err := netip.ParseAddr(entry.Text("address")); err == nil && entry.Text("type") == "InternalIP" {
			addresses = append(addresses, address)
		}
	}

	return addresses
}

// componentsReady wants each component ready once for every control plane.
func componentsReady(ctx context.Context, c *checked) error {
	nodes, err := c.kubernetesNodes(ctx)
	if err != nil {
		return err
	}

	marked := slices.DeleteFunc(nodes, func(node kubeapi.Object) bool { return !node.HasLabel(constants.LabelNodeRoleControlPlane) })
	if len(marked) != len(c.controlPlanes()) {
		return fmt.Errorf("%d nodes bear the label %s and there are %d control planes", len(marked), constants.LabelNodeRoleControlPlane, len(c.controlPlanes()))
	}

	var errs []error
	for _, name := range components() {
		errs = append(errs, c.podsReady(ctx, name, len(c.controlPlanes())))
	}

	return oneLine(errs)
}

func nodesReady(ctx context.Context, c *checked) error {
	return c.noNode(ctx, "not ready", func(node kubeapi.Object) bool { return !isReady(node) })
}

func nodesSchedulable(ctx context.Context, c *checked) error {
	return c.noNode(ctx, "not schedulable", func(node kubeapi.Object) bool { return node.Is("spec", "unschedulable") })
}

// noNode wants no Kubernetes node to be as bad says.
func (c *checked) noNode(ctx context.Context, what string, bad func(kubeapi.Object) bool) error {
	nodes, err := c.kubernetesNodes(ctx)
	if err != nil {
		return err
	}

	var names []string

	for _, node := range nodes {
		if bad(node) {
			names = append(names, node.Name())
		}
	}

	if len(names) > 0 {
		return fmt.Errorf("some nodes are %s: %q", what, names)
	}

	return nil
}

func proxyReady(ctx context.Context, c *checked) error {
	return c.workloadReady(ctx, "daemonsets", "kube-proxy", "status", "desiredNumberScheduled")
}

func dnsReady(ctx context.Context, c *checked) error {
	return c.workloadReady(ctx, "deployments", "kube-dns", "spec", "replicas")
}

// workloadReady wants as many ready pods of an add-on as its owner asks for. A cluster that has no such owner brings an
// add-on of its own, or none.
func (c *checked) workloadReady(ctx context.Context, kind, name string, wanted ...string) error {
	owners, err := c.list(ctx, "/apis/apps/v1/namespaces/"+systemNamespace+"/"+kind+"?labelSelector="+url.QueryEscape("k8s-app="+name))
	if err != nil {
		return err
	}

	if len(owners) == 0 {
		return errSkip
	}

	return c.podsReady(ctx, name, owners[0].Count(wanted...))
}

// podsReady wants that many pods of an application, all of them ready.
func (c *checked) podsReady(ctx context.Context, name string, count int) error {
	pods, err := c.list(ctx, "/api/v1/namespaces/"+systemNamespace+"/pods?labelSelector="+url.QueryEscape("k8s-app="+name))
	if err != nil {
		return err
	}

	// A pod that ended does not count: another took its place.
	pods = slices.DeleteFunc(pods, func(pod kubeapi.Object) bool {
		phase := pod.Text("status", "phase")
		return phase == "Succeeded" || phase == "Failed"
	})

	if len(pods) == 0 || len(pods) != count {
		return fmt.Errorf("there are %d pods of %s and should be %d", len(pods), name, count)
	}

	var unready []string

	for _, pod := range pods {
		if !isReady(pod) {
			unready = append(unready, pod.Name())
		}
	}

	if len(unready) > 0 {
		return fmt.Errorf("pods of %s are not ready: %s", name, strings.Join(unready, ", "))
	}

	return nil
}

func (c *checked) kubernetesNodes(ctx context.Context) ([]kubeapi.Object, error) {
	nodes, err := c.list(ctx, "/api/v1/nodes")
	if err == nil && len(nodes) == 0 {
		err = errors.New("there are no Kubernetes nodes yet")
	}

	return nodes, err
}

func (c *checked) list(ctx context.Context, path string) ([]kubeapi.Object, error) {
	var list struct{ Items []kubeapi.Object }

	if err := c.api.Object(ctx, path, &list); err != nil {
		return nil, fmt.Errorf("asking Kubernetes: %w", err)
	}

	return list.Items, nil
}

// isReady reads the condition Ready of a node or a pod.
func isReady(object kubeapi.Object) bool {
	for _, condition := range object.List("status", "conditions") {
		if condition.Text("type") == "Ready" {
			return condition.Text("status") == "True"
		}
	}

	return false
}
