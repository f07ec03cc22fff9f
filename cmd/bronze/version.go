package main

import (
	"runtime"

	"github.com/spf13/cobra"

	"github.com/bronze-os/bronze/images/node"
)

type versionOptions struct {
	*app
	form form
}

func newVersion(a *app) *cobra.Command {
	options := &versionOptions{app: a}
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the versions of this command and of what its nodes run",
		Args:  none,
		RunE:  func(*cobra.Command, []string) error { return options.run() },
	}
	addForm(cmd, &options.form)
	return cmd
}

func (o *versionOptions) run() error {
	manifest, err := node.Load()
	if err != nil {
		return err
	}
	versions := manifest.Versions
	return o.form.print(o.stdout, versions, func() [][]string {
		return [][]string{
			{"bronze", versions.Bronze + " " + runtime.GOOS + "/" + runtime.GOARCH},
			{"kubernetes", versions.Kubernetes},
			{"talos", versions.Talos},
			{"etcd", versions.Etcd},
			{"containerd", versions.Containerd},
			{"runc", versions.Runc},
			{"coredns", versions.CoreDNS},
			{"flannel", versions.Flannel},
			{"cni", versions.CNI},
		}
	})
}
