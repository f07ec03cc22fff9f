package ttl_test

import (
	"strings"
	"testing"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/config/configloader"

	"github.com/bronze-os/bronze/images/machined/internal/discovery/ttl"
)

const node = "version: v1alpha1\nmachine:\n  type: worker\ncluster: {}\n"

// inDocument sets the variable in a document of its own, inMachine in the old place.
func inDocument(value string) string {
	return node + "---\napiVersion: v1alpha1\nkind: EnvironmentConfig\nvariables:\n  " + ttl.Variable + ": \"" + value + "\"\n"
}

func inMachine(value string) string {
	return strings.Replace(node, "worker\n", "worker\n  env:\n    "+ttl.Variable+": \""+value+"\"\n", 1)
}

func TestTheTTLOfAMachineConfig(t *testing.T) {
	tests := []struct {
		name, config string
		want         time.Duration
		// err is a part of the error; empty wants none.
		err string
	}{
		{"none", node, ttl.Default, ""},
		{"empty", inDocument(""), ttl.Default, ""},
		{"a duration", inDocument("1m"), time.Minute, ""},
		{"in the old place", inMachine("20s"), 20 * time.Second, ""},
		{"in both, the document counts", inMachine("20s") + strings.TrimPrefix(inDocument("1m"), node), time.Minute, ""},
		{"the shortest", inDocument("3s"), ttl.Shortest, ""},
		{"the longest", inDocument("30m"), ttl.Longest, ""},
		{"no duration", inDocument("soon"), 0, ttl.Variable},
		{"too short", inDocument("2.9s"), 0, "from 3s to 30m0s"},
		{"too long", inDocument("1h"), 0, "from 3s to 30m0s"},
		{"negative", inMachine("-5s"), 0, "from 3s to 30m0s"},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cfg, err := configloader.NewFromBytes([]byte(test.config))
			if err != nil {
				t.Fatal(err)
			}

			got, err := ttl.Of(cfg)
			if got != test.want {
				t.Errorf("the TTL is %s, not %s", got, test.want)
			}

			if (err != nil) != (test.err != "") || (err != nil && !strings.Contains(err.Error(), test.err)) {
				t.Errorf("error %v, want %q in it", err, test.err)
			}
		})
	}
}
