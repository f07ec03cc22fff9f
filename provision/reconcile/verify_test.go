package reconcile

import (
	"strings"
	"testing"

	"github.com/bronze-os/bronze/provision/picture"
)

func TestRemnantNamesWhoStillKnowsTheRemoved(t *testing.T) {
	step := Step{Action: Verify, Target: "cp-3", UID: "uid", NodeID: "gone", MemberID: 3, Witnesses: []string{"cp-1", "cp-2"}}
	clean := func() map[string]picture.Interview { return saying(voters(1, 2), 1, 1, 2) }
	changed := func(change func(*picture.Interview)) map[string]picture.Interview {
		interviews := clean()
		interview := interviews["cp-2"]
		change(&interview)
		interviews["cp-2"] = interview
		return interviews
	}
	for _, test := range []struct {
		name       string
		interviews map[string]picture.Interview
		nodes      []picture.KubernetesNode
		why        string
	}{
		{"nobody does", clean(), []picture.KubernetesNode{{Name: "cp-1", UID: "other"}}, ""},
		{"Kubernetes does", clean(), []picture.KubernetesNode{{Name: "cp-3", UID: "uid"}}, "has the Node cp-3"},
		{"one that was made anew under its name is another", clean(), []picture.KubernetesNode{{Name: "cp-3", UID: "new"}}, ""},
		{"discovery does", changed(func(i *picture.Interview) { i.Affiliates = []picture.Affiliate{{NodeID: "gone"}} }), nil, "cp-2 still knows the affiliate"},
		{"a member list does", changed(func(i *picture.Interview) { i.Members = []string{"cp-3"} }), nil, "the member cp-3"},
		{"a member of that name that is another", changed(func(i *picture.Interview) {
			i.Members, i.Affiliates = []string{"cp-3"}, []picture.Affiliate{{NodeID: "new", Nodename: "cp-3"}}
		}), nil, ""},
		{"etcd does", saying(voters(1, 2, 3), 1, 1, 2), nil, "the etcd member 3"},
		{"a witness does not answer", changed(func(i *picture.Interview) { i.Error = "it hangs" }), nil, "cp-2 does not answer: it hangs"},
		{"a witness has died", saying(voters(1, 2), 1, 1), nil, "cp-2 does not answer: its machine"},
		{"etcd has no leader", saying(voters(1, 2), 0, 1, 2), nil, "who leads"},
	} {
		t.Run(test.name, func(t *testing.T) {
			why := remnant(step, test.interviews, test.nodes)
			if (why == "") != (test.why == "") || !strings.Contains(why, test.why) {
				t.Errorf("= %q, want %q", why, test.why)
			}
		})
	}
}
