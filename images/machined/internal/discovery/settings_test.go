package discovery

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/container"
	"github.com/siderolabs/talos/pkg/machinery/config/types/v1alpha1"
	"github.com/siderolabs/talos/pkg/machinery/constants"
)

// configWith is a worker's machine config with discovery, changed.
func configWith(change func(*v1alpha1.Config)) config.Provider {
	raw := &v1alpha1.Config{
		MachineConfig: &v1alpha1.MachineConfig{MachineType: "worker", MachineEnv: map[string]string{}},
		ClusterConfig: &v1alpha1.ClusterConfig{
			ClusterID: "id", ClusterSecret: base64.StdEncoding.EncodeToString(make([]byte, 32)), ClusterName: "dev",
			ControlPlane:           &v1alpha1.ControlPlaneConfig{Endpoint: &v1alpha1.Endpoint{URL: &url.URL{Scheme: "https", Host: "10.5.0.9:6443"}}},
			ClusterDiscoveryConfig: &v1alpha1.ClusterDiscoveryConfig{DiscoveryEnabled: new(true)},
		},
	}
	change(raw)

	return container.NewV1Alpha1(raw)
}

func endpoint(text string) func(*v1alpha1.Config) {
	return func(c *v1alpha1.Config) {
		c.ClusterConfig.ClusterDiscoveryConfig.DiscoveryRegistries.RegistryService.RegistryEndpoint = text
	}
}

func ttl(text string) func(*v1alpha1.Config) {
	return func(c *v1alpha1.Config) { c.MachineConfig.MachineEnv[TTLVariable] = text }
}

func TestSettingsOfTheMachineConfig(t *testing.T) {
	const usual = "on=true service=true ttl=45s own=10.5.0.9:50002"

	tests := []struct {
		name   string
		change func(*v1alpha1.Config)
		want   string
		// err is a part of the error; empty wants none.
		err string
	}{
		{"as generated", func(*v1alpha1.Config) {}, usual, ""},
		{"off", func(c *v1alpha1.Config) { c.ClusterConfig.ClusterDiscoveryConfig = nil }, "on=false service=false ttl=45s own=", ""},
		{
			"service off", func(c *v1alpha1.Config) {
				c.ClusterConfig.ClusterDiscoveryConfig.DiscoveryRegistries.RegistryService.RegistryDisabled = new(true)
			}, "on=true service=false ttl=45s own=", "",
		},
		{"no secret", func(c *v1alpha1.Config) { c.ClusterConfig.ClusterSecret = "" }, "on=true service=false ttl=45s own=", "cluster.secret"},
		{"no base64", func(c *v1alpha1.Config) { c.ClusterConfig.ClusterSecret = "!" }, "on=true service=false ttl=45s own=", "cluster.secret"},
		{"no ID", func(c *v1alpha1.Config) { c.ClusterConfig.ClusterID = "" }, "on=true service=false ttl=45s own=", "cluster.id"},
		{"a TTL", ttl("1m"), "on=true service=true ttl=1m0s own=10.5.0.9:50002", ""},
		{"no duration", ttl("soon"), usual, TTLVariable},
		{"too short", ttl("1s"), usual, "from 3s to 30m0s"},
		{"too long", ttl("1h"), usual, "from 3s to 30m0s"},
		{"Talos's default is ours", endpoint(constants.DefaultDiscoveryServiceEndpoint), usual, ""},
		{"another server", endpoint("https://d.example.org/"), usual + " extra=d.example.org:443", ""},
		{"with a port", endpoint("https://d.example.org:3000/"), usual + " extra=d.example.org:3000", ""},
		{"without TLS", endpoint("http://[fd00::1]"), usual + " extra=[fd00::1]:80 plain", ""},
		{"no host", endpoint("https://"), usual, "https://host:port"},
		{"no URL", endpoint("somewhere"), usual, "https://host:port"},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := settingsOf(configWith(test.change), 50002)

			text := fmt.Sprintf("on=%t service=%t ttl=%s own=%s", got.enabled, got.service, got.ttl, got.own)
			if got.extra.address != "" {
				text += " extra=" + got.extra.address
			}

			if got.extra.plain {
				text += " plain"
			}

			if diff := cmp.Diff(test.want, text); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}

			if (err != nil) != (test.err != "") || (err != nil && !strings.Contains(err.Error(), test.err)) {
				t.Errorf("error %v, want %q in it", err, test.err)
			}
		})
	}
}

func TestOnlyWhatConnectionsAreMadeOfEndsThem(t *testing.T) {
	base, err := settingsOf(configWith(func(*v1alpha1.Config) {}), 50002)
	if err != nil {
		t.Fatal(err)
	}

	tests := []struct {
		name   string
		change func(*v1alpha1.Config)
		same   bool
	}{
		{"nothing", func(*v1alpha1.Config) {}, true},
		{"the cluster's name", func(c *v1alpha1.Config) { c.ClusterConfig.ClusterName = "prod" }, true},
		{"a server more", endpoint("https://d.example.org/"), true},
		{"the TTL", ttl("1m"), false},
		{"the ID", func(c *v1alpha1.Config) { c.ClusterConfig.ClusterID = "other" }, false},
		{"the secret", func(c *v1alpha1.Config) {
			c.ClusterConfig.ClusterSecret = base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", 32)))
		}, false},
		{"off", func(c *v1alpha1.Config) { c.ClusterConfig.ClusterDiscoveryConfig = nil }, false},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			other, err := settingsOf(configWith(test.change), 50002)
			if err != nil {
				t.Fatal(err)
			}

			if got := base.sameTalk(other); got != test.same {
				t.Errorf("the same: %t", got)
			}
		})
	}
}

func TestTheResourceShowsWhereTheNodeBegins(t *testing.T) {
	for change, want := range map[string]string{"": "10.5.0.9:50002 false", "http://d.example.org:3000/": "d.example.org:3000 true"} {
		set, err := settingsOf(configWith(endpoint(change)), 50002)
		if err != nil {
			t.Fatal(err)
		}

		spec := set.resource()
		if got := fmt.Sprint(spec.ServiceEndpoint, " ", spec.ServiceEndpointInsecure); got != want || len(spec.ServiceEncryptionKey) != 32 {
			t.Errorf("%s with a key of %d bytes, want %s", got, len(spec.ServiceEncryptionKey), want)
		}
	}
}

func TestTTLIsADuration(t *testing.T) {
	if got, err := ParseTTL(""); err != nil || got != DefaultTTL {
		t.Errorf("empty is %s, %v", got, err)
	}

	if got, err := ParseTTL("30s"); err != nil || got != 30*time.Second {
		t.Errorf("30s is %s, %v", got, err)
	}
}
