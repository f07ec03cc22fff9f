package kube

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/cosi-project/runtime/pkg/state/impl/inmem"
	"github.com/cosi-project/runtime/pkg/state/impl/namespaced"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/siderolabs/talos/pkg/machinery/config/machine"
	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"
	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"
	"go.uber.org/goleak"

	"github.com/bronze-os/bronze/images/machined/internal/kubeapi"
	"github.com/bronze-os/bronze/images/machined/internal/resources/publish"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestANodeIsReadAsKubernetesTellsIt(t *testing.T) {
	tests := []struct {
		name string
		node kubeapi.Object
		want []k8s.NodeStatusSpec
	}{
		{"none", nil, nil},
		{"a new one", kubeapi.Object{"metadata": map[string]any{"name": "a"}}, []k8s.NodeStatusSpec{{Nodename: "a"}}},
		{
			"a whole one",
			kubeapi.Object{
				"metadata": map[string]any{"name": "a", "labels": map[string]any{"x": "y"}, "annotations": map[string]any{"k": "v"}},
				"spec":     map[string]any{"unschedulable": true, "podCIDRs": []any{"10.244.2.0/24", "nonsense"}},
				"status":   map[string]any{"conditions": []any{map[string]any{"type": "Ready", "status": "True"}}},
			},
			[]k8s.NodeStatusSpec{{
				Nodename: "a", NodeReady: true, Unschedulable: true, Labels: map[string]string{"x": "y"},
				Annotations: map[string]string{"k": "v"}, PodCIDRs: []netip.Prefix{netip.MustParsePrefix("10.244.2.0/24")},
			}},
		},
		{
			"one that is not ready",
			kubeapi.Object{
				"metadata": map[string]any{"name": "a"},
				"status":   map[string]any{"conditions": []any{map[string]any{"type": "Ready", "status": "Unknown"}}},
			},
			[]k8s.NodeStatusSpec{{Nodename: "a"}},
		},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got []k8s.NodeStatusSpec
			for _, r := range nodeStatus(test.node).All() {
				got = append(got, *r.(*k8s.NodeStatus).TypedSpec())
			}

			same := cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
			if diff := cmp.Diff(test.want, got, same, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestKubernetesIsFollowed(t *testing.T) {
	gone := make(chan struct{})
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r, gone) }))
	t.Cleanup(api.Close)

	var (
		checked publish.Notice
		healthy atomic.Bool
	)

	st := state.WrapCore(namespaced.NewState(inmem.Build))
	run(t, Options{
		State: st, Node: "a", ControlPlane: true,
		Connect: func(context.Context) (*kubeapi.Client, error) { return kubeapi.New(api.URL, nil), nil },
		Balancer: Balancer{
			Port: func() int { return 7445 }, Upstreams: func() []string { return []string{"10.5.0.2:6443"} },
			Healthy: func(context.Context) error {
				if healthy.Load() {
					return nil
				}

				return errors.New("not yet")
			},
			Checked: checked.Changed,
		},
	})

	node := k8s.NewNodeStatus(k8s.NamespaceName, "a")
	await(t, st, node, func(r resource.Resource) bool { return r.(*k8s.NodeStatus).TypedSpec().NodeReady })
	await(t, st, k8s.NewEndpoint(k8s.ControlPlaneNamespaceName, "controlplane"), func(r resource.Resource) bool {
		return len(r.(*k8s.Endpoint).TypedSpec().Addresses) == 1
	})

	member := cluster.NewMember(cluster.NamespaceName, "a")
	member.TypedSpec().MachineType, member.TypedSpec().Addresses = machine.TypeControlPlane, []netip.Addr{netip.MustParseAddr("10.5.0.2")}
	worker := cluster.NewMember(cluster.NamespaceName, "b")
	worker.TypedSpec().MachineType, worker.TypedSpec().Addresses = machine.TypeWorker, []netip.Addr{netip.MustParseAddr("10.5.0.3")}

	for _, r := range []resource.Resource{member, worker} {
		if err := st.Create(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}

	found := await(t, st, k8s.NewEndpoint(k8s.ControlPlaneNamespaceName, "discovery"), func(r resource.Resource) bool {
		return len(r.(*k8s.Endpoint).TypedSpec().Addresses) > 0
	})
	if got := fmt.Sprint(found.(*k8s.Endpoint).TypedSpec().Addresses); got != "[10.5.0.2]" {
		t.Errorf("discovered %s", got)
	}

	healthy.Store(true)
	checked.Notify()
	await(t, st, k8s.NewKubePrismStatuses(k8s.NamespaceName, k8s.KubePrismStatusesID), func(r resource.Resource) bool {
		return r.(*k8s.KubePrismStatuses).TypedSpec().Healthy
	})

	config, err := safe.StateGetByID[*k8s.KubePrismConfig](t.Context(), st, k8s.KubePrismConfigID)
	if err != nil {
		t.Fatal(err)
	}

	want := k8s.KubePrismConfigSpec{Host: "127.0.0.1", Port: 7445, Endpoints: []k8s.KubePrismEndpoint{{Host: "10.5.0.2", Port: 6443}}}
	if diff := cmp.Diff(want, *config.TypedSpec()); diff != "" {
		t.Error(diff)
	}

	close(gone)

	if _, err := st.WatchFor(limited(t), node.Metadata(), state.WithEventTypes(state.Destroyed)); err != nil {
		t.Errorf("a Node that is gone is still told: %v", err)
	}
}

