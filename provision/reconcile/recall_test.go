package reconcile

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/machineconfig"
)

// town is a cluster as it is stored, and what the engine then has of it.
func town(t *testing.T, balanced bool) (provision.Record, remains) {
	t.Helper()
	request := provision.DefaultRequest()
	request.Name, request.Image, request.KubernetesVersion = "town", "node:v1", "v1.37.2"
	request.ControlPlanes, request.Workers = 3, 2
	request.Ports = []provision.Port{{HostIP: netip.MustParseAddr("127.0.0.1"), Host: 8080, Node: 80, Protocol: "tcp"}}
	cluster, err := provision.Expand(request, provision.Site{Balanced: balanced, Now: time.Unix(0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	generator := machineconfig.Generator{}
	secrets, err := generator.NewSecrets(cluster)
	if err != nil {
		t.Fatal(err)
	}
	configs, err := generator.Render(cluster, secrets)
	if err != nil {
		t.Fatal(err)
	}
	cluster.Expect = configs.Expect
	record := provision.Record{Cluster: cluster, Secrets: secrets, Configs: configs.Nodes}
	found := remainsOf(record)
	record.Remember(found.observed)
	return record, found
}

// remainsOf is what an engine tells that made all of a record.
func remainsOf(record provision.Record) remains {
	cluster := record.Cluster
	found := remains{nodes: map[string]provision.Node{}, configs: map[string][]byte{}, versions: map[string]string{cluster.Image: cluster.KubernetesVersion}}
	found.observed.Networks = []provision.ObservedNetwork{{ID: "network", Network: cluster.Network, Cluster: cluster.Name}}
	for _, node := range cluster.Nodes {
		found.observed.Machines = append(found.observed.Machines, provision.Machine{
			ID: "id-" + node.Name, Name: node.Name, Cluster: cluster.Name, Role: node.Role, IP: node.IP,
			State: provision.MachineRunning, Image: cluster.Image,
		})
		found.nodes[node.Name], found.configs[node.Name] = node, record.Configs[node.Name]
	}
	if balancer := cluster.Balancer; balancer != nil {
		found.observed.Balancers = []provision.Machine{{
			Name: balancer.Name, Cluster: cluster.Name, Role: provision.RoleBalancer, IP: balancer.IP, Image: cluster.Image,
		}}
		found.nodes[balancer.Name] = provision.Node{Name: balancer.Name, Ports: balancer.Ports}
	}
	return found
}

func TestRecallIsWhatWasStored(t *testing.T) {
	for name, balanced := range map[string]bool{"with a balancer": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			want, found := town(t, balanced)
			got, err := found.record("town", "docker")
			if err != nil {
				t.Fatal(err)
			}
			want.Cluster.Created = got.Cluster.Created
			if diff := cmp.Diff(want, got, likeness()...); diff != "" {
				t.Errorf("(-stored +recalled):\n%s", diff)
			}
		})
	}
}

func likeness() cmp.Options {
	return cmp.Options{
		cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
		cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
		cmp.Transformer("text", func(data []byte) string { return string(data) }),
	}
}

func TestRecallFromWhatIsLeft(t *testing.T) {
	for name, test := range map[string]struct {
		unbalanced bool
		lose       func(*remains)
		check      func(t *testing.T, stored, recalled provision.Record)
	}{
		"a machine that is gone is not desired": {
			lose: func(r *remains) { r.observed.Machines = r.observed.Machines[1:] },
			check: func(t *testing.T, stored, recalled provision.Record) {
				if got := recalled.Cluster.Founder().Name; got != "town-controlplane-2" || len(recalled.Cluster.Nodes) != 4 {
					t.Errorf("founder %s of %d nodes", got, len(recalled.Cluster.Nodes))
				}
			},
		},
		"a balancer that is gone is desired": {
			lose: func(r *remains) { r.observed.Balancers = nil },
			check: func(t *testing.T, stored, recalled provision.Record) {
				if diff := cmp.Diff(stored.Cluster.Balancer, recalled.Cluster.Balancer, likeness()...); diff != "" {
					t.Errorf("(-stored +recalled):\n%s", diff)
				}
			},
		},
		"the endpoint comes first where there is no balancer": {
			unbalanced: true,
			lose: func(r *remains) {
				first, second := &r.observed.Machines[0], &r.observed.Machines[1]
				first.IP, second.IP = second.IP, first.IP
			},
			check: func(t *testing.T, stored, recalled provision.Record) {
				if got := recalled.Cluster.Founder().Name; got != "town-controlplane-2" {
					t.Errorf("founder %s", got)
				}
			},
		},
		"a node of ten comes after one of nine": {
			lose: func(r *remains) {
				for _, name := range []string{"town-worker-10", "town-worker-9"} {
					r.observed.Machines = append(r.observed.Machines, provision.Machine{ID: name, Name: name, Role: provision.Worker})
				}
			},
			check: func(t *testing.T, stored, recalled provision.Record) {
				if got := recalled.Cluster.Nodes[len(recalled.Cluster.Nodes)-1].Name; got != "town-worker-10" {
					t.Errorf("the last is %s", got)
				}
			},
		},
		"one control plane knows the secrets of all": {
			lose: func(r *remains) {
				r.configs["town-controlplane-1"], r.configs["town-controlplane-2"] = nil, []byte("machine: [")
			},
			check: func(t *testing.T, stored, recalled provision.Record) {
				if string(stored.Secrets) != string(recalled.Secrets) {
					t.Error("the secrets are others")
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			stored, found := town(t, !test.unbalanced)
			test.lose(&found)
			recalled, err := found.record("town", "docker")
			if err != nil {
				t.Fatal(err)
			}
			test.check(t, stored, recalled)
		})
	}
}

func TestRecallFailsClosed(t *testing.T) {
	for name, test := range map[string]struct {
		lose func(*remains)
		want string
	}{
		"no control plane": {
			lose: func(r *remains) { r.observed.Machines = r.observed.Machines[3:] },
			want: "cannot take the cluster's secrets",
		},
		"none that was made with a machine config": {
			lose: func(r *remains) { clear(r.configs) },
			want: "town-controlplane-3 was made without a machine config",
		},
		"no network": {
			lose: func(r *remains) { r.observed.Networks = nil },
			want: "its network is gone",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, found := town(t, true)
			test.lose(&found)
			_, err := found.record("town", "docker")
			if !errors.Is(err, provision.ErrStateLost) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v", err)
			}
			if hints := provision.Hints(err); len(hints) != 1 || !strings.Contains(hints[0], "--state-dir") {
				t.Errorf("hints: %q", hints)
			}
		})
	}
}
