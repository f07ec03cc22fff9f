package operate_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/client"
	clientconfig "github.com/siderolabs/talos/pkg/machinery/client/config"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/operate"
	"github.com/bronze-os/bronze/provision/operate/operatetest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// open finds the nodes of a cluster of its own.
func open(t *testing.T, nodes ...string) (*operate.Fleet, *operatetest.Cluster) {
	t.Helper()
	cluster := operatetest.Start(t)
	fleet, err := operate.Open(cluster.Talosconfig(t, nodes...), operate.Target{})
	must(t, err)
	t.Cleanup(func() { must(t, fleet.Close()) })
	return fleet, cluster
}

func limited(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestTargetThatIsNotWholeNamesTheCure(t *testing.T) {
	config := &clientconfig.Config{Context: "dev", Contexts: map[string]*clientconfig.Context{
		"dev": {Endpoints: []string{"10.5.0.2"}}, "lost": {Nodes: []string{"10.5.0.2"}},
	}}
	for name, test := range map[string]struct {
		target operate.Target
		want   string
	}{
		"no nodes":          {operate.Target{}, "--nodes"},
		"no endpoints":      {operate.Target{Context: "lost"}, "--endpoints"},
		"no such context":   {operate.Target{Context: "other", Nodes: []string{"10.5.0.2"}}, `"other"`},
		"insecure, no node": {operate.Target{}, "--nodes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := operate.Open(config, test.target)
			if strings.HasPrefix(name, "insecure") {
				_, err = operate.OpenInsecure(test.target, nil)
			}
			if text := strings.Join(append(provision.Hints(err), errors.Join(err).Error()), "\n"); !strings.Contains(text, test.want) {
				t.Errorf("error %q does not name %q", text, test.want)
			}
		})
	}
}

func TestAnswersStandInTheNodesOrderAndADeadOneLeavesThemWhole(t *testing.T) {
	fleet, _ := open(t, operatetest.Worker, operatetest.Dead, operatetest.ControlPlane, operatetest.Worker)
	versions, err := fleet.Versions(limited(t))
	var got []string
	for _, answer := range versions {
		got = append(got, answer.Node, answer.Message.GetPlatform().GetName())
	}
	want := []string{operatetest.Worker, operatetest.Worker, operatetest.ControlPlane, operatetest.ControlPlane}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if client.StatusCode(err) != codes.Unavailable || err.Error() != "node 10.5.0.9: machine API does not answer: no route to host" {
		t.Errorf("error %v", err)
	}
}

