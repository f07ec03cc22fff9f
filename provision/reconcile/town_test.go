package reconcile

import (
	"crypto/sha256"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jxskiss/base62"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
)

// village is a balanced cluster of so many nodes, without secrets.
func village(t *testing.T, controlPlanes, workers int) provision.Cluster {
	t.Helper()
	request := provision.DefaultRequest()
	request.Name, request.Image, request.KubernetesVersion = "dev", "node:v1", "v1.37.2"
	request.ControlPlanes, request.Workers, request.AllowEven = controlPlanes, workers, true
	cluster, err := provision.Expand(request, provision.Site{Balanced: true, Now: time.Unix(0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	cluster.Expect = provision.Expect{NodesReady: true, CoreDNS: true}
	return cluster
}

// hearsay is what five sources say of a cluster; its methods change it as the world would.
type hearsay struct{ picture.Sources }

// healthy is a cluster all of whose nodes run and know each other. Members of etcd have the IDs 1, 2 and on, the first
// leads.
func healthy(cluster provision.Cluster) *hearsay {
	s := &hearsay{picture.Sources{
		Cluster: cluster.Name, At: time.Unix(1000, 0), Desired: &cluster,
		Known: map[string]string{}, Interviews: map[string]picture.Interview{},
	}}
	s.Engine.Networks = []provision.ObservedNetwork{{ID: "net", Network: cluster.Network, Cluster: cluster.Name}}
	for _, node := range cluster.Nodes {
		s.Known[node.Name] = "id-" + node.Name
		s.run(node)
	}
	return s
}

// identity is the discovery identity of a node of that name.
func identity(name string) string {
	sum := sha256.Sum256([]byte(name))
	return base62.EncodeToString(sum[:])
}

// run gives a node a machine and volumes, and lets all know it.
func (s *hearsay) run(node provision.Node) {
	id := identity(node.Name)
	s.Engine.Machines = append(s.Engine.Machines, provision.Machine{
		ID: "id-" + node.Name, Name: node.Name, Cluster: s.Cluster, Role: node.Role, State: provision.MachineRunning,
		IP: node.IP, Image: "node:v1", Ports: node.Ports,
	})
	s.Engine.Volumes = append(s.Engine.Volumes, provision.Volume{Name: node.Name + "-var", Cluster: s.Cluster, Node: node.Name, Path: "/var"})
	s.Kubernetes = append(s.Kubernetes, picture.KubernetesNode{
		Name: node.Name, UID: "uid-" + node.Name, MachineID: picture.MachineID(id), IP: node.IP, Ready: true, Heartbeat: s.At,
		ControlPlane: node.Role == provision.ControlPlane,
	})
	s.Interviews[node.Name] = picture.Interview{NodeID: id}
	if node.Role == provision.ControlPlane {
		s.vote(node)
	}
	var affiliates []picture.Affiliate
	for _, machine := range s.Engine.Machines {
		affiliates = append(affiliates, picture.Affiliate{
			NodeID: identity(machine.Name), Nodename: machine.Name, Role: machine.Role, Addresses: []netip.Addr{machine.IP},
		})
	}
	s.each(func(interview *picture.Interview) { interview.Affiliates = affiliates })
}

// vote makes the node a member of etcd.
func (s *hearsay) vote(node provision.Node) {
	self := uint64(1)
	var members []picture.EtcdMember
	for _, interview := range s.Interviews {
		if interview.Etcd != nil {
			members = slices.Clone(interview.Etcd.Members)
			self = uint64(len(members) + 1)
		}
	}
	members = append(members, picture.EtcdMember{ID: self, Name: node.Name, IP: node.IP})
	interview := s.Interviews[node.Name]
	interview.Etcd = &picture.EtcdAnswer{Self: self, Leader: 1}
	s.Interviews[node.Name] = interview
	s.enlist(members)
}

// enlist lets all members have that list.
func (s *hearsay) enlist(members []picture.EtcdMember) {
	s.each(func(interview *picture.Interview) {
		if interview.Etcd != nil {
			answer := *interview.Etcd
			answer.Members = members
			interview.Etcd = &answer
		}
	})
}

func (s *hearsay) each(change func(*picture.Interview)) {
	for name, interview := range s.Interviews {
		change(&interview)
		s.Interviews[name] = interview
	}
}

// turn brings a machine to another state, in which its node does not answer.
func (s *hearsay) turn(name string, state provision.MachineState) {
	for i := range s.Engine.Machines {
		if s.Engine.Machines[i].Name == name {
			s.Engine.Machines[i].State = state
		}
	}
	delete(s.Interviews, name)
}

// kill is docker rm -f: volumes stay, and all others know the node still.
func (s *hearsay) kill(name string) {
	s.Engine.Machines = slices.DeleteFunc(s.Engine.Machines, func(m provision.Machine) bool { return m.Name == name })
	delete(s.Interviews, name)
	for i := range s.Kubernetes {
		if s.Kubernetes[i].Name == name {
			s.Kubernetes[i].Ready, s.Kubernetes[i].Heartbeat = false, s.At.Add(-time.Hour)
		}
	}
}

// mute lets a node that runs not answer.
func (s *hearsay) mute(name string) {
	s.Interviews[name] = picture.Interview{Error: "timed out"}
}

func (s *hearsay) picture() picture.Picture {
	return picture.Join(s.Sources)
}

// told are the steps of a plan in words, each with those that it comes after.
func told(steps []Step) []string {
	var words []string
	for _, step := range steps {
		text := step.String()
		for i, before := range step.After {
			text += []string{" < ", ", "}[min(i, 1)] + steps[before].String()
		}
		words = append(words, strings.ReplaceAll(text, "dev-", ""))
	}
	return words
}
