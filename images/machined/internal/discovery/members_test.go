package discovery

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"
)

func TestMembersAreKeyedByTheirNames(t *testing.T) {
	heard := func(id, name string, second int64) affiliate {
		return affiliate{AffiliateSpec: cluster.AffiliateSpec{NodeID: id, Nodename: name}, first: time.Unix(second, 0)}
	}
	self := &cluster.AffiliateSpec{NodeID: "self", Nodename: "me"}

	tests := []struct {
		name   string
		self   *cluster.AffiliateSpec
		others []affiliate
		want   map[string]string
	}{
		{"none", nil, nil, map[string]string{}},
		{"the node itself", self, nil, map[string]string{"me": "self"}},
		{
			"names that differ", self, []affiliate{heard("1", "a", 1), heard("2", "b", 1)},
			map[string]string{"me": "self", "a": "1", "b": "2"},
		},
		{
			"the newer has the name", self, []affiliate{heard("0123456789", "a", 1), heard("9876543210", "a", 2)},
			map[string]string{"me": "self", "a": "9876543210", "a-01234567": "0123456789"},
		},
		{
			"whatever their order", self, []affiliate{heard("9876543210", "a", 2), heard("0123456789", "a", 1)},
			map[string]string{"me": "self", "a": "9876543210", "a-01234567": "0123456789"},
		},
		{
			"of one time, it is always the same", self, []affiliate{heard("b", "a", 1), heard("a", "a", 1)},
			map[string]string{"me": "self", "a": "a", "a-b": "b"},
		},
		{
			"nobody takes this node's name", self, []affiliate{heard("1", "me", 5)},
			map[string]string{"me": "self", "me-1": "1"},
		},
		{
			"IDs that begin alike", self, []affiliate{heard("012345678", "me", 1), heard("012345679", "me", 1)},
			map[string]string{"me": "self", "me-01234567": "012345678", "me-012345679": "012345679"},
		},
		{"no name yet", self, []affiliate{heard("1", "", 1)}, map[string]string{"me": "self"}},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := map[string]string{}
			for id, spec := range members(test.self, test.others) {
				got[id] = spec.NodeID
			}

			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
