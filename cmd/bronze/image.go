package main

import "github.com/spf13/cobra"

func newImage(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "image",
		Short: "Build and list node images, and see to the images that nodes hold",
		Args:  noSuchCommand,
		RunE:  help,
	}
	cmd.AddCommand(newImageBuild(a), newImageList(a), newImagePull(a))
	return cmd
}
