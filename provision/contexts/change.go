package contexts

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"time"

	clientconfig "github.com/siderolabs/talos/pkg/machinery/client/config"

	"github.com/bronze-os/bronze/provision"
)

// Context finds a context of a talosconfig; the current one where name is empty.
func Context(config *clientconfig.Config, name string) (*clientconfig.Context, error) {
	if name == "" {
		name = config.Context
	}
	found := config.Contexts[name]
	switch {
	case name == "":
		err := errors.New("cannot tell which context is meant: the talosconfig has no current one")
		return nil, provision.WithHint(err, "bronze config contexts lists them; bronze config context makes one current")
	case found == nil:
		err := fmt.Errorf("cannot find context %q in the talosconfig", name)
		return nil, provision.WithHint(err, "bronze config contexts lists those that are there")
	default:
		return found, nil
	}
}

// UseContext makes a context the current one.
func UseContext(config *clientconfig.Config, name string) error {
	if _, err := Context(config, name); err != nil {
		return err
	}
	config.Context = name
	return nil
}

// AddContext puts a context into the talosconfig. It refuses a name that is taken.
func AddContext(config *clientconfig.Config, name string, added clientconfig.Context) error {
	if config.Contexts[name] != nil {
		err := fmt.Errorf("cannot add context %q: the talosconfig has one of that name", name)
		return provision.WithHint(err, "remove it first with bronze config remove")
	}
	if _, err := certificateOf(added); err != nil {
		return err
	}
	config.Contexts[name] = &added
	if config.Context == "" {
		config.Context = name
	}
	return nil
}

// MatchContexts lists the contexts whose names the pattern matches, as a shell matches files, sorted.
func MatchContexts(config *clientconfig.Config, pattern string) ([]string, error) {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(config.Contexts)) {
		matched, err := path.Match(pattern, name)
		if err != nil {
			return nil, fmt.Errorf("cannot read the pattern %q: %w", pattern, err)
		}
		if matched {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		err := fmt.Errorf("cannot find a context that %q matches", pattern)
		return nil, provision.WithHint(err, "bronze config contexts lists those that are there")
	}
	return names, nil
}

// Info is what a context of a talosconfig can reach, and as whom.
type Info struct {
	Context   string   `json:"context"`
	Endpoints []string `json:"endpoints"`
	Nodes     []string `json:"nodes"`
	// Roles are what the client certificate may do.
	Roles []string `json:"roles"`
	// NotAfter is until when the certificate is good; nil where the context has none.
	NotAfter *time.Time `json:"notAfter,omitempty"`
}

// Describe tells of a context; the current one where name is empty.
func Describe(config *clientconfig.Config, name string) (Info, error) {
	found, err := Context(config, name)
	if err != nil {
		return Info{}, err
	}
	if name == "" {
		name = config.Context
	}
	info := Info{Context: name, Endpoints: found.Endpoints, Nodes: found.Nodes}
	certificate, err := certificateOf(*found)
	if err != nil || certificate == nil {
		return info, err
	}
	info.Roles, info.NotAfter = certificate.Subject.Organization, &certificate.NotAfter
	return info, nil
}

// certificateOf is nil where the context signs in by other means.
func certificateOf(entry clientconfig.Context) (*x509.Certificate, error) {
	if entry.Crt == "" {
		return nil, nil
	}
	data, err := base64.StdEncoding.DecodeString(entry.Crt)
	if err != nil {
		return nil, fmt.Errorf("cannot decode the client certificate: %w", err)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("cannot read the client certificate: it is not PEM")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("cannot read the client certificate: %w", err)
	}
	return certificate, nil
}
