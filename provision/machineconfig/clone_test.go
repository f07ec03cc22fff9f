package machineconfig

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bronze-os/bronze/provision"
)

// source is the worker of testCluster.
func source() provision.Node {
	return provision.Node{Name: "town-worker-1", Role: provision.Worker, IP: netip.MustParseAddr("10.5.0.3")}
}

// configured is the machine config of a node of the cluster after patches.
func configured(t *testing.T, node provision.Node, patches ...string) []byte {
	t.Helper()
	config, err := Patch(mustRender(t, testCluster()).Nodes[node.Name], patches)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func TestACloneOfAnUntouchedConfigIsTheSame(t *testing.T) {
	config := configured(t, source())
	cloned, err := Clone(config, source(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(config), string(cloned)); diff != "" {
		t.Errorf("(-source +clone):\n%s", diff)
	}
}

// TestACloneLeavesTheIndividualBehind patches a config twice: with what is for any node, and with what is for one as
// well. The clone of the second is to be the first.
func TestACloneLeavesTheIndividualBehind(t *testing.T) {
	for name, test := range map[string]struct {
		// common and own are strategic merge patches.
		common, own string
	}{
		"hostname": {own: "apiVersion: v1alpha1\nkind: HostnameConfig\nhostname: me\nauto: \"off\"\n$patch: delete\n---\n" +
			"apiVersion: v1alpha1\nkind: HostnameConfig\nhostname: me\n",
			common: "apiVersion: v1alpha1\nkind: HostnameConfig\n$patch: delete\n"},
		"addresses of a link": {
			common: "apiVersion: v1alpha1\nkind: LinkConfig\nname: eth1\nmtu: 1400\n",
			own:    "apiVersion: v1alpha1\nkind: LinkConfig\nname: eth1\nmtu: 1400\naddresses: [{address: 192.168.7.3/24}]\n",
		},
		"hardware address": {
			common: "apiVersion: v1alpha1\nkind: DummyLinkConfig\nname: dummy0\n",
			own:    "apiVersion: v1alpha1\nkind: DummyLinkConfig\nname: dummy0\nhardwareAddr: 2e:3c:4d:5e:6f:70\naddresses: [{address: 192.168.7.3/32}]\n",
		},
		"key of a tunnel": {
			own: "apiVersion: v1alpha1\nkind: WireguardConfig\nname: wg0\nprivateKey: GGZ4DAKPYlp1CrbLPMBfDFyGhtRmxlIPOZVNtG3FDlo=\nlistenPort: 51820\n",
		},
		"endpoints of KubeSpan": {
			own: "apiVersion: v1alpha1\nkind: KubeSpanEndpointsConfig\nextraAnnouncedEndpoints: [\"192.0.2.7:52000\"]\n",
		},
		"interfaces of the main document": {
			common: "machine: {network: {interfaces: [{interface: eth1, mtu: 1400, dhcp: false}]}}\n",
			own:    "machine: {network: {interfaces: [{interface: eth1, mtu: 1400, dhcp: false, addresses: [192.168.7.3/24]}]}}\n",
		},
		"names in certificates": {
			common: "machine: {certSANs: [api.example.org]}\n",
			own:    "machine: {certSANs: [api.example.org, town-worker-1, 10.5.0.3]}\n",
		},
		"address of the kubelet": {
			common: "machine: {kubelet: {extraArgs: {v: \"4\"}, nodeIP: {validSubnets: [10.5.0.0/24, \"!10.5.0.9/32\"]}}}\n",
			own: "machine: {kubelet: {extraArgs: {v: \"4\", node-ip: 10.5.0.3, hostname-override: me}, " +
				"nodeIP: {validSubnets: [10.5.0.3/32, 10.5.0.0/24, \"!10.5.0.9/32\"]}}}\n",
		},
		"labels": {
			common: "machine: {nodeLabels: {zone: a}}\n",
			own:    "machine: {nodeLabels: {zone: a, rack.example.org/machine: town-worker-1}}\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			base := configured(t, source())
			want, err := Patch(base, patchesOf(test.common))
			if err != nil {
				t.Fatal(err)
			}
			individual, err := Patch(base, patchesOf(test.own))
			if err != nil {
				t.Fatal(err)
			}
			got, err := Clone(individual, source(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if cmp.Equal(string(individual), string(got)) {
				t.Error("nothing was taken out")
			}
		})
	}
}

// patchesOf is no patch for no text.
func patchesOf(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}

func TestACloneOfAControlPlaneLeavesItsAddressToIt(t *testing.T) {
	controlPlane := testCluster().Nodes[0]
	individual := configured(t, controlPlane,
		"cluster: {apiServer: {extraArgs: {advertise-address: 10.5.0.2}}, etcd: {advertisedSubnets: [10.5.0.2/32], listenSubnets: [10.5.0.2/32]}}\n")
	cloned, err := Clone(individual, controlPlane, nil)
	if err != nil {
		t.Fatal(err)
	}
	text := string(cloned)
	// The endpoint is the cluster's, whoever has that address.
	text = strings.ReplaceAll(text, "https://10.5.0.2:6443", "")
	if strings.Contains(text, "10.5.0.2") {
		t.Errorf("the clone knows the address of its source:\n%s", text)
	}
}

func TestClonePatchesAndValidates(t *testing.T) {
	for name, test := range map[string]struct {
		patch, want string
		source      provision.Node
	}{
		"patched":         {patch: "machine: {sysctls: {a: b}}", source: source()},
		"another role":    {source: provision.Node{Name: "town-worker-1", Role: provision.ControlPlane}, want: "not that of a controlplane"},
		"role by a patch": {patch: "machine: {type: controlplane}", source: source(), want: "cannot change machine.type"},
		"not valid":       {patch: "machine: {nodeLabels: {\"a b\": c}}", source: source(), want: "cannot use the patched config"},
		"not a patch":     {patch: "machine: [", source: source(), want: "cannot parse config patch 1"},
	} {
		t.Run(name, func(t *testing.T) {
			cloned, err := Clone(configured(t, source()), test.source, patchesOf(test.patch))
			switch {
			case test.want == "" && err != nil:
				t.Fatal(err)
			case test.want == "" && mustLoad(t, cloned).Machine().Sysctls()["a"] != "b":
				t.Errorf("the patch is lost:\n%s", cloned)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

func TestACloneLeavesOldKeysOfOneNodeBehind(t *testing.T) {
	main := tree{
		"machine": tree{"network": tree{"hostname": "me", "interfaces": []any{tree{
			"interface": "eth1", "mtu": 1400, "addresses": []any{"192.168.7.3/24"}, "cidr": "192.168.7.3/24",
			"dhcpOptions": tree{"duidv6": "01", "routeMetric": 5}, "vlans": []any{tree{"vlanId": 7, "addresses": []any{"192.168.8.3/24"}}},
		}}}},
		"cluster": tree{"etcd": tree{"subnet": "10.5.0.3/32"}},
	}
	want := tree{
		"machine": tree{"network": tree{"interfaces": []any{tree{
			"interface": "eth1", "mtu": 1400, "dhcpOptions": tree{"routeMetric": 5}, "vlans": []any{tree{"vlanId": 7}},
		}}}},
		"cluster": tree{"etcd": tree{}},
	}
	if found := forgetOldKeys(main); !found || !cmp.Equal(want, main) {
		t.Errorf("found %t (-want +got):\n%s", found, cmp.Diff(want, main))
	}
	if forgetOldKeys(main) {
		t.Error("it finds what it took out")
	}
}
