package publish_test

import (
	"testing"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/cosi-project/runtime/pkg/state/impl/inmem"
	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"

	"github.com/bronze-os/bronze/images/machined/internal/resources/publish"
)

func TestAStateHoldsExactlyWhatIsWanted(t *testing.T) {
	st := state.WrapCore(inmem.NewState(k8s.NamespaceName))

	steps := []struct {
		name string
		want map[string]string
		// versions are those after the step.
		versions map[string]string
	}{
		{"created", map[string]string{"a": "1", "b": "1"}, map[string]string{"a": "1", "b": "1"}},
		{"left alone", map[string]string{"a": "1", "b": "1"}, map[string]string{"a": "1", "b": "1"}},
		{"updated", map[string]string{"a": "1", "b": "2"}, map[string]string{"a": "1", "b": "2"}},
		{"destroyed", map[string]string{"b": "2"}, map[string]string{"b": "2"}},
		{"created anew", map[string]string{"a": "3", "b": "2"}, map[string]string{"a": "1", "b": "2"}},
		{"all gone", nil, map[string]string{}},
	}

	for _, step := range steps {
		t.Run(step.name, func(t *testing.T) {
			set := labels(step.want)
			// Writing twice changes nothing.
			for range 2 {
				if err := set.Write(t.Context(), st); err != nil {
					t.Fatal(err)
				}
			}

			list, err := safe.StateListAll[*k8s.NodeLabelSpec](t.Context(), st)
			if err != nil {
				t.Fatal(err)
			}

			values, versions := map[string]string{}, map[string]string{}
			for label := range list.All() {
				values[label.Metadata().ID()] = label.TypedSpec().Value
				versions[label.Metadata().ID()] = label.Metadata().Version().String()
			}

			if len(step.want) == 0 {
				step.want = map[string]string{}
			}

			if diff := cmp.Diff(step.want, values); diff != "" {
				t.Errorf("values (-want +got):\n%s", diff)
			}

			if diff := cmp.Diff(step.versions, versions); diff != "" {
				t.Errorf("versions (-want +got):\n%s", diff)
			}
		})
	}
}

func labels(values map[string]string) *publish.Set {
	var set publish.Set
	set.Kind(&k8s.NodeLabelSpec{})

	for key, value := range values {
		label := k8s.NewNodeLabelSpec(key)
		label.TypedSpec().Key, label.TypedSpec().Value = key, value
		set.Add(label)
	}

	return &set
}

func TestOtherKindsAreLeftAlone(t *testing.T) {
	st := state.WrapCore(inmem.NewState(k8s.NamespaceName))
	other := k8s.NewNodename(k8s.NamespaceName, k8s.NodenameID)

	if err := st.Create(t.Context(), other); err != nil {
		t.Fatal(err)
	}

	if err := labels(map[string]string{"a": "1"}).Write(t.Context(), st); err != nil {
		t.Fatal(err)
	}

	if _, err := st.Get(t.Context(), resource.NewMetadata(k8s.NamespaceName, k8s.NodenameType, k8s.NodenameID, resource.VersionUndefined)); err != nil {
		t.Error(err)
	}
}
