package snapshot_test

import (
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/bronze-os/bronze/provision/snapshot"
)

func TestSnapshotThatIsNotWholeIsRefused(t *testing.T) {
	content := []byte(strings.Repeat("etcd", 100))
	sum := sha256.Sum256(content)
	whole := append(content, sum[:]...)
	for name, test := range map[string]struct {
		data []byte
		good bool
	}{
		"whole":     {whole, true},
		"cut short": {whole[:len(whole)-40], false},
		"nothing":   {nil, false},
		"changed":   {append([]byte("x"), whole[1:]...), false},
	} {
		t.Run(name, func(t *testing.T) {
			check := snapshot.NewCheck()
			for _, b := range test.data {
				if _, err := check.Write([]byte{b}); err != nil {
					t.Fatal(err)
				}
			}
			if err := check.Verify(); (err == nil) != test.good {
				t.Errorf("error %v", err)
			}
		})
	}
}
