package settings_test

import (
	"testing"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/siderolabs/talos/pkg/machinery/config/machine"
	"github.com/siderolabs/talos/pkg/machinery/role"
	"go.yaml.in/yaml/v4"

	"github.com/bronze-os/bronze/images/machined/internal/resources"
	"github.com/bronze-os/bronze/images/machined/internal/resources/settings"
	"github.com/bronze-os/bronze/images/machined/internal/resources/statetest"
)

// versions are those of all of the node's resources.
func versions(t *testing.T, node settings.Node, st state.State) map[string]string {
	t.Helper()

	found := map[string]string{}

	for _, r := range node.Resources().All() {
		current, err := st.Get(t.Context(), r.Metadata())
		if err != nil {
			t.Fatal(err)
		}

		found[resource.String(r)] = current.Metadata().Version().String()
	}

	return found
}

func TestEveryResourceReadsTheSameOverTheAPI(t *testing.T) {
	st, err := resources.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	node := nodeOf(t, machine.TypeControlPlane, documents)
	if err := node.Resources().Write(t.Context(), st); err != nil {
		t.Fatal(err)
	}

	client := statetest.Connect(t, st)

	for _, want := range node.Resources().All() {
		t.Run(resource.String(want), func(t *testing.T) {
			got, err := client.Get(statetest.As(t.Context(), role.Admin), want.Metadata())
			if err != nil {
				t.Fatal(err)
			}

			if text, other := yamlOf(t, want), yamlOf(t, got); text != other {
				t.Errorf("it was\n%s\nand reads\n%s", text, other)
			}
		})
	}
}

func yamlOf(t *testing.T, r resource.Resource) string {
	t.Helper()

	text, err := yaml.Marshal(r.Spec())
	if err != nil {
		t.Fatal(err)
	}

	return string(text)
}
