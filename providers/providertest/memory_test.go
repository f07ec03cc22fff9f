package providertest_test

import (
	"net/netip"
	"testing"

	"github.com/bronze-os/bronze/providers/providertest"
)

func TestMemoryBehavesAsAProvider(t *testing.T) {
	providertest.Run(t, func(t *testing.T) providertest.Subject {
		engine := providertest.NewMemory("image:v1")
		return providertest.Subject{
			Provider:   engine,
			Prefix:     "memory",
			Image:      "image:v1",
			Subnet:     netip.MustParsePrefix("10.5.0.0/24"),
			Stop:       engine.Stop,
			Rename:     func(_ *testing.T, name, to string) { engine.Rename(name, to) },
			Vanish:     func(_ *testing.T, name string) { engine.Vanish(name, false) },
			Backends:   func(_ *testing.T, name string) []netip.Addr { return engine.Backends(name) },
			AddForeign: func(_ *testing.T, kind, name string) { engine.AddForeign(kind, name) },
			HasForeign: engine.HasForeign,
		}
	})
}
