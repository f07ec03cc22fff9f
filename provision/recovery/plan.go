package recovery

import (
	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
	"github.com/bronze-os/bronze/provision/reconcile"
)

// planner puts the steps of one plan together.
type planner struct {
	plan reconcile.Plan
}

// add appends a step that comes after those, and answers its index.
func (p *planner) add(step reconcile.Step, after ...int) int {
	step.After = append([]int(nil), after...)
	p.plan.Steps = append(p.plan.Steps, step)
	return len(p.plan.Steps) - 1
}

// refound plans how etcd is founded anew: first every control plane's old data go, so that no two clusters of them can
// live at once; then the first is made and takes the snapshot; then the others are made and join it. A machine that is
// there and was not doomed when the recovery began has been made by it.
func refound(cluster provision.Cluster, seen provision.Observed, m mark) reconcile.Plan {
	p := &planner{plan: reconcile.Plan{Cluster: cluster.Name}}
	var wiped []int
	for _, node := range cluster.ControlPlanes() {
		machine := machineOf(seen, node.Name)
		if machine.ID != "" && machine.ID != m.Doomed[node.Name] {
			continue
		}
		wiped = append(wiped, p.add(reconcile.Step{Action: reconcile.WipeMachine, Target: node.Name, MachineID: m.Doomed[node.Name],
			Why: "its etcd data are of the cluster that lost its quorum, and must not come back"}))
	}
	if cluster.Balancer != nil && !isRunning(seen.Balancers, cluster.Balancer.Name) {
		wiped = append(wiped, p.add(reconcile.Step{Action: reconcile.CreateBalancer, Target: cluster.Balancer.Name,
			Why: "it carries the cluster's APIs, and does not run"}))
	}
	founder := cluster.Founder()
	made := p.add(reconcile.Step{Action: reconcile.CreateMachine, Target: founder.Name, Why: "it founds etcd anew"}, wiped...)
	founded := p.add(reconcile.Step{Action: reconcile.RecoverEtcd, Target: founder.Name, Snapshot: m.Snapshot,
		Why: "etcd begins with what the snapshot holds"}, made)
	votes := p.add(reconcile.Step{Action: reconcile.AwaitVoter, Target: founder.Name, Why: "the others join it"}, founded)
	for _, node := range cluster.ControlPlanes()[1:] {
		made := p.add(reconcile.Step{Action: reconcile.CreateMachine, Target: node.Name, Why: "it joins etcd as a learner"}, votes)
		p.add(reconcile.Step{Action: reconcile.AwaitVoter, Target: node.Name, Why: "the quorum is to survive the loss of one again"}, made)
	}
	return p.plan
}

func machineOf(seen provision.Observed, name string) provision.Machine {
	for _, machine := range seen.Machines {
		if machine.Name == name {
			return machine
		}
	}
	return provision.Machine{}
}

func isRunning(machines []provision.Machine, name string) bool {
	for _, machine := range machines {
		if machine.Name == name {
			return machine.State == provision.MachineRunning
		}
	}
	return false
}

// tidy plans what follows once Kubernetes answers again: it remembers nodes that are no more, and does not know those that
// came after the snapshot.
func tidy(cluster provision.Cluster, seen picture.Picture) reconcile.Plan {
	p := &planner{plan: reconcile.Plan{Cluster: cluster.Name}}
	desired, known := map[string]bool{}, map[string]string{}
	for _, node := range cluster.Nodes {
		desired[node.Name] = true
	}
	var ready []int
	for _, node := range seen.Nodes {
		if node.Kubernetes != nil {
			known[node.Kubernetes.Name] = node.Kubernetes.UID
		}
		if node.State == picture.Ghost {
			ready = append(ready, p.clear(node, desired)...)
		}
	}
	for _, node := range seen.Nodes {
		if node.State != picture.Running || node.Machine == nil || !desired[node.Name] {
			continue
		}
		var before []int
		if known[node.Name] == "" && node.Role == provision.Worker {
			before = append(before, p.add(reconcile.Step{Action: reconcile.RestartMachine, Target: node.Name, MachineID: node.Machine.ID,
				Why: "it joined after the snapshot, and a kubelet registers only when it starts"}))
		}
		ready = append(ready, p.add(reconcile.Step{Action: reconcile.AwaitReady, Target: node.Name, UID: known[node.Name],
			Why: "the recovered cluster is to be whole"}, before...))
	}
	p.add(reconcile.Step{Action: reconcile.TakeSnapshot, Target: cluster.Name, Why: "the recovered cluster has none of its own yet"}, ready...)
	return p.plan
}

// clear takes away what Kubernetes and discovery remember of a node that is no more. The Node of a desired name stays: the
// kubelet of the machine that was made anew takes it over.
func (p *planner) clear(node picture.Node, desired map[string]bool) []int {
	var steps []int
	if node.Kubernetes != nil && !desired[node.Kubernetes.Name] {
		steps = append(steps, p.add(reconcile.Step{Action: reconcile.DeleteNode, Target: node.Kubernetes.Name, UID: node.Kubernetes.UID,
			Why: "the snapshot remembers it, and it is no more"}))
	}
	if node.Affiliate != nil {
		steps = append(steps, p.add(reconcile.Step{Action: reconcile.ForgetAffiliate, Target: node.Name, NodeID: node.Affiliate.NodeID,
			Why: "discovery remembers it, and it is no more"}))
	}
	return steps
}
