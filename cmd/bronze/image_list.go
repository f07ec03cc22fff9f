package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/bronze-os/bronze/images/build"
	"github.com/bronze-os/bronze/images/node"
	"github.com/bronze-os/bronze/providers/docker"
)

type imageListOptions struct {
	imageOptions
	form form
}

func newImageList(a *app) *cobra.Command {
	options := &imageListOptions{imageOptions: imageOptions{nodeOptions: nodeOptions{app: a}}}
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the node images that the engine has, or the images that nodes hold",
		Long: `List shows the node images that the engine has. With --nodes it shows the container images that those nodes hold, as
talosctl image list does.`,
		Example: `  bronze image list
  bronze image list -n 10.5.0.2 --namespace system`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(options.target.Nodes) > 0 {
				return options.listOnNodes(cmd.Context(), options.form)
			}
			return options.run(cmd.Context())
		},
	}
	addForm(cmd, &options.form)
	options.add(cmd.Flags())
	return cmd
}

func (o *imageListOptions) run(ctx context.Context) error {
	manifest, err := node.Load()
	if err != nil {
		return err
	}
	engine, err := dockerEngine()
	if err != nil {
		return err
	}
	defer engine.Client.Close()
	images, err := build.List(ctx, engine, manifest.Repository)
	if err != nil {
		return err
	}
	return o.form.print(o.stdout, images, func() [][]string { return imageRows(images) })
}

func imageRows(images []build.Loaded) [][]string {
	rows := [][]string{{"IMAGE", "KUBERNETES", "SIZE", "CREATED"}}
	for _, image := range images {
		rows = append(rows, []string{
			image.Reference, image.Kubernetes, megabytes(image.Bytes), image.Created.UTC().Format(time.DateOnly),
		})
	}
	return rows
}

// dockerEngine is the Docker engine that images are loaded into.
func dockerEngine() (build.Docker, error) {
	engine, err := docker.Dial()
	return build.Docker{Client: engine}, err
}
