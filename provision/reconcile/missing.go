package reconcile

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
)

// Missing is what is done about a desired node whose machine is gone.
type Missing string

// The policies for missing nodes.
const (
	// ForgetMissing clears a node out of all that knows it.
	ForgetMissing Missing = "forget"
	// ReplaceMissing does that too, and makes a fresh node of the same kind under another name and address.
	ReplaceMissing Missing = "replace"
	// ResurrectMissing makes the machine anew on the volumes that survive it: the same node comes back.
	ResurrectMissing Missing = "resurrect"
)

// ParseMissing reads a policy's name.
func ParseMissing(name string) (Missing, error) {
	policy := Missing(name)
	if !slices.Contains([]Missing{ForgetMissing, ReplaceMissing, ResurrectMissing}, policy) {
		return "", provision.WithHint(fmt.Errorf("cannot do %q about missing nodes", name), "choose forget, replace or resurrect")
	}
	return policy, nil
}

// Facts are what a plan needs beside the picture.
type Facts struct {
	// Record is the cluster as it is desired. A replacement's machine config is that of the node it replaces.
	Record provision.Record
	// Balancer is the state of the balancer's machine; empty where the engine has none.
	Balancer provision.MachineState
	// Seen are the sightings up to the picture, which was taken at At. What has been missing for less than Interval is
	// left alone still; 0 means that the user is sure.
	Seen     Sightings
	At       time.Time
	Interval time.Duration
}

// PlanMissing plans what is to be done about nodes that are missing, and about ghosts. It touches no node that has a
// machine, whatever that is or is not doing, and does nothing about a node while a source that is to forget it does not
// answer. Control planes go one after the other, each verified before the next.
func PlanMissing(p picture.Picture, facts Facts, missing Missing) Plan {
	m := &missingPlan{
		Plan: Plan{Cluster: p.Cluster, Steps: []Step{}, Configs: map[string][]byte{}}, picture: p, facts: facts, missing: missing,
		taken: takenIn(facts.Record.Cluster, p), votes: votesOf(p.Quorum),
	}
	if why, silent := p.Silent[picture.Engine]; silent {
		m.refuse(p.Cluster, "the engine does not answer, which proves nothing: "+why, "run it again when the engine answers")
		return m.Plan
	}
	if m.isUnbalanced() {
		return m.Plan
	}
	var births []picture.Node
	for _, node := range p.Nodes {
		switch {
		case node.State != picture.Missing && node.State != picture.Ghost && !isHalfMade(node):
			m.leave(node)
		case m.isYoung(node):
		case isHalfMade(node) || m.isUnborn(node) && missing != ForgetMissing:
			births = append(births, node)
		case node.State == picture.Missing && missing == ResurrectMissing:
			m.resurrect(node)
		default:
			m.clear(node)
		}
	}
	// Remove before add.
	for _, node := range births {
		m.create(*node.Desired, "it is desired, and what was to make it ended before", nil)
	}
	return m.Plan
}

// isUnbalanced tells whether the cluster's balancer is gone, which is made again before anything else: without it nobody
// can be asked. It holds nothing that could be lost.
func (m *missingPlan) isUnbalanced() bool {
	balancer := m.facts.Record.Cluster.Balancer
	if balancer == nil || m.facts.Balancer == provision.MachineRunning {
		return false
	}
	if m.facts.Balancer == "" || m.facts.Balancer == provision.MachineCreated {
		m.add(Step{Action: CreateBalancer, Target: balancer.Name, Why: "the engine has no balancer of the cluster that runs"})
		m.note("all else is looked at once the balancer carries the cluster's APIs")
		m.again = true
		return true
	}
	m.note("%s is %s: bronze cluster start %s", balancer.Name, m.facts.Balancer, m.Cluster)
	return false
}

// missingPlan is a plan in the making.
type missingPlan struct {
	Plan
	picture picture.Picture
	facts   Facts
	missing Missing
	taken   taken
	votes   votes
	// turn are the steps that end the work on a control plane; the next one comes after them.
	turn []int
}

func (m *missingPlan) add(step Step) int {
	m.Steps = append(m.Steps, step)
	return len(m.Steps) - 1
}

func (m *missingPlan) note(format string, args ...any) {
	m.Notes = append(m.Notes, fmt.Sprintf(format, args...))
}

func (m *missingPlan) refuse(node, why, offer string) {
	m.Refusals = append(m.Refusals, Refusal{Node: node, Why: why, Offer: offer})
}

// leave tells of a node that is not as it should be and is not for this plan to touch.
func (m *missingPlan) leave(node picture.Node) {
	cure := map[picture.State]string{
		picture.Paused:      "that is not dead; bronze cluster resume " + m.Cluster,
		picture.Stopped:     "bronze cluster start " + m.Cluster,
		picture.Restarting:  "it may come back by itself, or bronze cluster start " + m.Cluster,
		picture.Unreachable: "it is left alone, as nothing proves that it is gone",
		picture.Foreign:     "it is left alone; bronze node add --adopt makes a machine with the cluster's labels one of its nodes",
	}[node.State]
	if cure != "" {
		m.note("%s is %s: %s (%s)", node.Name, node.State, node.Why, cure)
	}
}

