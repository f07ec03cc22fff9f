package main

import (
	"context"
	"fmt"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/api/common"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bronze-os/bronze/provision/operate"
)

// imageNamespace is the flag --namespace.
type imageNamespace struct {
	text      string
	namespace common.ContainerdNamespace
}

// String is the flag's value.
func (n *imageNamespace) String() string { return n.text }

// Type is what help calls the value.
func (n *imageNamespace) Type() string { return "namespace" }

// Set reads the flag.
func (n *imageNamespace) Set(text string) (err error) {
	n.text = text
	n.namespace, err = operate.ParseImageNamespace(text)
	return err
}

// imageOptions is what the commands on the images of nodes share.
type imageOptions struct {
	nodeOptions
	namespace imageNamespace
}

func (o *imageOptions) add(flags *pflag.FlagSet) {
	o.namespace = imageNamespace{text: "cri", namespace: common.ContainerdNamespace_NS_CRI}
	flags.Var(&o.namespace, "namespace", "on nodes: cri for Kubernetes's images, system for the node's own")
	o.addTarget(flags)
}

func (o *imageOptions) listOnNodes(ctx context.Context, form form) error {
	return o.on(func(fleet *operate.Fleet) error {
		found := []operate.Image{}
		failed := fleet.Images(ctx, o.namespace.namespace, func(image operate.Image) error {
			found = append(found, image)
			return nil
		})
		if len(found) == 0 && failed != nil {
			return failed
		}
		if err := form.print(o.stdout, found, func() [][]string { return nodeImageRows(found) }); err != nil {
			return err
		}
		return failed
	})
}

func nodeImageRows(found []operate.Image) [][]string {
	rows := [][]string{{"NODE", "IMAGE", "DIGEST", "SIZE", "CREATED"}}
	for _, image := range found {
		message := image.Message
		rows = append(rows, []string{
			image.Node, message.GetName(), message.GetDigest(), sizeWord(message.GetSize()),
			message.GetCreatedAt().AsTime().Format(time.RFC3339),
		})
	}
	return rows
}

func newImagePull(a *app) *cobra.Command {
	options := &imageOptions{nodeOptions: nodeOptions{app: a}}
	cmd := &cobra.Command{
		Use: "pull IMAGE", Short: "Make nodes pull an image", Args: cobra.ExactArgs(1),
		Example: `  bronze image pull docker.io/library/busybox:1.37 -n 10.5.0.2,10.5.0.3`,
	}
	options.add(cmd.Flags())
	return runs(cmd, func(ctx context.Context, args []string) error {
		return options.on(func(fleet *operate.Fleet) error {
			return fleet.PullImage(ctx, options.namespace.namespace, args[0], func(pulled operate.Pulled) error {
				_, err := fmt.Fprintf(a.stdout, "%s: %s\n", pulled.Node, pulled.Name)
				return err
			})
		})
	})
}
