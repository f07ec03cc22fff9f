package apply_test

import (
	"errors"
	"testing"

	"github.com/siderolabs/talos/pkg/machinery/config/configpatcher"
	"github.com/siderolabs/talos/pkg/machinery/config/machine"

	"github.com/bronze-os/bronze/images/machined/internal/config/apply"
)

// FuzzApply holds that any document in any mode gets a plan or one of the errors that a caller can act on. What the
// fuzzer makes up is taken for a patch of a sound config, and where it is none for a config.
func FuzzApply(f *testing.F) {
	worker := generated(f, machine.TypeWorker)
	current, table := parse(f, worker), fields(f)

	for _, text := range []string{
		label, token,
		"apiVersion: v1alpha1\nkind: StaticHostConfig\nname: 192.0.2.1\nhostnames: [a]",
		"cluster: {controlPlane: {endpoint: ''}, network: {podSubnets: [a]}}",
		"machine: {type: worker}\ncluster: {controlPlane: {endpoint: 'https://a'}}",
		`[{"op": "remove", "path": "/cluster/controlPlane"}]`,
		"machine: {install: {disk: /dev/sda}, kubelet: null, sysctls: {vm.a: '1'}}",
	} {
		f.Add(text, int32(apply.Auto), false)
		f.Add(text, int32(apply.Try), true)
	}

	f.Fuzz(func(t *testing.T, text string, mode int32, dryRun bool) {
		document := []byte(text)

		if patch, err := configpatcher.LoadPatch(document); err == nil {
			if output, err := configpatcher.Apply(configpatcher.WithBytes(worker), []configpatcher.Patch{patch}); err == nil {
				if document, err = output.Bytes(); err != nil {
					return
				}
			}
		}

		plan, err := apply.Decide(table, current, apply.Request{Document: document, Mode: apply.Mode(mode), DryRun: dryRun})
		if err == nil {
			_ = plan.Details(dryRun)
			return
		}

		_, invalid := errors.AsType[*apply.InvalidError](err)
		if _, reboot := errors.AsType[*apply.RebootNeededError](err); !invalid && !reboot {
			t.Errorf("an error that nobody can act on: %v", err)
		}

		if err.Error() == "" {
			t.Error("an error without words")
		}
	})
}
