package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/bronze-os/bronze/provision/picture"
)

// whyNotWhole tells why the step's removed node is not gone for all yet.
func (d *doing) whyNotWhole(ctx context.Context, step Step) (string, error) {
	interviews, err := d.interviews(ctx)
	if err != nil {
		return "", err
	}
	_, api, err := d.apis.both(ctx)
	if err != nil {
		return "", err
	}
	nodes, err := api.Nodes(ctx)
	if err != nil {
		return "", err
	}
	return remnant(step, interviews, nodes), nil
}

// remnant names what of the step's removed node is still known, and to whom. All witnesses must answer, and all that
// answer must know nothing of it.
func remnant(step Step, interviews map[string]picture.Interview, nodes []picture.KubernetesNode) string {
	for _, node := range nodes {
		if step.UID != "" && node.UID == step.UID {
			return "Kubernetes still has the Node " + node.Name
		}
	}
	for _, name := range step.Witnesses {
		if interview, asked := interviews[name]; !asked || interview.Error != "" {
			return name + " does not answer: " + cmp.Or(interview.Error, "its machine does not run")
		}
	}
	heard, members := 0, 0
	for _, name := range slices.Sorted(maps.Keys(interviews)) {
		interview := interviews[name]
		if interview.Error != "" {
			continue
		}
		heard++
		if interview.Etcd != nil {
			members++
		}
		if what := knows(interview, step); what != "" {
			return name + " still knows " + what
		}
	}
	switch {
	case heard == 0:
		return "no node answers"
	case members == 0:
		return "no etcd member answers"
	}
	if _, err := consensus(interviews); err != nil {
		return err.Error()
	}
	return ""
}

// knows names what the interviewed node still knows of the step's removed node.
func knows(interview picture.Interview, step Step) string {
	named := false
	for _, affiliate := range interview.Affiliates {
		if step.NodeID != "" && affiliate.NodeID == step.NodeID {
			return "the affiliate of " + step.Target
		}
		named = named || affiliate.Nodename == step.Target
	}
	// One that lives under the name of the removed is another.
	if step.NodeID != "" && !named && slices.Contains(interview.Members, step.Target) {
		return "the member " + step.Target
	}
	if interview.Etcd == nil {
		return ""
	}
	for _, member := range interview.Etcd.Members {
		if step.MemberID != 0 && member.ID == step.MemberID {
			return fmt.Sprintf("the etcd member %x", member.ID)
		}
	}
	return ""
}
