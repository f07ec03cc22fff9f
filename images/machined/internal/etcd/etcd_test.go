package etcd

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func entry(id uint64, name, url string) *etcdserverpb.Member {
	return &etcdserverpb.Member{ID: id, Name: name, PeerURLs: []string{url}}
}

func TestPlaceOfANodeWithoutData(t *testing.T) {
	const own, other = "https://10.5.0.3:2380", "https://10.5.0.2:2380"

	tests := []struct {
		name    string
		members []*etcdserverpb.Member
		free    bool
		stale   uint64
	}{
		{"it is not in the list", []*etcdserverpb.Member{entry(1, "cp-1", other)}, false, 0},
		{"its entry never started", []*etcdserverpb.Member{entry(1, "cp-1", other), entry(2, "", own)}, true, 0},
		{"it did start and lost its data", []*etcdserverpb.Member{entry(1, "cp-1", other), entry(2, "cp-2", own)}, false, 2},
		{"another has its name", []*etcdserverpb.Member{entry(1, "cp-2", other)}, false, 0},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			free, stale := Member{Name: "cp-2", IP: netip.MustParseAddr("10.5.0.3")}.place(test.members)
			if free != test.free || stale != test.stale {
				t.Errorf("place = %t, %d, want %t, %d", free, stale, test.free, test.stale)
			}
		})
	}
}

func TestInitialClusterNamesEveryMember(t *testing.T) {
	m := Member{Name: "cp-2", IP: netip.MustParseAddr("10.5.0.3")}
	got := m.initialCluster([]*etcdserverpb.Member{
		entry(0x1a, "cp-1", "https://10.5.0.2:2380"), entry(2, "", "https://10.5.0.3:2380"), entry(0x3c, "", "https://10.5.0.4:2380"),
	})
	want := "3c=https://10.5.0.4:2380,cp-1=https://10.5.0.2:2380,cp-2=https://10.5.0.3:2380"

	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestOnlyOtherVotersAreAskedToPromote(t *testing.T) {
	seen := view{members: []peer{
		{ID: 1, PeerURLs: []string{"https://10.5.0.2:2380"}, ClientURLs: []string{"https://10.5.0.2:2379"}},
		{ID: 2, PeerURLs: []string{"https://10.5.0.3:2380"}, ClientURLs: []string{"https://10.5.0.3:2379"}, IsLearner: true},
		{ID: 3, PeerURLs: []string{"https://10.5.0.4:2380"}, ClientURLs: []string{"https://10.5.0.4:2379"}, IsLearner: true},
		{ID: 4, PeerURLs: []string{"https://10.5.0.5:2380"}},
	}}

	if diff := cmp.Diff([]string{"10.5.0.2:2379"}, seen.others("https://10.5.0.3:2380")); diff != "" {
		t.Error(diff)
	}
}

func TestSnapshotIsKeptWholeOrNotAtAll(t *testing.T) {
	m := newMember(t, t.TempDir(), "cp", "127.0.1.1")

	if err := m.Upload(&failing{strings.NewReader("half")}); err == nil || m.HasSnapshot() {
		t.Errorf("Upload of a stream that breaks off = %v, kept %t", err, m.HasSnapshot())
	}

	if err := m.Upload(strings.NewReader("")); err == nil || m.HasSnapshot() {
		t.Errorf("Upload of nothing = %v, kept %t", err, m.HasSnapshot())
	}

	if err := m.Upload(strings.NewReader("whole")); err != nil || !m.HasSnapshot() {
		t.Errorf("Upload = %v, kept %t", err, m.HasSnapshot())
	}
}
