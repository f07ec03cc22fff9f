package resources

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"

	"github.com/bronze-os/bronze/images/machined/internal/service"
)

func prefixes(texts ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}

	return all
}

func TestNodeAddressesKeepTheMainOneAndRememberAll(t *testing.T) {
	tests := []struct {
		name string
		seen [][]netip.Prefix
		want map[string][]netip.Prefix
	}{
		{
			"none", [][]netip.Prefix{nil},
			map[string][]netip.Prefix{"current": nil, "routed": nil, "accumulative": nil},
		},
		{
			"IPv4 before IPv6", [][]netip.Prefix{prefixes("fd00::2/64", "10.5.0.2/24")},
			map[string][]netip.Prefix{
				"default": prefixes("10.5.0.2/24"), "current": prefixes("fd00::2/64", "10.5.0.2/24"),
				"routed": prefixes("fd00::2/64", "10.5.0.2/24"), "accumulative": prefixes("fd00::2/64", "10.5.0.2/24"),
			},
		},
		{
			"the first stays", [][]netip.Prefix{prefixes("10.5.0.2/24"), prefixes("10.4.0.1/24", "10.5.0.2/24")},
			map[string][]netip.Prefix{
				"default": prefixes("10.5.0.2/24"), "current": prefixes("10.4.0.1/24", "10.5.0.2/24"),
				"routed": prefixes("10.4.0.1/24", "10.5.0.2/24"), "accumulative": prefixes("10.5.0.2/24", "10.4.0.1/24"),
			},
		},
		{
			"one that went is remembered", [][]netip.Prefix{prefixes("10.5.0.2/24"), prefixes("10.4.0.1/24")},
			map[string][]netip.Prefix{
				"default": prefixes("10.4.0.1/24"), "current": prefixes("10.4.0.1/24"),
				"routed": prefixes("10.4.0.1/24"), "accumulative": prefixes("10.5.0.2/24", "10.4.0.1/24"),
			},
		},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var addresses nodeAddresses
			for _, now := range test.seen {
				addresses = addresses.next(now)
			}

			same := cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
			if diff := cmp.Diff(test.want, addresses.byID(), same); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestServiceEventsTellOnlyWhatIsNew(t *testing.T) {
	started := service.Event{Time: time.Unix(1, 0), State: service.Running, Message: "started"}
	stopping := service.Event{Time: time.Unix(2, 0), State: service.Stopping, Message: "stopping"}
	before := service.Status{ID: "etcd", State: service.Running, Health: service.Health{Unknown: true}, Events: []service.Event{started}}

	tests := []struct {
		name  string
		after service.Status
		want  []string
	}{
		{"nothing", before, nil},
		{
			"a new state", service.Status{Health: before.Health, Events: []service.Event{started, stopping}},
			[]string{"STOPPING stopping"},
		},
		{
			"good health", service.Status{State: service.Running, Health: service.Health{Healthy: true}, Events: before.Events},
			[]string{"RUNNING health check succeeded"},
		},
		{
			"bad health", service.Status{State: service.Running, Health: service.Health{Message: "refused"}, Events: before.Events},
			[]string{"RUNNING health check failed: refused"},
		},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, event := range serviceEvents(before, test.after) {
				got = append(got, event.Action.String()+" "+event.Message)
			}

			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestUnmetServicesNameWhatIsMissing(t *testing.T) {
	got := unmetServices([]service.Status{
		{ID: "trustd", State: service.Running, Health: service.Health{Unknown: true}},
		{ID: "apid", State: service.Running, Health: service.Health{Healthy: true}, Checked: true},
		{ID: "stopped", State: service.Finished},
		{ID: "etcd", State: service.Waiting},
		{ID: "kubelet", State: service.Running, Health: service.Health{Message: "refused"}, Checked: true},
		{ID: "containerd", State: service.Running, Health: service.Health{Unknown: true}, Checked: true},
		{ID: "flanneld", State: service.Initialized},
	})
	want := []runtime.UnmetCondition{{Name: "services", Reason: "not running and healthy: etcd, kubelet, containerd, flanneld"}}

	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	if len(unmetServices(nil)) == 0 {
		t.Error("a node without services is ready")
	}
}

const kubeletAnswer = `{"items":[
  {"metadata":{"name":"kube-apiserver-a","namespace":"kube-system","annotations":{"kubernetes.io/config.source":"file"}},
   "status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}},
  {"metadata":{"name":"kube-scheduler-a","namespace":"kube-system","annotations":{"kubernetes.io/config.source":"file"}},
   "status":{"phase":"Pending","conditions":[{"type":"Ready","status":"False"}]}},
  {"metadata":{"name":"coredns-x","namespace":"kube-system","annotations":{"kubernetes.io/config.source":"api"}},"status":{}}]}`

func TestStaticPodsAreToldFromOthers(t *testing.T) {
	pods, err := staticPods(strings.NewReader(kubeletAnswer))
	if err != nil {
		t.Fatal(err)
	}

	var got []string
	for _, p := range pods {
		got = append(got, p.id())
	}

	if diff := cmp.Diff([]string{"kube-system/kube-apiserver-a", "kube-system/kube-scheduler-a"}, got); diff != "" {
		t.Error(diff)
	}

	if allReady(pods, nil) || !allReady(pods[:1], nil) || allReady(pods[:1], []string{"a", "b"}) {
		t.Error("readiness of pods is misread")
	}
}

func TestUnmetPodsNameWhatIsMissing(t *testing.T) {
	pods, err := staticPods(strings.NewReader(kubeletAnswer))
	if err != nil {
		t.Fatal(err)
	}

	var published []*k8s.StaticPodStatus

	for _, p := range pods {
		status := k8s.NewStaticPodStatus(k8s.NamespaceName, p.id())
		status.TypedSpec().PodStatus = p.Status
		published = append(published, status)
	}

	got := unmetPods(published, []string{"kube-apiserver", "kube-scheduler", "kube-controller-manager"})
	want := []runtime.UnmetCondition{{Name: "staticPods", Reason: "not ready: kube-scheduler, kube-controller-manager"}}

	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAMachineBootsUntilEverythingWorked(t *testing.T) {
	missing := []runtime.UnmetCondition{{Name: "services", Reason: "etcd"}}
	unready := []runtime.UnmetCondition{{Name: "nodeReady", Reason: "no network yet"}}
	booting, running, rebooting := runtime.MachineStageBooting, runtime.MachineStageRunning, runtime.MachineStageRebooting

	steps := []struct {
		stage runtime.MachineStage
		unmet []runtime.UnmetCondition
		want  runtime.MachineStage
	}{
		{booting, nil, booting},
		{running, missing, booting},
		{running, unready, running},
		{running, nil, running},
		{running, missing, running},
		{rebooting, missing, rebooting},
	}

	var status summary

	for i, step := range steps {
		status = status.next(step.stage, step.unmet)

		if status.spec.Stage != step.want || status.spec.Status.Ready != (step.unmet == nil) {
			t.Errorf("step %d: %+v", i, status.spec)
		}
	}
}
