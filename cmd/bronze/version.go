package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/spf13/cobra"

	"github.com/bronze-os/bronze/images/node"
	"github.com/bronze-os/bronze/provision/operate"
)

type versionOptions struct {
	nodeOptions
	form     form
	client   bool
	short    bool
	insecure bool
}

func newVersion(a *app) *cobra.Command {
	options := &versionOptions{nodeOptions: nodeOptions{app: a}}
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the versions of this command and of what its nodes run",
		Long: `Version prints what this command is, and what the nodes that it makes run. With --nodes it asks those nodes which
version they are.`,
		Example: `  bronze version
  bronze version -n 10.5.0.2,10.5.0.3`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(options.target.Nodes) > 0 && !options.client {
				return options.ask(cmd.Context())
			}
			return options.run()
		},
	}
	addForm(cmd, &options.form)
	flags := cmd.Flags()
	flags.BoolVar(&options.client, "client", false, "do not ask nodes")
	flags.BoolVar(&options.short, "short", false, "print the version alone")
	addInsecure(flags, &options.insecure)
	options.addTarget(flags)
	return cmd
}

// ask prints what the nodes say.
func (o *versionOptions) ask(ctx context.Context) error {
	return o.reach(o.insecure, func(fleet *operate.Fleet) error {
		answers, err := fleet.Versions(ctx)
		if len(answers) == 0 {
			return err
		}
		heading := []string{"TAG", "SHA", "BUILT", "GO", "OS/ARCH", "PLATFORM"}
		printing := printAnswers(o.app, o.form, answers, heading, func(version *machine.Version) [][]string {
			info := version.GetVersion()
			return [][]string{{
				info.GetTag(), orDash(info.GetSha()), orDash(info.GetBuilt()), info.GetGoVersion(),
				info.GetOs() + "/" + info.GetArch(), version.GetPlatform().GetName(),
			}}
		})
		return errors.Join(printing, err)
	})
}

func (o *versionOptions) run() error {
	manifest, err := node.Load()
	if err != nil {
		return err
	}
	versions := manifest.Versions
	if o.short {
		fmt.Fprintln(o.stdout, "bronze", versions.Bronze)
		return nil
	}
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
