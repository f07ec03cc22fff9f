package discovery

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/talos/pkg/machinery/config"
	configdoc "github.com/siderolabs/talos/pkg/machinery/config/config"
	"github.com/siderolabs/talos/pkg/machinery/config/container"
	"github.com/siderolabs/talos/pkg/machinery/config/types/runtime"
	"github.com/siderolabs/talos/pkg/machinery/config/types/v1alpha1"
	"github.com/siderolabs/talos/pkg/machinery/constants"

	"github.com/bronze-os/bronze/images/machined/internal/discovery/ttl"
)

// configWith is a worker's machine config with discovery, changed.
func configWith(change func(*v1alpha1.Config)) config.Provider {
	return configAnd(change)
}

// configAnd has further documents besides.
func configAnd(change func(*v1alpha1.Config), documents ...configdoc.Document) config.Provider {
	raw := &v1alpha1.Config{
		MachineConfig: &v1alpha1.MachineConfig{MachineType: "worker"},
		ClusterConfig: &v1alpha1.ClusterConfig{
			ClusterID: "id", ClusterSecret: base64.StdEncoding.EncodeToString(make([]byte, 32)), ClusterName: "dev",
			ControlPlane:           &v1alpha1.ControlPlaneConfig{Endpoint: &v1alpha1.Endpoint{URL: &url.URL{Scheme: "https", Host: "10.5.0.9:6443"}}},
			ClusterDiscoveryConfig: &v1alpha1.ClusterDiscoveryConfig{DiscoveryEnabled: new(true)},
		},
	}
	change(raw)

	made, err := container.New(append(documents, raw)...)
	if err != nil {
		// Tests give no document twice.
		panic(err)
	}

	return made
}

func endpoint(text string) func(*v1alpha1.Config) {
	return func(c *v1alpha1.Config) {
		c.ClusterConfig.ClusterDiscoveryConfig.DiscoveryRegistries.RegistryService.RegistryEndpoint = text
	}
}

func unchanged(*v1alpha1.Config) {}

// environment is the document that sets the TTL.
func environment(duration string) configdoc.Document {
	document := runtime.NewEnvironmentV1Alpha1()
	document.EnvironmentVariables = map[string]string{ttl.Variable: duration}

	return document
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
		{"as generated", unchanged, usual, ""},
		{"off", func(c *v1alpha1.Config) { c.ClusterConfig.ClusterDiscoveryConfig = nil }, "on=false service=false ttl=45s own=", ""},
		{
			"service off", func(c *v1alpha1.Config) {
				c.ClusterConfig.ClusterDiscoveryConfig.DiscoveryRegistries.RegistryService.RegistryDisabled = new(true)
			}, "on=true service=false ttl=45s own=", "",
		},
		{"no secret", func(c *v1alpha1.Config) { c.ClusterConfig.ClusterSecret = "" }, "on=true service=false ttl=45s own=", "cluster.secret"},
		{"no base64", func(c *v1alpha1.Config) { c.ClusterConfig.ClusterSecret = "!" }, "on=true service=false ttl=45s own=", "cluster.secret"},
		{"no ID", func(c *v1alpha1.Config) { c.ClusterConfig.ClusterID = "" }, "on=true service=false ttl=45s own=", "cluster.id"},
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
	base, err := settingsOf(configWith(unchanged), 50002)
	if err != nil {
		t.Fatal(err)
	}

	tests := []struct {
		name   string
		change func(*v1alpha1.Config)
		same   bool
	}{
		{"nothing", unchanged, true},
		{"the cluster's name", func(c *v1alpha1.Config) { c.ClusterConfig.ClusterName = "prod" }, true},
		{"a server more", endpoint("https://d.example.org/"), true},
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

func TestATTLThatMakesNoSenseIsTheDefault(t *testing.T) {
	got, err := settingsOf(configAnd(unchanged, environment("soon")), 50002)
	if err == nil || got.ttl != ttl.Default || !got.service {
		t.Errorf("the TTL is %s, service %t, %v", got.ttl, got.service, err)
	}
}

func TestAnotherTTLEndsConnections(t *testing.T) {
	one, err := settingsOf(configAnd(unchanged, environment("1m")), 50002)
	if err != nil {
		t.Fatal(err)
	}

	other, err := settingsOf(configAnd(unchanged, environment("2m")), 50002)
	if err != nil {
		t.Fatal(err)
	}

	if one.sameTalk(other) || !one.sameTalk(one) {
		t.Error("connections outlive the TTL that they were made for")
	}
}
