package main

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/spf13/cobra"

	"github.com/bronze-os/bronze/provision/operate"
)

type listFilesOptions struct {
	nodeOptions
	form              form
	long, human, deep bool
	depth             int32
	types             []string
	found             []operate.File
}

func newList(a *app) *cobra.Command {
	options := &listFilesOptions{nodeOptions: nodeOptions{app: a}}
	cmd := &cobra.Command{
		Use:     "list [PATH]",
		Aliases: []string{"ls"},
		Short:   "List files of the nodes",
		Example: `  bronze ls -l /var/log/pods -d 2`,
		Args:    cobra.MaximumNArgs(1),
	}
	flags := cmd.Flags()
	addForm(cmd, &options.form)
	flags.BoolVarP(&options.long, "long", "l", false, "show mode, owner, size and time")
	flags.BoolVarP(&options.human, "humanize", "H", false, "show sizes in units that leave few digits")
	flags.BoolVarP(&options.deep, "recurse", "r", false, "go down into every directory")
	flags.Int32VarP(&options.depth, "depth", "d", 1, "go down that many levels")
	flags.StringSliceVarP(&options.types, "type", "t", nil, "only f (regular files), d (directories) or l (symbolic links)")
	return nodeCommand(&options.nodeOptions, cmd, func(ctx context.Context, args []string) error {
		request, err := options.request(args)
		if err != nil {
			return misused(cmd, err)
		}
		return options.on(func(fleet *operate.Fleet) error { return options.run(ctx, fleet, request) })
	})
}

func (o *listFilesOptions) request(args []string) (*machine.ListRequest, error) {
	request := &machine.ListRequest{Root: "/", Recurse: o.deep || o.depth > 1, RecursionDepth: o.depth}
	if len(args) > 0 {
		request.Root = args[0]
	}
	if o.deep && o.depth == 1 {
		// No depth was named.
		request.RecursionDepth = 0
	}
	types := map[string]machine.ListRequest_Type{
		"f": machine.ListRequest_REGULAR, "d": machine.ListRequest_DIRECTORY, "l": machine.ListRequest_SYMLINK, "L": machine.ListRequest_SYMLINK,
	}
	for _, name := range o.types {
		kind, known := types[name]
		if !known {
			return nil, fmt.Errorf("cannot list files of type %q: want f, d or l", name)
		}
		request.Types = append(request.Types, kind)
	}
	return request, nil
}

func (o *listFilesOptions) run(ctx context.Context, fleet *operate.Fleet, request *machine.ListRequest) error {
	o.found = []operate.File{}
	failed := fleet.List(ctx, request, func(file operate.File) error {
		if text := file.Message.GetError(); text != "" {
			o.warn([]string{fmt.Sprintf("%s: %s: %s", file.Node, file.Message.GetName(), text)})
			return nil
		}
		o.found = append(o.found, file)
		return nil
	})
	if len(o.found) == 0 && failed != nil {
		return failed
	}
	if err := o.form.print(o.stdout, o.found, o.rows); err != nil {
		return err
	}
	return failed
}

func (o *listFilesOptions) rows() [][]string {
	rows := [][]string{{"NODE", "NAME"}}
	if o.long {
		rows = [][]string{{"NODE", "MODE", "UID", "GID", "SIZE(B)", "LASTMOD", "NAME"}}
	}
	for _, file := range o.found {
		info := file.Message
		name := info.GetRelativeName()
		if !o.long {
			rows = append(rows, []string{file.Node, name})
			continue
		}
		if info.GetLink() != "" {
			name += " -> " + info.GetLink()
		}
		rows = append(rows, []string{
			file.Node, fs.FileMode(info.GetMode()).String(), fmt.Sprint(info.GetUid()), fmt.Sprint(info.GetGid()),
			size(info.GetSize(), o.human), time.Unix(info.GetModified(), 0).UTC().Format("Jan _2 2006 15:04:05"), name,
		})
	}
	return rows
}

func size(bytes int64, human bool) string {
	if human {
		return sizeWord(bytes)
	}
	return fmt.Sprint(bytes)
}

func newRead(a *app) *cobra.Command {
	options := &nodeOptions{app: a}
	cmd := &cobra.Command{
		Use: "read PATH", Short: "Print a file of a node", Args: cobra.ExactArgs(1), Example: `  bronze read /etc/os-release -n 10.5.0.2`,
	}
	return nodeCommand(options, cmd, func(ctx context.Context, args []string) error {
		return options.on(func(fleet *operate.Fleet) error { return fleet.Read(ctx, args[0], a.stdout) })
	})
}

func newCopy(a *app) *cobra.Command {
	options := &nodeOptions{app: a}
	cmd := &cobra.Command{
		Use:     "copy SOURCE -|DIRECTORY",
		Aliases: []string{"cp"},
		Short:   "Copy files from a node",
		Long: `Copy writes what is at a path of a node into a directory, without owners and access modes; or all of it to stdout, as a
gzipped tar.`,
		Example: `  bronze copy /var/log/pods ./pods -n 10.5.0.2
  bronze copy /etc/kubernetes - > kubernetes.tar.gz`,
		Args: cobra.ExactArgs(2),
	}
	return nodeCommand(options, cmd, func(ctx context.Context, args []string) error {
		return options.on(func(fleet *operate.Fleet) error {
			if args[1] == "-" {
				return fleet.Archive(ctx, args[0], a.stdout)
			}
			return fleet.Copy(ctx, args[0], args[1])
		})
	})
}

func newUsage(a *app) *cobra.Command {
	options := &nodeOptions{app: a}
	request := &machine.DiskUsageRequest{}
	var human bool
	var form form
	cmd := &cobra.Command{
		Use:     "usage [PATH]...",
		Aliases: []string{"du"},
		Short:   "Show what files and directories of the nodes take",
		Example: `  bronze usage /var -d 2 -H`,
		Args:    cobra.ArbitraryArgs,
	}
	flags := cmd.Flags()
	addForm(cmd, &form)
	flags.BoolVarP(&request.All, "all", "a", false, "show files too")
	flags.Int32VarP(&request.RecursionDepth, "depth", "d", 0, "go down that many levels (default all into sums)")
	flags.Int64VarP(&request.Threshold, "threshold", "t", 0, "leave out what is smaller, in bytes; what is greater where it is negative")
	flags.BoolVarP(&human, "humanize", "H", false, "show sizes in units that leave few digits")
	return nodeCommand(options, cmd, func(ctx context.Context, args []string) error {
		request.Paths = args
		if len(args) == 0 {
			request.Paths = []string{"/"}
		}
		return options.on(func(fleet *operate.Fleet) error {
			found := []operate.Usage{}
			failed := fleet.DiskUsage(ctx, request, func(usage operate.Usage) error {
				if text := usage.Message.GetError(); text != "" {
					a.warn([]string{usage.Node + ": " + strings.TrimSpace(text)})
					return nil
				}
				found = append(found, usage)
				return nil
			})
			if len(found) == 0 && failed != nil {
				return failed
			}
			if err := form.print(a.stdout, found, func() [][]string { return usageRows(found, human) }); err != nil {
				return err
			}
			return failed
		})
	})
}

func usageRows(found []operate.Usage, human bool) [][]string {
	rows := [][]string{{"NODE", "SIZE", "NAME"}}
	for _, usage := range found {
		rows = append(rows, []string{usage.Node, size(usage.Message.GetSize(), human), usage.Message.GetRelativeName()})
	}
	return rows
}