// answer plays the API: a Node that is ready until gone is closed, and where the API serves.
func answer(w http.ResponseWriter, r *http.Request, gone <-chan struct{}) {
	node := `{"metadata":{"name":"a"},"status":{"conditions":[{"type":"Ready","status":"True"}]}}`

	switch {
	case r.URL.Query().Get("watch") == "" && r.URL.Path == "/api/v1/nodes":
		fmt.Fprintf(w, `{"items":[%s]}`, node)
	case r.URL.Query().Get("watch") == "":
		fmt.Fprint(w, `{"items":[{"metadata":{"name":"kubernetes"},"endpoints":[{"addresses":["10.5.0.2"]}]}]}`)
	case r.URL.Path == "/api/v1/nodes":
		w.(http.Flusher).Flush()

		select {
		case <-gone:
			fmt.Fprintf(w, `{"type":"DELETED","object":%s}`, node)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		case <-r.Context().Done():
		}
	default:
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
}

func run(t *testing.T, opts Options) {
	t.Helper()

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)

	go func() { done <- Run(ctx, opts) }()

	t.Cleanup(func() {
		cancel()

		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func limited(t *testing.T) context.Context {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)

	return ctx
}

func await(t *testing.T, st state.State, like resource.Resource, holds func(resource.Resource) bool) resource.Resource {
	t.Helper()

	found, err := st.WatchFor(limited(t), like.Metadata(), state.WithEventTypes(state.Created, state.Updated),
		state.WithCondition(func(r resource.Resource) (bool, error) { return holds(r), nil }))
	if err != nil {
		t.Fatalf("waiting for %s: %v", like.Metadata(), err)
	}

	return found
}

func TestManifestsHideWhatSecretsHold(t *testing.T) {
	groups := map[string][]kubeapi.Object{
		"10-add-ons": {{"kind": "ConfigMap", "data": map[string]any{"a": "shown"}}},
		"00-base":    {{"kind": "Secret", "stringData": map[string]any{"token": "secret"}}},
	}

	var got []string

	for _, r := range Manifests(groups, true).All() {
		switch r := r.(type) {
		case *k8s.Manifest:
			got = append(got, r.Metadata().ID()+fmt.Sprint(r.TypedSpec().Items[0].Object))
		case *k8s.ManifestStatus:
			got = append(got, fmt.Sprint(r.TypedSpec().ManifestsApplied))
		}
	}

	want := []string{"00-basemap[kind:Secret stringData:map[token:***]]", "10-add-onsmap[data:map[a:shown] kind:ConfigMap]", "[00-base 10-add-ons]"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	if groups["00-base"][0].Text("stringData", "token") != "secret" {
		t.Error("the manifest itself lost its secret")
	}
}
