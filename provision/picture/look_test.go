package picture_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
)

// host is an engine and the APIs of a cluster; each answers after a while.
type host struct {
	*world
	engineTakes, kubernetesTakes time.Duration
	// takes is how long each node needs for an interview; a negative one never answers.
	takes map[string]time.Duration
	// flawed are the nodes whose first interview breaks.
	mu     sync.Mutex
	flawed map[string]bool
	// byID are the machines that the engine finds by ID alone; an empty name is an error.
	byID map[string]string
}

func newHost(nodes ...node) *host {
	h := &host{
		world: cluster(nodes...), engineTakes: time.Millisecond, kubernetesTakes: time.Millisecond,
		takes: map[string]time.Duration{}, flawed: map[string]bool{}, byID: map[string]string{},
	}
	h.Desired.Name, h.Desired.Balancer = "dev", &provision.Balancer{Name: "dev-loadbalancer"}
	h.Engine.Balancers = []provision.Machine{{Name: "dev-loadbalancer", State: provision.MachineRunning, Ports: []provision.Port{
		{HostIP: ip("127.0.0.1"), Host: 1, Node: boot.MachineAPIPort, Protocol: "tcp"},
		{HostIP: ip("127.0.0.1"), Host: 2, Node: boot.KubernetesPort, Protocol: "tcp"},
	}}}
	return h
}

// after waits that long, for ever where it is negative, or as long as ctx does.
func after(ctx context.Context, wait time.Duration) error {
	if wait < 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *host) Observe(ctx context.Context, cluster string) (provision.Observed, error) {
	if cluster != "dev" {
		return provision.Observed{}, errors.New("another cluster was asked for")
	}
	if err := after(ctx, h.engineTakes); err != nil {
		return provision.Observed{}, err
	}
	return h.Engine, nil
}

func (h *host) Machine(_ context.Context, id string) (provision.Machine, bool, error) {
	name, found := h.byID[id]
	if found && name == "" {
		return provision.Machine{}, false, errors.New("busy")
	}
	return provision.Machine{ID: id, Name: name}, found, nil
}

type nodeAPI struct{ *host }

func (a nodeAPI) Interview(ctx context.Context, node provision.Node) picture.Interview {
	if err := after(ctx, a.takes[node.Name]); err != nil {
		return picture.Interview{Error: err.Error()}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.flawed[node.Name] {
		delete(a.flawed, node.Name)
		return picture.Interview{Error: "connection reset"}
	}
	return a.Interviews[node.Name]
}

func (a nodeAPI) Close() error { return nil }

type kubernetesAPI struct{ *host }

func (a kubernetesAPI) Nodes(ctx context.Context) ([]picture.KubernetesNode, error) {
	if err := after(ctx, a.kubernetesTakes); err != nil {
		return nil, err
	}
	return a.Kubernetes, nil
}

func (a kubernetesAPI) Close() error { return nil }

func (h *host) opener() picture.Opener {
	return picture.Opener{
		Nodes:      func(provision.Access) (picture.NodeAPI, error) { return nodeAPI{h}, nil },
		Kubernetes: func(provision.Access) (picture.KubernetesAPI, error) { return kubernetesAPI{h}, nil },
	}
}

func (h *host) record() provision.Record {
	return provision.Record{Cluster: *h.Desired, Secrets: []byte("secrets"), Machines: h.Known}
}

func TestLookAsksAllSources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(cp1(), w1())
		h.flawed[w1().name] = true
		h.At = time.Now()
		got := picture.Look(t.Context(), h, h.opener(), h.record())
		if diff := cmp.Diff(h.Sources, got, plain()...); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestLookIsNotHeldUp(t *testing.T) {
	const hangs = -1
	for _, test := range []struct {
		name string
		be   func(h *host)
		// atMost bounds the look.
		atMost time.Duration
		// says is part of the error of that machine, or of Kubernetes where it is empty.
		of, says string
	}{
		{"by a worker that hangs", func(h *host) { h.takes[w1().name] = hangs }, 1100 * time.Millisecond, w1().name, "too long"},
		{"by a Kubernetes that hangs", func(h *host) { h.kubernetesTakes = hangs }, 1100 * time.Millisecond, "", "too long"},
		{
			"by all nodes", func(h *host) { h.takes[cp1().name], h.takes[w1().name], h.kubernetesTakes = hangs, hangs, hangs },
			3100 * time.Millisecond, cp1().name, "too long",
		},
		{"by an engine that hangs", func(h *host) { h.engineTakes = hangs }, 10 * time.Second, "", "without the engine"},
		{
			"by a paused worker", func(h *host) { h.takes[w1().name] = hangs; h.turn(w1(), provision.MachinePaused) },
			10 * time.Millisecond, "", "",
		},
		{
			"where no control plane runs",
			func(h *host) { h.takes[w1().name] = hangs; h.turn(cp1(), provision.MachineStopped) },
			10 * time.Millisecond, w1().name, "no control plane runs",
		},
		{
			"where the balancer does not run",
			func(h *host) { h.takes[w1().name] = hangs; h.Engine.Balancers[0].State = provision.MachineStopped },
			10 * time.Millisecond, "", "the load balancer",
		},
		{"by a node of no address", func(h *host) { h.Engine.Machines[1].IP = netip.Addr{} }, 10 * time.Millisecond, w1().name, "no address"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHost(cp1(), w1())
				test.be(h)
				began := time.Now()
				got := picture.Look(t.Context(), h, h.opener(), h.record())
				if took := time.Since(began); took > test.atMost {
					t.Errorf("took %s", took)
				}
				says := got.KubernetesError
				if test.of != "" {
					says = got.Interviews[test.of].Error
				}
				if !contains(says, test.says) {
					t.Errorf("it says %q, want %q", says, test.says)
				}
			})
		})
	}
}

// contains wants the part, or nothing where that is empty.
func contains(text, part string) bool {
	if part == "" {
		return text == ""
	}
	return strings.Contains(text, part)
}

func TestLookWithoutSecretsAsksTheEngineAlone(t *testing.T) {
	h := newHost(cp1(), w1())
	got := picture.Look(t.Context(), h, picture.Opener{}, provision.Record{Cluster: provision.Cluster{Name: "dev"}})
	if got.Desired != nil || len(got.Engine.Machines) != 2 || !contains(got.KubernetesError, "secrets") || !contains(got.Interviews[w1().name].Error, "secrets") {
		t.Errorf("got %+v", got)
	}
}

func TestLookFindsKnownMachinesByID(t *testing.T) {
	for _, test := range []struct {
		name string
		be   func(h *host)
		want map[string]string
	}{
		{"one that is gone", func(h *host) { h.removeMachine(w1()) }, map[string]string{}},
		{"one that is in the inventory is not asked for", func(h *host) { h.byID["id-"+w1().name] = "" }, map[string]string{}},
		{
			"one that lost its labels", func(h *host) { h.removeMachine(w1()); h.byID["id-"+w1().name] = "old" },
			map[string]string{w1().name: "the engine has id-dev-worke still, as old"},
		},
		{
			"one that the engine does not tell of", func(h *host) { h.removeMachine(w1()); h.byID["id-"+w1().name] = "" },
			map[string]string{w1().name: "the engine does not say whether it has id-dev-worke: busy"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHost(cp1(), w1())
			test.be(h)
			got := picture.Look(t.Context(), h, h.opener(), h.record())
			if diff := cmp.Diff(test.want, got.Astray); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
