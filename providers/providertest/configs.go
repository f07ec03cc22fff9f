package providertest

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"

	"github.com/bronze-os/bronze/provision"
)

// Configs makes machine configs that tell whose they are.
type Configs struct{}

var _ provision.MachineConfigs = Configs{}

// NewSecrets makes others every time.
func (Configs) NewSecrets(provision.Cluster) ([]byte, error) {
	return []byte(rand.Text()), nil
}

// Render writes the node's name and the secrets.
func (Configs) Render(cluster provision.Cluster, secrets []byte) (provision.Configs, error) {
	configs := provision.Configs{
		Nodes:  map[string][]byte{},
		Expect: provision.Expect{NodesReady: true, CoreDNS: true},
	}
	for _, node := range cluster.Nodes {
		configs.Nodes[node.Name] = fmt.Appendf(nil, "node: %s\nsecrets: %s\n", node.Name, secrets)
	}
	return configs, nil
}

// Contexts keeps client contexts in memory. The zero value is ready for use.
type Contexts struct {
	mu      sync.Mutex
	entries map[string]provision.Access
}

var _ provision.Contexts = (*Contexts)(nil)

// Add keeps the access.
func (c *Contexts) Add(ctx context.Context, access provision.Access) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries == nil {
		c.entries = map[string]provision.Access{}
	}
	c.entries[access.Cluster.Name] = access
	return ctx.Err()
}

// Remove forgets it.
func (c *Contexts) Remove(ctx context.Context, cluster string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.entries, cluster)
	return ctx.Err()
}

// Has tells whether the cluster has an entry.
func (c *Contexts) Has(cluster string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, there := c.entries[cluster]
	return there
}
