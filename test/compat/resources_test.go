//go:build e2e

package compat

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/siderolabs/talos/pkg/machinery/client"
	clusterres "github.com/siderolabs/talos/pkg/machinery/resources/cluster"
	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"
	"github.com/siderolabs/talos/pkg/machinery/resources/v1alpha1"

	"github.com/bronze-os/bronze/test/lab/labtest"
)

// words are what users type after `talosctl get`; every node has some of each.
func words() []string {
	return []string{
		"rd", "namespaces", "members", "affiliates", "identities", "discoveryconfig", "hostname", "hostnamespec", "addresses", "nodeaddresses",
		"routes", "links", "resolvers", "timeservers", "nodename", "nodestatus", "nodeip", "machinestatus", "machineconfig", "machinetype", "services",
		"kubeletspec", "kubeletconfig", "endpoints", "processors", "memorymodules", "cpustat", "memorystats", "mounts", "kernelparamstatus",
		"certsan", "apicertificates", "osrootsecrets", "version", "platformmetadata", "kubeprismstatuses", "kubeprismendpoints",
	}
}

// controlPlaneWords are those of which only control planes have some.
func controlPlaneWords() []string {
	return []string{
		"staticpods", "staticpodstatus", "manifests", "manifeststatus", "etcdmembers", "etcdspecs", "etcdconfigs", "apiserverconfig", "schedulerconfig",
		"controllermanagerconfig", "etcdsecrets", "kubernetessecrets",
	}
}

// emptyWords are known, and need not have any.
func emptyWords() []string {
	return []string{"diagnostics", "extensions", "disks", "pcidevices", "info"}
}

func (c *cluster) testResources(t *testing.T) {
	for _, node := range c.targets(everywhere) {
		wanted := words()
		if slices.Contains(c.controlPlanes, node) {
			wanted = append(wanted, controlPlaneWords()...)
		}

		for _, word := range wanted {
			t.Run(c.names[node]+" "+word, func(t *testing.T) {
				c.talosctl.run(t, node, line{talosctl: []string{"get", word}})

				if count := c.list(t, node, word); count == 0 {
					t.Errorf("there are no %s", word)
				}
			})
		}

		for _, word := range emptyWords() {
			t.Run(c.names[node]+" "+word, func(t *testing.T) { c.list(t, node, word) })
		}
	}

	t.Run("members are the nodes", c.testMembers)
	t.Run("watch", c.testWatch)
	t.Run("what is not there", c.testMissing)
	t.Run("admins have affiliates forgotten", c.testForgetting)
	t.Run("nobody writes", c.testReadOnly)
}

// list counts what there is of a word, which is resolved as talosctl resolves it.
func (c *cluster) list(t *testing.T, node, word string) int {
	t.Helper()

	ctx := client.WithNode(t.Context(), node)

	var namespace resource.Namespace

	definition, err := c.client.ResolveResourceKind(ctx, &namespace, word)
	if err != nil {
		t.Fatalf("nobody knows what %s are: %v", word, err)
	}

	list, err := c.client.COSI.List(ctx, resource.NewMetadata(namespace, definition.TypedSpec().Type, "", resource.VersionUndefined))
	if err != nil {
		t.Fatal(err)
	}

	return len(list.Items)
}

func (c *cluster) testMembers(t *testing.T) {
	for _, node := range c.nodes() {
		labtest.Until(t, func(ctx context.Context) error {
			list, err := safe.StateListAll[*clusterres.Member](client.WithNode(ctx, node), c.client.COSI)
			if err != nil {
				return err
			}

			var found []string

			for member := range list.All() {
				for _, address := range member.TypedSpec().Addresses {
					found = append(found, address.String())
				}
			}

			for _, wanted := range c.nodes() {
				if !slices.Contains(found, wanted) {
					return want(false, "%s knows members at %v, and not %s", node, found, wanted)
				}
			}

			return want(list.Len() == len(c.nodes()), "%s knows %d members, want %d", node, list.Len(), len(c.nodes()))
		})
	}
}

// identity is the node's own ID.
func identity(ctx context.Context, c *cluster) (string, error) {
	found, err := safe.StateGetByID[*clusterres.Identity](ctx, c.client.COSI, clusterres.LocalIdentity)
	if err != nil {
		return "", err
	}

	return found.TypedSpec().NodeID, nil
}

