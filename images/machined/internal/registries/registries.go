// Package registries turns what the machine config says of image registries into containerd's own files: which mirrors
// stand for a registry, whom to trust and how to log in. It is pure; the files are rootfs's to write. The format is
// containerd's (https://github.com/containerd/containerd/blob/v2.4.2/docs/hosts.md).
package registries

import (
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/config/config"

	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
)

// HostsDir holds a directory for each registry; containerd reads it anew for each pull.
const HostsDir = "/system/etc/cri/hosts"

const (
	hostsFile = "hosts.toml"
	// secretMode is for files that may hold a client's key.
	secretMode fs.FileMode = 0o600
	// everyOther is the registry of the machine config that stands for all without their own; wildcardDir is containerd's
	// directory for it.
	everyOther  = "*"
	wildcardDir = "_default"
	// nowhere takes the place of the registry where the machine config allows neither it nor any mirror.
	nowhere = "https://registry.invalid"
)

// Config is the part of a machine config that speaks of registries.
type Config interface {
	RegistryMirrorConfigs() map[string]config.RegistryMirrorConfig
	RegistryAuthConfigs() map[string]config.RegistryAuthConfig
	RegistryTLSConfigs() map[string]config.RegistryTLSConfig
}

// Hosts answers all of HostsDir.
func Hosts(c Config) (rootfs.Step, error) {
	tree := rootfs.Tree{Path: HostsDir, Files: map[string]string{}, Mode: secretMode}

	for _, registry := range names(c) {
		d := directory{name: directoryOf(registry), tls: c.RegistryTLSConfigs(), files: tree.Files}

		text, err := d.hosts(registry, c.RegistryMirrorConfigs()[registry])
		if err != nil {
			return nil, err
		}

		tree.Files[filepath.Join(d.name, hostsFile)] = text
	}

	return tree, nil
}

// names are the registries that have a mirror or a trust of their own. A name with a slash is no registry's.
func names(c Config) []string {
	named := map[string]bool{}

	for registry := range c.RegistryMirrorConfigs() {
		named[registry] = true
	}

	for registry := range c.RegistryTLSConfigs() {
		named[registry] = true
	}

	maps.DeleteFunc(named, func(registry string, _ bool) bool {
		return strings.Contains(registry, "/") || !filepath.IsLocal(registry)
	})

	return slices.Sorted(maps.Keys(named))
}

// directoryOf is where containerd looks for a registry; a port is set off by underscores.
func directoryOf(registry string) string {
	if registry == everyOther {
		return wildcardDir
	}

	if host, port, found := cutLast(registry, ":"); found {
		return host + "_" + port + "_"
	}

	return registry
}

func cutLast(text, separator string) (before, after string, found bool) {
	i := strings.LastIndex(text, separator)
	if i <= 0 {
		return text, "", false
	}

	return text[:i], text[i+1:], true
}

// directory is one registry's; certificates go to files.
type directory struct {
	name  string
	tls   map[string]config.RegistryTLSConfig
	files map[string]string
}

// hosts is the text of hosts.toml. What stands first is of the host that is asked last: the registry itself, unless the
// machine config forbids to fall back to it.
func (d directory) hosts(registry string, mirror config.RegistryMirrorConfig) (string, error) {
	var (
		text   strings.Builder
		others []config.RegistryEndpointConfig
	)

	if mirror != nil {
		others = mirror.Endpoints()
	}

	switch {
	case mirror == nil || !mirror.SkipFallback():
		d.trust(&text, registry)
	case len(others) == 0:
		fmt.Fprintf(&text, "server = %s\n", quote(nowhere))
	default:
		last := others[len(others)-1]
		others = others[:len(others)-1]

		fmt.Fprintf(&text, "server = %s\n", quote(last.Endpoint()))

		if err := d.endpoint(&text, last); err != nil {
			return "", err
		}
	}

	for _, e := range others {
		fmt.Fprintf(&text, "\n[host.%s]\n", quote(e.Endpoint()))

		if err := d.endpoint(&text, e); err != nil {
			return "", err
		}
	}

	return text.String(), nil
}

func (d directory) endpoint(text *strings.Builder, e config.RegistryEndpointConfig) error {
	parsed, err := url.Parse(e.Endpoint())
	if err != nil {
		return fmt.Errorf("cannot read the endpoint of a registry mirror: %w", err)
	}

	text.WriteString("capabilities = [\"pull\", \"resolve\"]\n")

	if e.OverridePath() {
		text.WriteString("override_path = true\n")
	}

	d.trust(text, parsed.Host)

	return nil
}

// trust says how the host proves who it is, and how the node does.
func (d directory) trust(text *strings.Builder, host string) {
	settings, ok := d.tls[host]
	if !ok || strings.Contains(host, "/") {
		return
	}

	if settings.InsecureSkipVerify() {
		text.WriteString("skip_verify = true\n")
	}

	if ca := settings.CA(); len(ca) > 0 {
		fmt.Fprintf(text, "ca = %s\n", quote(d.keep(host+"-ca.pem", ca)))
	}

	if identity := settings.ClientIdentity(); identity != nil {
		certificate, key := d.keep(host+"-client.pem", identity.Crt), d.keep(host+"-client-key.pem", identity.Key)
		fmt.Fprintf(text, "client = [[%s, %s]]\n", quote(certificate), quote(key))
	}
}

// keep puts a file beside hosts.toml and answers its path. Its name ends unlike what containerd takes for a certificate
// by itself where it finds one.
func (d directory) keep(name string, content []byte) string {
	path := filepath.Join(d.name, name)
	d.files[path] = string(content)

	return filepath.Join(HostsDir, path)
}
