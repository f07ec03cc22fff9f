package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/machineconfig"
	"github.com/bronze-os/bronze/provision/picture"
)

// configPatience bounds the question for a live machine config; the provider knows what the node was made with.
const configPatience = 5 * time.Second

// sourceOf chooses the node whose machine config new nodes get: the one that is named, or the first of the role that lives,
// or has a machine at least. There is none where found is false.
func sourceOf(p picture.Picture, asked Addition) (source picture.Node, found bool, err error) {
	if asked.From != "" {
		return namedSource(p, asked)
	}
	var asleep []picture.Node
	for _, node := range p.Nodes {
		switch {
		case node.Role != asked.Role || node.Machine == nil:
		case node.State == picture.Running:
			return node, true, nil
		default:
			asleep = append(asleep, node)
		}
	}
	if len(asleep) == 0 {
		return picture.Node{}, false, nil
	}
	return asleep[0], true, nil
}

func namedSource(p picture.Picture, asked Addition) (picture.Node, bool, error) {
	i := slices.IndexFunc(p.Nodes, func(n picture.Node) bool { return n.Name == asked.From && n.Machine != nil })
	if i < 0 {
		return picture.Node{}, false, provision.WithHint(fmt.Errorf("cannot clone %q: the engine has no machine of that name", asked.From),
			"the cluster has "+nameList(p.Nodes))
	}
	if role := p.Nodes[i].Role; role != asked.Role {
		return picture.Node{}, false, provision.WithHint(fmt.Errorf("cannot make a %s of %q: it is a %s", asked.Role, asked.From, role),
			fmt.Sprintf("--role %s, or another --from", role))
	}
	return p.Nodes[i], true, nil
}

// mold makes what new nodes are made after: of a node's machine config without what belongs to it alone or, where there is
// no node of the role yet, of the cluster's secrets and patches.
func (r *Runner) mold(ctx context.Context, record provision.Record, sources picture.Sources, asked Addition) (Mold, error) {
	source, found, err := sourceOf(picture.Join(sources), asked)
	if err != nil {
		return Mold{}, err
	}
	if !found {
		return rendered(record, asked)
	}
	mold, err := r.cast(ctx, record, sources, source)
	if err != nil {
		return Mold{}, err
	}
	mold.Config, err = machineconfig.Clone(mold.Config, mold.Node, asked.Patches)
	return mold, err
}

// rendered is the mold of a role that the cluster has no node of.
func rendered(record provision.Record, asked Addition) (Mold, error) {
	cluster := record.Cluster
	// Mounts were asked for on every node.
	node := provision.Node{Name: provision.NodeName(cluster.Name, asked.Role, 1), Role: asked.Role, Mounts: cluster.Founder().Mounts}
	cluster.Nodes = append(slices.Clone(cluster.Nodes), node)
	configs, err := machineconfig.Generator{}.Render(cluster, record.Secrets)
	if err != nil {
		return Mold{}, fmt.Errorf("making the machine config of the first %s: %w", asked.Role, err)
	}
	config, err := machineconfig.PatchFor(configs.Nodes[node.Name], asked.Role, asked.Patches)
	return Mold{Node: node, Config: config}, err
}

// cast finds out what a node was made with, and its machine config as it is now.
func (r *Runner) cast(ctx context.Context, record provision.Record, sources picture.Sources, source picture.Node) (Mold, error) {
	node, made, err := r.Engine.Inspect(ctx, *source.Machine)
	if err != nil {
		return Mold{}, fmt.Errorf("inspecting %q: %w", source.Name, err)
	}
	node.Name, node.Role, node.IP = source.Machine.Name, source.Machine.Role, source.Machine.IP
	config, err := r.liveConfig(ctx, record, sources, node)
	if err == nil {
		return Mold{Node: node, Config: config}, nil
	}
	if len(made) > 0 {
		return Mold{Node: node, Config: made}, nil
	}
	if stored := record.Configs[source.Name]; len(stored) > 0 {
		return Mold{Node: node, Config: stored}, nil
	}
	return Mold{}, provision.WithHint(fmt.Errorf("cannot get the machine config of %q, which was made without one: %w", source.Name, err),
		"name another node with --from")
}

// liveConfig asks the node.
func (r *Runner) liveConfig(ctx context.Context, record provision.Record, sources picture.Sources, node provision.Node) ([]byte, error) {
	if why := sources.Interviews[node.Name].Error; why != "" {
		return nil, errors.New(why)
	}
	ctx, cancel := context.WithTimeout(ctx, configPatience)
	defer cancel()
	nodes, err := r.Connector.Nodes(provision.AccessOf(record, sources.Engine))
	if err != nil {
		return nil, err
	}
	defer nodes.Close()
	return nodes.MachineConfig(ctx, node)
}
