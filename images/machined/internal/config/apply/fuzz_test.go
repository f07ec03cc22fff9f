package apply_test

import (
	"errors"
	"testing"

	"github.com/siderolabs/talos/pkg/machinery/config/machine"

	"github.com/bronze-os/bronze/images/machined/internal/config/apply"
)

// FuzzApply holds that any document in any mode gets a plan or one of the errors that a caller can act on.
func FuzzApply(f *testing.F) {
	worker, controlPlane := generated(f, machine.TypeWorker), generated(f, machine.TypeControlPlane)
	current, table := parse(f, worker), fields(f)

	f.Add(worker, int32(apply.Auto), false)
	f.Add(controlPlane, int32(apply.Reboot), true)
	f.Add(patched(f, worker, token), int32(apply.Try), false)
	f.Add([]byte("apiVersion: v1alpha1\nkind: HostnameConfig\nhostname: a\n"), int32(7), true)

	f.Fuzz(func(t *testing.T, document []byte, mode int32, dryRun bool) {
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