// testWatch restarts a service and wants to be told.
func (c *cluster) testWatch(t *testing.T) {
	ctx, cancel := context.WithTimeout(client.WithNode(t.Context(), c.workers[0]), labtest.Patience)
	defer cancel()

	events := make(chan state.Event)

	if err := c.client.COSI.Watch(ctx, v1alpha1.NewService("kubelet").Metadata(), events); err != nil {
		t.Fatal(err)
	}

	first := receiveEvent(ctx, t, events)

	if _, err := c.client.ServiceRestart(ctx, "kubelet"); err != nil {
		t.Fatal(err)
	}

	if next := receiveEvent(ctx, t, events); next.Type != state.Updated || next.Resource.Metadata().Version().Equal(first.Resource.Metadata().Version()) {
		t.Errorf("after the restart came %v", next)
	}
}

func receiveEvent(ctx context.Context, t *testing.T, events <-chan state.Event) state.Event {
	t.Helper()

	select {
	case event := <-events:
		if event.Error != nil {
			t.Fatal(event.Error)
		}

		return event
	case <-ctx.Done():
		t.Fatal("nothing was told")

		return state.Event{}
	}
}

func (c *cluster) testMissing(t *testing.T) {
	ctx := client.WithNode(t.Context(), c.workers[0])

	_, err := safe.StateGetByID[*k8s.StaticPod](ctx, c.client.COSI, "missing")
	if !state.IsNotFoundError(err) {
		t.Errorf("the error is %v", err)
	}
}

// testForgetting drives the one change that admins may make: an affiliate is destroyed, unless its node lives here.
func (c *cluster) testForgetting(t *testing.T) {
	ctx, cancel := context.WithTimeout(client.WithNode(t.Context(), c.workers[0]), 10*time.Second)
	defer cancel()

	identity, err := safe.StateGetByID[*clusterres.Identity](ctx, c.client.COSI, clusterres.LocalIdentity)
	if err != nil {
		t.Fatal(err)
	}

	forget := func(nodeID string) error {
		return c.client.COSI.Destroy(ctx, clusterres.NewAffiliate(clusterres.NamespaceName, nodeID).Metadata())
	}

	if err := forget("nobody"); !state.IsNotFoundError(err) {
		t.Errorf("one that nobody knows: %v", err)
	}

	if err := forget(identity.TypedSpec().NodeID); !state.IsConflictError(err) {
		t.Errorf("the node's own: %v", err)
	}
}

// testReadOnly drives the calls that change resources: they are machined's alone.
func (c *cluster) testReadOnly(t *testing.T) {
	ctx, cancel := context.WithTimeout(client.WithNode(t.Context(), c.workers[0]), 10*time.Second)
	defer cancel()

	stranger := clusterres.NewMember(clusterres.NamespaceName, "stranger")

	created := c.client.COSI.Create(ctx, stranger)
	updated := c.client.COSI.Update(ctx, stranger)
	destroyed := c.client.COSI.Destroy(ctx, stranger.Metadata())
	_, tornDown := c.client.COSI.Teardown(ctx, stranger.Metadata())
	both := c.client.COSI.TeardownAndDestroy(ctx, stranger.Metadata())

	for name, err := range map[string]error{"create": created, "update": updated, "destroy": destroyed, "tear down": tornDown, "do both": both} {
		if err == nil {
			t.Errorf("a client may %s", name)
		}
	}
}

// testManyNodes asks all nodes at once, one of them dead: its error is in its place, and the others answer.
func (c *cluster) testManyNodes(t *testing.T) {
	const dead = "192.0.2.1"

	ctx, cancel := context.WithTimeout(client.WithNodes(t.Context(), append(c.nodes(), dead)...), labtest.Patience)
	defer cancel()

	answer, err := c.client.Version(ctx)
	if err == nil {
		t.Error("nobody says that a node is dead")
	}

	var answered []string
	for _, message := range answer.GetMessages() {
		answered = append(answered, message.GetMetadata().GetHostname())
	}

	slices.Sort(answered)

	if wanted := slices.Sorted(slices.Values(c.nodes())); !slices.Equal(answered, wanted) {
		t.Error(errors.Join(want(false, "%v answered, want %v", answered, wanted), err))
	}
}
