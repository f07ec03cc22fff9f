package operate

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/siderolabs/crypto/x509"
	"github.com/siderolabs/talos/pkg/machinery/client"
	clientconfig "github.com/siderolabs/talos/pkg/machinery/client/config"

	"github.com/bronze-os/bronze/provision"
)

// Fleet is the nodes that a target means, each with the client that reaches it. Close it.
type Fleet struct {
	nodes   []node
	clients []*client.Client
	target  Target
}

// node is one of a fleet.
type node struct {
	// name is what the user calls it: an address, or a host name.
	name   string
	client *client.Client
	// proxied: the client is connected to an endpoint that passes calls on to the node.
	proxied bool
}

// to addresses a call to the node.
func (n node) to(ctx context.Context) context.Context {
	if !n.proxied {
		return ctx
	}
	return client.WithNode(ctx, n.name)
}

// Open finds the target's nodes with a talosconfig. It does not wait for a connection. ErrNoContext where the
// talosconfig does not say how to reach them.
func Open(config *clientconfig.Config, target Target) (*Fleet, error) {
	target, from, err := target.resolve(config)
	if err != nil {
		return nil, err
	}
	options := []client.OptionFunc{
		client.WithConfigContext(&from),
		client.WithEndpoints(target.Endpoints...),
		client.WithDefaultGRPCDialOptions(),
		client.WithSideroV1KeysDir(clientconfig.CustomSideroV1KeysDirPath(target.SideroV1Keys)),
	}
	if target.Cluster != "" {
		options = append(options, client.WithCluster(target.Cluster))
	}
	// The client keeps the context for nothing but its interface.
	c, err := client.New(context.Background(), options...)
	if err != nil {
		return nil, provision.WithHint(fmt.Errorf("cannot open the machine API: %w", err), "bronze config info shows the context that is used")
	}
	fleet := &Fleet{target: target, clients: []*client.Client{c}}
	for _, name := range target.Nodes {
		fleet.nodes = append(fleet.nodes, node{name: name, client: c, proxied: true})
	}
	return fleet, nil
}

// OpenInsecure connects to each of the target's nodes itself, without a client certificate: that is how a node without
// a machine config serves. Where fingerprints are given (the SHA-256 of the certificate's public key, as the node's log
// shows it), a node with another is refused; where none are, any certificate will do.
func OpenInsecure(target Target, fingerprints []string) (*Fleet, error) {
	target.Nodes = unique(target.Nodes)
	if len(target.Nodes) == 0 {
		return nil, provision.WithHint(errors.New("cannot tell which node is meant"), "name it with --nodes")
	}
	config, err := insecureTLS(fingerprints)
	if err != nil {
		return nil, err
	}
	fleet := &Fleet{target: target}
	for _, name := range target.Nodes {
		c, err := client.New(context.Background(), client.WithTLSConfig(config), client.WithEndpoints(name),
			client.WithDefaultGRPCDialOptions())
		if err != nil {
			return nil, errors.Join(fmt.Errorf("cannot open the machine API of %s: %w", name, err), fleet.Close())
		}
		fleet.clients = append(fleet.clients, c)
		fleet.nodes = append(fleet.nodes, node{name: name, client: c})
	}
	return fleet, nil
}

func insecureTLS(fingerprints []string) (*tls.Config, error) {
	config := &tls.Config{InsecureSkipVerify: true}
	var accepted []x509.Fingerprint
	for _, text := range fingerprints {
		fingerprint, err := x509.ParseFingerprint(text)
		if err != nil {
			return nil, fmt.Errorf("cannot read certificate fingerprint %q: %w", text, err)
		}
		accepted = append(accepted, fingerprint)
	}
	if len(accepted) > 0 {
		config.VerifyConnection = x509.MatchSPKIFingerprints(accepted...)
	}
	return config, nil
}

// Nodes are the names of the nodes, each once.
func (f *Fleet) Nodes() []string {
	return f.target.Nodes
}

// one is the only node of the fleet. What names why no more than one will do.
func (f *Fleet) one(what string) (node, error) {
	if len(f.nodes) != 1 {
		err := fmt.Errorf("cannot %s on %d nodes at once", what, len(f.nodes))
		return node{}, provision.WithHint(err, "name one node with --nodes")
	}
	return f.nodes[0], nil
}

// Close ends the connections.
func (f *Fleet) Close() error {
	var errs []error
	for _, c := range f.clients {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}
