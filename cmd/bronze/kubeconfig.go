package main

import (
	"github.com/spf13/cobra"

	"github.com/bronze-os/bronze/provision/contexts"
)

func newKubeconfig(a *app) *cobra.Command {
	options := &clientConfig{app: a, sign: contexts.Kubeconfig, add: contexts.Files.AddKubeconfig}
	return options.bind(&cobra.Command{
		Use:   "kubeconfig [NAME]",
		Short: "Print a cluster's kubeconfig, or merge it into yours",
		Long: `Kubeconfig prints an administrator's kubeconfig for the cluster. With --merge it goes into the file that
KUBECONFIG names, or ~/.kube/config, and becomes current there, as create does it.`,
		Example: `  bronze kubeconfig dev > dev.kubeconfig
  bronze kubeconfig dev --merge`,
	})
}
