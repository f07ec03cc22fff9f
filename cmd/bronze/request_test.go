package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/spf13/pflag"

	"github.com/bronze-os/bronze/provision"
)

func parse(args ...string) (provision.Request, error) {
	var options requestFlags
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	options.add(flags)
	if err := flags.Parse(args); err != nil {
		return provision.Request{}, err
	}
	return options.request(flags, "town")
}

func TestFlagsBecomeARequest(t *testing.T) {
	patch := filepath.Join(t.TempDir(), "patch.yaml")
	if err := os.WriteFile(patch, []byte("machine: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	size := func(cpus float64, mebibytes int64) provision.Resources {
		return provision.Resources{CPUs: cpus, MemoryMiB: mebibytes}
	}
	cases := map[string]struct {
		args []string
		want func(*provision.Request)
	}{
		"none": {nil, func(*provision.Request) {}},
		"sizes of both roles": {[]string{"--cpus", "3", "--memory", "3GiB"}, func(r *provision.Request) {
			r.ControlPlane, r.Worker = size(3, 3072), size(3, 3072)
		}},
		"a role's own size": {
			[]string{"--memory", "3g", "--cpus-workers", "0.5", "--memory-controlplanes", "4g"},
			func(r *provision.Request) { r.ControlPlane, r.Worker = size(2, 4096), size(0.5, 3072) },
		},
		"control planes": {[]string{"--controlplanes", "4", "--allow-even"}, func(r *provision.Request) {
			r.ControlPlanes, r.AllowEven = 4, true
		}},
		"workers": {[]string{"--workers", "0"}, func(r *provision.Request) { r.Workers = 0 }},
		"subnet": {[]string{"--subnet", "10.9.0.0/24"}, func(r *provision.Request) {
			r.Subnet = netip.MustParsePrefix("10.9.0.0/24")
		}},
		"ports": {[]string{"-p", "8080:80,53:53/udp", "-p", "0.0.0.0:443:443"}, func(r *provision.Request) {
			loopback := netip.MustParseAddr("127.0.0.1")
			r.Ports = []provision.Port{
				{HostIP: loopback, Host: 8080, Node: 80, Protocol: "tcp"},
				{HostIP: loopback, Host: 53, Node: 53, Protocol: "udp"},
				{HostIP: netip.MustParseAddr("0.0.0.0"), Host: 443, Node: 443, Protocol: "tcp"},
			}
		}},
		"mounts": {[]string{"--mount", "type=bind,source=/a,target=/b"}, func(r *provision.Request) {
			r.Mounts = []provision.Mount{{Type: "bind", Source: "/a", Target: "/b"}}
		}},
		"patches, those for all first": {
			[]string{"--config-patch-worker", "{a: 1}", "--config-patch-control-plane", "{b: 1}", "--config-patch", "@" + patch},
			func(r *provision.Request) {
				r.Patches = []provision.Patch{
					{Body: "machine: {}\n"}, {Role: provision.ControlPlane, Body: "{b: 1}"}, {Role: provision.Worker, Body: "{a: 1}"},
				}
			},
		},
		"image": {[]string{"--image", "mine:1"}, func(r *provision.Request) { r.Image = "mine:1" }},
	}
	base, err := parse()
	if err != nil {
		t.Fatal(err)
	}
	if base.Image == "" || base.KubernetesVersion == "" {
		t.Error("the node image is not filled in")
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			want := base
			test.want(&want)
			got, err := parse(test.args...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFlagsThatCannotBeReadSayWhy(t *testing.T) {
	for flag, want := range map[string]string{
		"--exposed-ports=http":           `cannot read port "http"`,
		"--exposed-ports=1:2:3:4":        `cannot read port "1:2:3:4"`,
		"--exposed-ports=99999:1":        "ports are numbers up to 65535",
		"--exposed-ports=1:1/sctp":       "cannot read port",
		"--mount=from=/a,to=/b":          `unknown key "from"`,
		"--subnet=10.5.0.0":              `cannot read subnet "10.5.0.0"`,
		"--config-patch=@/no/such/patch": "cannot read config patch",
		"--memory=much":                  "want an amount of memory",
		"--workers=many":                 "invalid argument",
	} {
		t.Run(flag, func(t *testing.T) {
			if _, err := parse(flag); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want it to contain %q", err, want)
			}
		})
	}
}
