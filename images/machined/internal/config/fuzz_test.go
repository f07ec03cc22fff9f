package config_test

import (
	"bytes"
	"testing"

	"github.com/bronze-os/bronze/images/machined/internal/config"
)

// FuzzParse holds that what is taken for a machine config can be asked for what every part of a node asks, and is the
// same after it was kept and read back.
func FuzzParse(f *testing.F) {
	f.Add([]byte(document))
	f.Add([]byte(document + "---\napiVersion: v1alpha1\nkind: HostnameConfig\nhostname: a\n"))
	f.Add([]byte("machine: {type: controlplane}\ncluster: {controlPlane: {endpoint: ''}}\n"))
	f.Add([]byte("machine: &a {nodeLabels: {b: *a}}\n"))
	f.Add([]byte("\xff\x00: ["))

	f.Fuzz(func(t *testing.T, text []byte) {
		provider, err := config.Parse(text)
		if err != nil {
			return
		}

		_ = provider.Machine().Type()
		_ = provider.Cluster().Endpoint().Hostname()
		_ = provider.Machine().Features().KubePrism().Port()

		kept, err := provider.Bytes()
		if err != nil {
			t.Fatal(err)
		}

		again, err := config.Parse(kept)
		if err != nil {
			t.Fatalf("read once and not again: %v", err)
		}

		if second, err := again.Bytes(); err != nil || !bytes.Equal(kept, second) {
			t.Errorf("another config after it was read back: %v", err)
		}
	})
}
