package picture

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bronze-os/bronze/provision"
)

// disagreements says in words what the sources that answer say otherwise of a node than its state lets expect. A node that
// does not run is expected to fade from all of them.
func disagreements(n Node, silent map[Source]string, living []string) []string {
	d := differences{node: n, silent: silent}
	d.machine()
	if n.State == Running || n.State == Foreign && n.Machine != nil && n.Answer != nil && n.Answer.Error == "" {
		d.kubernetes()
		d.discovery(living)
		d.etcd()
	}
	if n.State != Running && n.State != Foreign && n.Kubernetes != nil && n.Kubernetes.Ready {
		d.add("Kubernetes still calls it Ready")
	}
	return d.found
}

type differences struct {
	node   Node
	silent map[Source]string
	found  []string
}

func (d *differences) add(format string, args ...any) {
	d.found = append(d.found, fmt.Sprintf(format, args...))
}

func (d *differences) hears(source Source) bool {
	_, silent := d.silent[source]
	return !silent
}

func (d *differences) machine() {
	desired, machine := d.node.Desired, d.node.Machine
	if desired == nil || machine == nil {
		return
	}
	if machine.IP.IsValid() && machine.IP != desired.IP {
		d.add("its machine has the address %s, and %s is desired", machine.IP, desired.IP)
	}
	if machine.Role != desired.Role {
		d.add("its machine is a %s, and a %s is desired", machine.Role, desired.Role)
	}
}

func (d *differences) kubernetes() {
	node := d.node.Kubernetes
	switch {
	case !d.hears(Kubernetes):
	case node == nil:
		d.add("Kubernetes does not know it")
	default:
		if !node.Ready {
			d.add("Kubernetes calls it not Ready")
		}
		if node.Unschedulable {
			d.add("it takes no new pods")
		}
		if node.OutOfService {
			d.add("it is tainted out of service, so that no pod stays on it")
		}
	}
}

// discovery compares with all living nodes: each should have heard of it, but for the seconds after it joined.
func (d *differences) discovery(living []string) {
	deaf := slices.DeleteFunc(slices.Clone(living), func(name string) bool { return slices.Contains(d.node.HeardBy, name) })
	switch {
	case !d.hears(Discovery) || len(deaf) == 0:
	case d.node.Affiliate == nil:
		d.add("no node has heard of it by discovery")
	default:
		d.add("%s has not heard of it by discovery", strings.Join(deaf, ", "))
	}
}

func (d *differences) etcd() {
	member, answer := d.node.Etcd, d.node.Answer
	expected := d.node.Role == provision.ControlPlane
	switch {
	case !d.hears(Etcd):
	case member == nil && expected:
		d.add("etcd does not have it as a member")
	case member == nil:
	case !expected:
		d.add("it is a member of etcd, and no control plane")
	case member.Learner:
		d.add("its etcd learns, and does not vote yet")
	case member.Name == "":
		d.add("its etcd has not started yet")
	}
	if expected && answer.EtcdError != "" {
		d.add("its etcd does not answer: %s", answer.EtcdError)
	}
	for _, alarm := range answer.Alarms {
		d.add("its etcd raises the alarm %s", alarm)
	}
}

// living are the names of those that answered, sorted.
func living(interviews map[string]Interview) []string {
	var names []string
	for name, interview := range interviews {
		if interview.Error == "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