func TestLinesOfSeveralNodesStayWhole(t *testing.T) {
	fleet, _ := open(t, operatetest.ControlPlane, operatetest.Worker)
	got := map[string][]string{}
	must(t, fleet.Logs(limited(t), operate.LogQuery{ID: "kubelet", Tail: -1}, func(line operate.Line) error {
		got[line.Node] = append(got[line.Node], line.Text)
		return nil
	}))
	want := map[string][]string{
		operatetest.ControlPlane: {"first of 10.5.0.2", "second", "third without an end"},
		operatetest.Worker:       {"first of 10.5.0.3", "second", "third without an end"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFollowingEndsWithItsContext(t *testing.T) {
	fleet, _ := open(t, operatetest.ControlPlane, operatetest.Worker)
	ctx, cancel := context.WithCancel(limited(t))
	defer cancel()
	heard := 0
	err := fleet.Logs(ctx, operate.LogQuery{ID: "kubelet", Follow: true, Tail: -1}, func(operate.Line) error {
		if heard++; heard == 4 {
			// Two whole lines of each: the third waits for its end.
			cancel()
		}
		return nil
	})
	if err != nil || heard < 4 {
		t.Errorf("heard %d lines, error %v", heard, err)
	}
}

func TestEventsOfUnknownKindsAreLeftOut(t *testing.T) {
	fleet, _ := open(t, operatetest.Worker)
	var got []string
	must(t, fleet.Events(limited(t), operate.EventQuery{Tail: -1}, func(event operate.Event) error {
		got = append(got, event.ID+" "+event.Type)
		return nil
	}))
	if diff := cmp.Diff([]string{"id-0 machine.SequenceEvent", "id-1 machine.ServiceStateEvent"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestResourcesHaveTheColumnsOfTheirDefinition(t *testing.T) {
	fleet, _ := open(t, operatetest.ControlPlane)
	var got [][]string
	must(t, fleet.Resources(limited(t), operate.ResourceQuery{Type: "member"}, func(r operate.Resource) error {
		row, err := r.Row()
		got = append(got, r.ResourceColumns(), row)
		return err
	}))
	heading := []string{"NODE", "NAMESPACE", "TYPE", "ID", "VERSION", "HOSTNAME", "MACHINE TYPE", "OS", "ADDRESSES"}
	want := [][]string{
		heading, {"10.5.0.2", "cluster", "Member", "node-10.5.0.2", "1", "node-10.5.0.2", "controlplane", "", `["10.5.0.2"]`},
		heading, {"10.5.0.2", "cluster", "Member", "node-10.5.0.3", "1", "node-10.5.0.3", "worker", "", `["10.5.0.3"]`},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestUnknownResourcesAreErrors(t *testing.T) {
	fleet, _ := open(t, operatetest.ControlPlane)
	for query, want := range map[operate.ResourceQuery]string{
		{Type: "nonsense"}:                `cannot find a resource type "nonsense"`,
		{Type: "members", ID: "nonsense"}: "doesn't exist",
	} {
		err := fleet.Resources(limited(t), query, func(operate.Resource) error { return nil })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: error %v, want %q", query, err, want)
		}
	}
}

func TestWatchTellsOfChanges(t *testing.T) {
	fleet, cluster := open(t, operatetest.Worker)
	ctx, cancel := context.WithCancel(limited(t))
	defer cancel()
	var got []string
	must(t, fleet.WatchResources(ctx, operate.ResourceQuery{Type: "mc", ID: "v1alpha1"}, func(r operate.Resource) error {
		got = append(got, r.Event+r.Resource.Metadata().ID())
		if len(got) == 1 {
			_, err := fleet.Apply(ctx, []byte(cluster.Node(operatetest.Worker).Config()), operate.Application{})
			return err
		}
		cancel()
		return nil
	}))
	if diff := cmp.Diff([]string{"+v1alpha1", " v1alpha1"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestPatchChangesEachNodesOwnConfig(t *testing.T) {
	fleet, cluster := open(t, operatetest.ControlPlane, operatetest.Worker)
	patches := []string{`{"machine":{"nodeLabels":{"pool":"x"}}}`, `[{"op":"replace","path":"/machine/nodeLabels/zone","value":"b"}]`}
	dry := operate.Application{DryRun: true}
	answers, err := fleet.PatchConfig(limited(t), patches, dry)
	must(t, err)
	if len(answers) != 2 || !strings.Contains(answers[0].Message.GetModeDetails(), "Dry run") {
		t.Errorf("answers %v", answers)
	}
	for _, address := range fleet.Nodes() {
		if config := cluster.Node(address).Config(); strings.Contains(config, "pool: x") {
			t.Errorf("a dry run changed %s", address)
		}
	}
	_, err = fleet.PatchConfig(limited(t), patches, operate.Application{})
	must(t, err)
	for _, address := range fleet.Nodes() {
		config := cluster.Node(address).Config()
		if !strings.Contains(config, "pool: x") || !strings.Contains(config, "zone: b") || !strings.Contains(config, "HostnameConfig") {
			t.Errorf("%s runs with\n%s", address, config)
		}
	}
}

func TestMaintenanceNodeIsKnownByItsFingerprint(t *testing.T) {
	node := operatetest.StartMaintenance(t)
	config := []byte("version: v1alpha1\nmachine:\n  type: worker\n")
	apply := func(fingerprints ...string) error {
		fleet, err := operate.OpenInsecure(operate.Target{Nodes: []string{node.Address}}, fingerprints)
		if err != nil {
			return err
		}
		defer fleet.Close()
		_, err = fleet.Apply(limited(t), config, operate.Application{})
		return err
	}
	other := operatetest.StartMaintenance(t).Fingerprint
	if err := apply(other); err == nil || !strings.Contains(err.Error(), "fingerprint") || node.Config() != "" {
		t.Errorf("a node with another certificate took the config: %v", err)
	}
	if err := apply("non sense"); err == nil || !strings.Contains(err.Error(), `cannot read certificate fingerprint "non sense"`) {
		t.Errorf("error %v", err)
	}
	must(t, apply(other, node.Fingerprint))
	if diff := cmp.Diff(string(config), node.Config()); diff != "" {
		t.Error(diff)
	}
}

func TestRebootIsOverInAnotherRun(t *testing.T) {
	fleet, _ := open(t, operatetest.Worker)
	ctx := limited(t)
	before, err := fleet.Boots(ctx)
	must(t, err)
	must(t, fleet.Reboot(ctx, machine.RebootRequest_DEFAULT))
	var whys []string
	must(t, fleet.AwaitBoot(ctx, before, func(_, why string) { whys = append(whys, why) }))
	if len(whys) == 0 || !strings.Contains(whys[0], "no route to host") {
		t.Errorf("waited for %q", whys)
	}
	after, err := fleet.Boots(ctx)
	must(t, err)
	if after[operatetest.Worker].Equal(before[operatetest.Worker]) {
		t.Error("it is the same run")
	}
}

func TestShutdownIsOverWhenNobodyAnswers(t *testing.T) {
	fleet, _ := open(t, operatetest.Worker)
	ctx := limited(t)
	must(t, fleet.Shutdown(ctx, false))
	must(t, fleet.AwaitDown(ctx, func(string, string) {}))
	if _, err := fleet.Versions(ctx); client.StatusCode(err) != codes.Unavailable {
		t.Errorf("error %v of a node that is down", err)
	}
}

func TestBootstrapSendsTheSnapshotFirst(t *testing.T) {
	fleet, cluster := open(t, operatetest.ControlPlane)
	must(t, fleet.Bootstrap(limited(t), strings.NewReader("backup"), false))
	if got := cluster.Node(operatetest.ControlPlane).Uploaded(); got != "backup" {
		t.Errorf("uploaded %q", got)
	}
	err := fleet.Bootstrap(limited(t), nil, false)
	if client.StatusCode(err) != codes.AlreadyExists || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("error %v of a second bootstrap", err)
	}
}

func TestWhatIsForOneNodeRefusesSeveral(t *testing.T) {
	fleet, _ := open(t, operatetest.ControlPlane, operatetest.Worker)
	ctx := limited(t)
	_, snapshot := fleet.EtcdSnapshot(ctx, &bytes.Buffer{})
	for name, err := range map[string]error{
		"bootstrap": fleet.Bootstrap(ctx, nil, false),
		"snapshot":  snapshot,
		"read":      fleet.Read(ctx, "/etc/os-release", &bytes.Buffer{}),
		"defrag":    fleet.EtcdDefragment(ctx),
	} {
		if err == nil || !strings.Contains(err.Error(), "on 2 nodes at once") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestSnapshotIsCheckedAsItComes(t *testing.T) {
	fleet, _ := open(t, operatetest.ControlPlane)
	var content bytes.Buffer
	size, err := fleet.EtcdSnapshot(limited(t), &content)
	if err != nil || size != int64(content.Len()) || size != 20032 {
		t.Errorf("%d bytes, said %d, error %v", content.Len(), size, err)
	}
}

func TestCopyStaysBelowItsDirectory(t *testing.T) {
	fleet, _ := open(t, operatetest.Worker)
	outer := t.TempDir()
	inner := filepath.Join(outer, "inner")
	must(t, fleet.Copy(limited(t), "/etc", inner))
	content, err := os.ReadFile(filepath.Join(inner, "etc", "os-release"))
	if err != nil || string(content) != "ID=x" {
		t.Errorf("content %q, error %v", content, err)
	}
	entries, err := os.ReadDir(outer)
	if err != nil || len(entries) != 1 {
		t.Errorf("beside the directory is %v, %v", entries, err)
	}
	if _, err := os.Stat(filepath.Join(inner, "escaped")); err != nil {
		t.Errorf("the file whose path leads out is not kept below: %v", err)
	}
}

func TestHealthOnServerHandsOnWhatTheNodeSays(t *testing.T) {
	fleet, _ := open(t, operatetest.ControlPlane)
	var got []string
	must(t, fleet.HealthOnServer(limited(t), operate.HealthQuery{Patience: time.Minute}, func(text string) { got = append(got, text) }))
	if len(got) != 2 || got[1] != "waiting for etcd to be healthy: OK" {
		t.Errorf("heard %q", got)
	}
}
