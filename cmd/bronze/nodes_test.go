package main

import (
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/bronze-os/bronze/provision/operate/operatetest"
)

// TestNodes runs the commands on nodes as processes, against a cluster in memory.
func TestNodes(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/nodes",
		UpdateScripts:       updating(),
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			// They run until the last script has ended: a script's own end cannot be waited for here.
			cluster, maintenance := operatetest.Start(t), operatetest.StartMaintenance(t)
			talosconfig := filepath.Join(env.WorkDir, "talosconfig")
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("TALOSCONFIG", talosconfig)
			env.Setenv("MAINTENANCE", maintenance.Address)
			env.Setenv("FINGERPRINT", maintenance.Fingerprint)
			return cluster.Talosconfig(t, operatetest.ControlPlane).Save(talosconfig)
		},
	})
}
