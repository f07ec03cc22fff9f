package registries_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/talos/pkg/machinery/config/configloader"

	"github.com/bronze-os/bronze/images/machined/internal/registries"
	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
)

// load parses a machine config that says this of registries, and any documents.
func load(t *testing.T, of, documents string) registries.Config {
	t.Helper()

	provider, err := configloader.NewFromBytes([]byte("version: v1alpha1\nmachine:\n  type: worker\n  registries: " + of + "\ncluster: {}\n" + documents))
	if err != nil {
		t.Fatal(err)
	}

	return provider
}

func TestHostsFollowTheMachineConfig(t *testing.T) {
	for _, tc := range []struct {
		name, of, documents string
		want                map[string]string
	}{
		{name: "nothing", of: "{}", want: map[string]string{}},
		{
			name: "mirrors in their order, then the registry",
			of:   `{mirrors: {docker.io: {endpoints: ["http://10.5.0.1:5000", "https://mirror.lan/v2/hub"], overridePath: true}}}`,
			want: map[string]string{"docker.io/hosts.toml": `
[host."http://10.5.0.1:5000"]
capabilities = ["pull", "resolve"]
override_path = true

[host."https://mirror.lan/v2/hub"]
capabilities = ["pull", "resolve"]
override_path = true
`},
		},
		{
			name: "mirrors instead of the registry",
			of:   `{mirrors: {"reg.lan:5000": {endpoints: ["http://a", "http://b"], skipFallback: true}}}`,
			want: map[string]string{"reg.lan_5000_/hosts.toml": `server = "http://b"
capabilities = ["pull", "resolve"]

[host."http://a"]
capabilities = ["pull", "resolve"]
`},
		},
		{
			name: "a registry that may not be asked",
			of:   `{mirrors: {"*": {endpoints: [], skipFallback: true}}}`,
			want: map[string]string{"_default/hosts.toml": "server = \"https://registry.invalid\"\n"},
		},
		{
			name: "trust in a mirror and in a registry",
			of: `{mirrors: {docker.io: {endpoints: ["https://m.lan:5000"]}},
    config: {"m.lan:5000": {tls: {ca: Y2E=, clientIdentity: {crt: Y3J0, key: a2V5}}}, reg.lan: {tls: {insecureSkipVerify: true}}}}`,
			want: map[string]string{
				"docker.io/hosts.toml": `
[host."https://m.lan:5000"]
capabilities = ["pull", "resolve"]
ca = "/system/etc/cri/hosts/docker.io/m.lan:5000-ca.pem"
client = [["/system/etc/cri/hosts/docker.io/m.lan:5000-client.pem", "/system/etc/cri/hosts/docker.io/m.lan:5000-client-key.pem"]]
`,
				"docker.io/m.lan:5000-ca.pem":         "ca",
				"docker.io/m.lan:5000-client.pem":     "crt",
				"docker.io/m.lan:5000-client-key.pem": "key",
				"m.lan_5000_/hosts.toml": `ca = "/system/etc/cri/hosts/m.lan_5000_/m.lan:5000-ca.pem"
client = [["/system/etc/cri/hosts/m.lan_5000_/m.lan:5000-client.pem", "/system/etc/cri/hosts/m.lan_5000_/m.lan:5000-client-key.pem"]]
`,
				"m.lan_5000_/m.lan:5000-ca.pem":         "ca",
				"m.lan_5000_/m.lan:5000-client.pem":     "crt",
				"m.lan_5000_/m.lan:5000-client-key.pem": "key",
				"reg.lan/hosts.toml":                    "skip_verify = true\n",
			},
		},
		{
			name:      "documents of their own",
			of:        "{}",
			documents: "---\napiVersion: v1alpha1\nkind: RegistryMirrorConfig\nname: ghcr.io\nendpoints: [{url: \"http://m.lan\"}]\n",
			want:      map[string]string{"ghcr.io/hosts.toml": "\n[host.\"http://m.lan\"]\ncapabilities = [\"pull\", \"resolve\"]\n"},
		},
		{
			name: "a name that leads elsewhere",
			of:   `{mirrors: {"../../etc": {endpoints: ["http://a"]}, "..": {endpoints: ["http://a"]}}}`,
			want: map[string]string{},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			step, err := registries.Hosts(load(t, tc.of, tc.documents))
			if err != nil {
				t.Fatal(err)
			}

			if diff := cmp.Diff(tc.want, step.(rootfs.Tree).Files); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLoginsAreQuoted(t *testing.T) {
	got := registries.Logins(load(t, `{config: {b.lan: {auth: {username: u, password: "p\"\n"}}, a.lan: {auth: {identityToken: t}}}}`, ""))

	want := `
[plugins.'io.containerd.cri.v1.images'.registry.configs."a.lan".auth]
  identitytoken = "t"

[plugins.'io.containerd.cri.v1.images'.registry.configs."b.lan".auth]
  username = "u"
  password = "p\"\n"
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