// isYoung tells whether the node is not missing for long enough yet, and says so.
func (m *missingPlan) isYoung(node picture.Node) bool {
	left := m.facts.Interval - m.facts.At.Sub(m.facts.Seen.since(node, m.facts.At))
	if m.facts.Interval == 0 || left <= 0 {
		return false
	}
	m.waits = max(m.waits, left)
	m.note("%s is %s: %s; nothing is done before it was seen so twice, %s apart (--now does not wait)",
		node.Name, node.State, node.Why, m.facts.Interval)
	return true
}

// isUnborn tells whether a node is desired that no source has ever known: what was to make it died before.
func (m *missingPlan) isUnborn(node picture.Node) bool {
	return node.State == picture.Missing && node.KnownID == "" && len(node.Volumes) == 0 &&
		node.Kubernetes == nil && node.Affiliate == nil && node.Etcd == nil && len(m.silences(node)) == 0
}

// isHalfMade tells whether what made the node's machine died before it started it. Nobody else can be making it, as the
// cluster is locked.
func isHalfMade(node picture.Node) bool {
	return node.Desired != nil && node.Machine != nil && node.Machine.State == provision.MachineCreated
}

// silences says which sources that could know the node do not answer.
func (m *missingPlan) silences(node picture.Node) []error {
	var silent []error
	for _, source := range []picture.Source{picture.Kubernetes, picture.Discovery, picture.Etcd} {
		why, is := m.picture.Silent[source]
		if is && (source != picture.Etcd || isControlPlane(node)) {
			silent = append(silent, fmt.Errorf("%s does not answer: %s", source, why))
		}
	}
	return silent
}

func isControlPlane(node picture.Node) bool {
	return node.Role == provision.ControlPlane || node.Etcd != nil
}

// clear takes a node out of all that knows it, and out of the desired state last: until then it is found again.
func (m *missingPlan) clear(node picture.Node) {
	if !m.mayClear(node) {
		return
	}
	who := m.identify(node)
	var before []int
	if isControlPlane(node) {
		before = m.turn
	}
	if node.Etcd != nil {
		before = m.removeMember(node, who, before)
	}
	done := m.erase(node, who, before)
	successor := m.successor(node)
	desired := []int(nil)
	if node.State == picture.Missing {
		if successor != nil {
			desired = m.desire(node, *successor, before)
		}
		forget := who
		forget.Action, forget.Why, forget.After = Forget, "all that knew it has been told", slices.Concat(done, desired)
		done = []int{m.add(forget)}
	}
	verify := who
	verify.Action, verify.After, verify.Absent = Verify, done, false
	verify.Witnesses = m.witnesses(node)
	verify.Why = "what is left must agree that it is gone"
	verified := m.add(verify)
	if isControlPlane(node) {
		m.turn = []int{verified}
		desired = m.turn
	}
	if successor != nil {
		m.create(*successor, "it replaces "+node.Name, desired)
	}
}

// identify is a step with all by which the node is known, and no action.
func (m *missingPlan) identify(node picture.Node) Step {
	step := Step{Target: node.Name, MachineID: node.KnownID, Absent: true}
	for _, other := range m.picture.Nodes {
		// A ghost may have the name of one that lives: then only its identities tell them apart.
		if other.Machine != nil && other.Machine.Name == node.Name {
			step.Absent = false
		}
	}
	if node.Kubernetes != nil {
		step.Target, step.UID = node.Kubernetes.Name, node.Kubernetes.UID
	}
	if node.Affiliate != nil {
		step.NodeID = node.Affiliate.NodeID
	}
	if node.Etcd != nil {
		step.MemberID = node.Etcd.ID
	}
	if node.Desired != nil {
		step.Target = node.Desired.Name
	}
	return step
}

// removeMember plans a snapshot and the removal of a dead member.
func (m *missingPlan) removeMember(node picture.Node, who Step, before []int) []int {
	after := m.votes.without(*node.Etcd)
	m.note("etcd: %s; after removing %s (member %s): %s", m.votes, node.Name, memberName(node.Etcd.ID), after)
	if after.members%2 == 0 && m.missing != ReplaceMissing {
		m.note("etcd of %d members survives no more failures than of %d: --missing replace brings another", after.members, after.members-1)
	}
	m.votes = after
	snapshot := m.add(Step{Action: TakeSnapshot, Target: m.Cluster, Why: "before a member is removed", After: before})
	who.Action, who.After = RemoveMember, []int{snapshot}
	who.Why = fmt.Sprintf("member %s is dead, and the others are a majority", memberName(node.Etcd.ID))
	return []int{m.add(who)}
}

