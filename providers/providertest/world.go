package providertest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/jxskiss/base62"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
)

const (
	// machineIDBytes is how many bytes of a node ID are the machine ID.
	machineIDBytes = 16
	// grace is how long Kubernetes waits for a kubelet, and affiliateLife how long discovery does for a node.
	grace         = 40 * time.Second
	affiliateLife = 30 * time.Minute
)

// disk is what a node keeps in one of its volumes.
type disk struct {
	// nodeID and config are in STATE.
	nodeID string
	config []byte
	// seat is etcd's data, in EPHEMERAL; nil where there is none.
	seat *seat
}

// disk is the content of the machine's volume for a path.
func (m *Memory) disk(machine provision.Machine, path string) *disk {
	name := volumeName(m.made[machine.ID].home, path)
	if m.disks[name] == nil {
		m.disks[name] = &disk{}
	}
	return m.disks[name]
}

// wake is what a node does when it starts: it keeps what it was made with, and an identity of its own.
func (m *Memory) wake(machine provision.Machine) {
	state := m.disk(machine, boot.StatePath)
	if config := m.made[machine.ID].config; state.config == nil {
		state.config = slices.Clone(config)
	}
	if state.nodeID == "" {
		sum := sha256.Sum256([]byte("node " + m.id()))
		state.nodeID = base62.EncodeToString(sum[:])
	}
}

// machineIDOf is what a kubelet reports for a node ID.
func machineIDOf(nodeID string) string {
	id, err := base62.DecodeString(nodeID)
	if err != nil || len(id) < machineIDBytes {
		return ""
	}
	return hex.EncodeToString(id[:machineIDBytes])
}

// hostname is what a node calls itself, whatever its machine is called by now.
func (m *Memory) hostname(machine provision.Machine) string {
	return m.made[machine.ID].node.Name
}

// nodesOf are the machines of a cluster's nodes that run, in the order of their names.
func (m *Memory) nodesOf(cluster string) []provision.Machine {
	return pick(m.machines, func(machine provision.Machine) bool {
		isNode := machine.Role == provision.ControlPlane || machine.Role == provision.Worker
		return isNode && machine.Cluster == cluster && machine.State == provision.MachineRunning
	})
}

func (m *Memory) controlPlanesOf(cluster string) []provision.Machine {
	return slices.DeleteFunc(m.nodesOf(cluster), func(machine provision.Machine) bool { return machine.Role != provision.ControlPlane })
}

// settle lets a cluster's nodes do what they do by themselves: announce themselves, come one step closer to etcd, and
// report to Kubernetes. It is called, with mu held, before every question to a node.
func (m *Memory) settle(cluster string) {
	m.announce(cluster)
	for _, machine := range m.controlPlanesOf(cluster) {
		m.approach(machine)
	}
	if serving := m.serving(cluster); serving != nil {
		for _, machine := range m.nodesOf(cluster) {
			m.report(serving, machine)
		}
	}
}

// announce tells every discovery server, one on each control plane, of every node.
func (m *Memory) announce(cluster string) {
	for _, server := range m.controlPlanesOf(cluster) {
		if m.heard[server.ID] == nil {
			m.heard[server.ID] = map[string]affiliate{}
		}
		for _, machine := range m.nodesOf(cluster) {
			id := m.disk(machine, boot.StatePath).nodeID
			m.heard[server.ID][id] = affiliate{at: time.Now(), Affiliate: picture.Affiliate{
				NodeID: id, Nodename: m.hostname(machine), Hostname: m.hostname(machine), Role: machine.Role,
				Addresses: []netip.Addr{machine.IP},
			}}
		}
	}
}

// affiliate is one that a discovery server knows, and when it last heard of it.
type affiliate struct {
	picture.Affiliate
	at time.Time
}

// affiliatesOf are those that any discovery server of the cluster knows, in the order of their IDs.
func (m *Memory) affiliatesOf(cluster string) []picture.Affiliate {
	known := map[string]picture.Affiliate{}
	for _, server := range m.controlPlanesOf(cluster) {
		for id, heard := range m.heard[server.ID] {
			known[id] = heard.Affiliate
		}
	}
	return pick(known, func(picture.Affiliate) bool { return true })
}

// report is what a kubelet does: it registers once, unless its Node is there, and writes how it is.
func (m *Memory) report(e *etcd, machine provision.Machine) {
	name := m.hostname(machine)
	node, there := e.nodes[name]
	if !there && m.made[machine.ID].deregistered {
		return
	}
	if !there {
		node = picture.KubernetesNode{Name: name, UID: "uid-" + m.id()}
	}
	node.MachineID = machineIDOf(m.disk(machine, boot.StatePath).nodeID)
	node.IP, node.ControlPlane = machine.IP, machine.Role == provision.ControlPlane
	node.Ready, node.Heartbeat = machine.Image != m.broken, time.Now()
	e.nodes[name] = node
}

// age makes all that was reported older. Whoever runs reports again before anybody is told.
func (m *Memory) age(by time.Duration) {
	for _, affiliates := range m.heard {
		for id, heard := range affiliates {
			heard.at = heard.at.Add(-by)
			affiliates[id] = heard
		}
		maps.DeleteFunc(affiliates, func(_ string, heard affiliate) bool { return time.Since(heard.at) > affiliateLife })
	}
	for _, e := range m.etcds() {
		for name, node := range e.nodes {
			node.Heartbeat = node.Heartbeat.Add(-by)
			node.Ready = node.Ready && time.Since(node.Heartbeat) <= grace
			e.nodes[name] = node
		}
	}
}

// errRefused is what a client meets where nobody listens.
func errRefused(name string) error {
	return fmt.Errorf("cannot dial %q: connection refused", name)
}
