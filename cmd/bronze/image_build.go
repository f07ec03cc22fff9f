package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/bronze-os/bronze/images/build"
)

type imageBuildOptions struct {
	*app
	build  build.Options
	noLoad bool
	form   form
}

func newImageBuild(a *app) *cobra.Command {
	options := &imageBuildOptions{app: a}
	cmd := &cobra.Command{
		Use:   "build",
		Short: "Build the node image from this repository and load it into the engine",
		Long: `Build makes the node image out of the repository: its tree, its pinned components, a few Debian files. What did
not change since the last build comes from the cache. The same inputs make the same digest.`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error { return options.run(cmd.Context()) },
	}
	flags := cmd.Flags()
	flags.StringVar(&options.build.Source, "source", ".", "the repository")
	flags.StringVar(&options.build.CacheDir, "cache-dir", "", "where built parts are kept (default bronze in the user's cache)")
	flags.StringVar(&options.build.OutputDir, "output-dir", "", "gets the OCI layout, the SBOM and the summary (default build/image)")
	flags.BoolVar(&options.noLoad, "no-load", false, "do not load the image into the engine")
	addForm(cmd, &options.form)
	return cmd
}

func (o *imageBuildOptions) run(ctx context.Context) error {
	o.build.Report = o.report
	result, err := build.Node(ctx, o.build)
	if err != nil {
		return err
	}
	if !o.noLoad {
		if err := o.load(ctx, result); err != nil {
			return err
		}
	}
	return o.form.print(o.stdout, result.Summary, func() [][]string {
		return [][]string{
			{"image", result.Reference},
			{"digest", result.Digest},
			{"unpacked", megabytes(result.UnpackedBytes)},
			{"compressed", megabytes(result.CompressedBytes)},
			{"files", result.OutputDir},
		}
	})
}

func (o *imageBuildOptions) load(ctx context.Context, result build.Result) error {
	engine, err := dockerEngine()
	if err != nil {
		return err
	}
	defer engine.Client.Close()
	loaded, err := build.Load(ctx, engine, result)
	if err != nil {
		return err
	}
	if !loaded {
		fmt.Fprintln(o.stderr, "The engine has the image already.")
	}
	return nil
}

func (o *imageBuildOptions) report(step build.Step) {
	note := ""
	if step.Cached {
		note = " (cached)"
	}
	fmt.Fprintf(o.stderr, "%6.1f s  %s%s\n", step.Took.Seconds(), step.Name, note)
}

func megabytes(bytes int64) string {
	return fmt.Sprintf("%.1f MB", float64(bytes)/1e6)
}