// erase plans what makes Kubernetes, discovery and the engine forget the node, side by side.
func (m *missingPlan) erase(node picture.Node, who Step, before []int) []int {
	done := before
	step := func(action Action, why string, after []int) []int {
		who.Action, who.Why, who.After = action, why, after
		return []int{m.add(who)}
	}
	if node.Kubernetes != nil {
		released := step(ReleasePods, "its pods and volumes are free for others at once", before)
		done = slices.Concat(done, step(DeleteNode, fmt.Sprintf("its machine is gone; UID %s", who.UID), released))
	}
	if node.Affiliate != nil {
		done = slices.Concat(done, step(ForgetAffiliate, fmt.Sprintf("%d living nodes still know it", len(node.HeardBy)), before))
	}
	if len(node.Volumes) > 0 {
		done = slices.Concat(done, step(RemoveVolumes, fmt.Sprintf("its %d volumes survived it", len(node.Volumes)), before))
	}
	return done
}

// successor is the node that is to replace a missing one: a fresh one, unless an earlier run has desired it already; nil
// where none is to be made.
func (m *missingPlan) successor(node picture.Node) *provision.Node {
	if node.State != picture.Missing || m.missing != ReplaceMissing {
		return nil
	}
	for _, other := range m.facts.Record.Cluster.Nodes {
		if other.Replaces == node.Name {
			return nil
		}
	}
	fresh, err := m.taken.next(m.facts.Record.Cluster, node.Role, 1)
	if err != nil {
		m.refuse(node.Name, "it cannot be replaced: "+err.Error(), "remove nodes that are not needed")
		return nil
	}
	successor := *node.Desired
	successor.Name, successor.IP, successor.Replaces, successor.Joining = fresh[0].Name, fresh[0].IP, node.Name, false
	return &successor
}

func (m *missingPlan) desire(node picture.Node, successor provision.Node, after []int) []int {
	m.Configs[successor.Name] = m.facts.Record.Configs[node.Name]
	return []int{m.add(Step{
		Action: Desire, Target: successor.Name, Node: &successor, After: after,
		Why: fmt.Sprintf("it replaces %s, with another name and address", node.Name),
	})}
}

// create plans a desired node's machine, and the waiting for it. A control plane has its turn after all others.
func (m *missingPlan) create(node provision.Node, why string, after []int) {
	if node.Role == provision.ControlPlane {
		after = slices.Concat(after, m.turn)
		slices.Sort(after)
		after = slices.Compact(after)
	}
	last := m.launch(node, Step{Action: CreateMachine, Target: node.Name, Why: why, After: after})
	if node.Role != provision.ControlPlane {
		return
	}
	m.votes = m.votes.with()
	m.turn = []int{m.add(Step{
		Action: Verify, Target: node.Name, Why: "all members must have the same list before another control plane is touched", After: last,
	})}
}

// launch adds the step that makes or starts a machine, and the waiting until the node does its part.
func (m *missingPlan) launch(node provision.Node, step Step) (last []int) {
	last = []int{m.add(step)}
	if node.Role == provision.ControlPlane {
		last = []int{m.add(Step{Action: AwaitVoter, Target: node.Name, Why: "etcd needs its vote", After: last})}
	}
	if m.facts.Record.Cluster.Expect.NodesReady {
		last = []int{m.add(Step{Action: AwaitReady, Target: node.Name, UID: step.UID, Why: "it is to run pods", After: last})}
	}
	return last
}

// resurrect makes the machine of a missing node anew, where what makes it that node has survived.
func (m *missingPlan) resurrect(node picture.Node) {
	replace := fmt.Sprintf("bronze cluster reconcile %s --missing replace", m.Cluster)
	if why := lostForGood(node); why != nil {
		m.refuse(node.Name, why.Error(), replace)
		return
	}
	_, silent := m.picture.Silent[picture.Etcd]
	if node.Role == provision.ControlPlane && node.Etcd == nil && !silent {
		m.refuse(node.Name, "etcd does not list it any more, so that its data is of no use", replace)
		return
	}
	step := m.identify(node)
	step.Action, step.Why = CreateMachine, "it comes back on the volumes that survived it"
	m.launch(*node.Desired, step)
}

// lostForGood tells why a node cannot come back as the one it was.
func lostForGood(node picture.Node) error {
	needed := []string{boot.StatePath}
	if node.Role == provision.ControlPlane {
		needed = append(needed, boot.EphemeralPath)
	}
	var errs []error
	for _, path := range needed {
		if !slices.ContainsFunc(node.Volumes, func(v provision.Volume) bool { return v.Path == path }) {
			errs = append(errs, fmt.Errorf("its volume for %s did not survive", path))
		}
	}
	return errors.Join(errs...)
}

// witnesses are two living nodes, or the only one, the control planes first.
func (m *missingPlan) witnesses(removed picture.Node) []string {
	var names []string
	for _, node := range m.picture.Nodes {
		if node.State == picture.Running && node.Name != removed.Name && len(names) < 2 {
			names = append(names, node.Name)
		}
	}
	return names
}
