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
	*app
	form form
}

func newImageList(a *app) *cobra.Command {
	options := &imageListOptions{app: a}
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the node images that the engine has",
		Args:    none,
		RunE:    func(cmd *cobra.Command, _ []string) error { return options.run(cmd.Context()) },
	}
	addForm(cmd, &options.form)
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
