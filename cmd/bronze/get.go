package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bronze-os/bronze/provision/operate"
)

type getOptions struct {
	nodeOptions
	query    operate.ResourceQuery
	form     string
	watch    bool
	insecure bool
}

func newGet(a *app) *cobra.Command {
	options := &getOptions{nodeOptions: nodeOptions{app: a}}
	cmd := &cobra.Command{
		Use:     "get TYPE [ID]",
		Aliases: []string{"g"},
		Short:   "Show resources of the nodes; get rd lists their types",
		Example: `  bronze get members
  bronze get services kubelet -n 10.5.0.3 -w
  bronze get addresses -o jsonpath='{.spec.address}'`,
		Args: cobra.RangeArgs(1, 2),
	}
	flags := cmd.Flags()
	flags.StringVar(&options.query.Namespace, "namespace", "", "namespace (default the one of the type)")
	flags.StringVarP(&options.form, "output", "o", formTable, "form of the answer: table, json, yaml or jsonpath=TEMPLATE")
	flags.BoolVarP(&options.watch, "watch", "w", false, "go on as resources change")
	addInsecure(flags, &options.insecure)
	return nodeCommand(&options.nodeOptions, cmd, options.run)
}

// addInsecure adds the flag for nodes in maintenance mode.
func addInsecure(flags *pflag.FlagSet, insecure *bool) {
	flags.BoolVarP(insecure, "insecure", "i", false, "ask nodes without a machine config, which ask for no certificate")
}

func (o *getOptions) run(ctx context.Context, args []string) error {
	query := o.query
	query.Type = args[0]
	if len(args) > 1 {
		query.ID = args[1]
	}
	printer, err := newResourcePrinter(o.app, o.form, o.watch)
	if err != nil {
		return err
	}
	return o.reach(o.insecure, func(fleet *operate.Fleet) error {
		if o.watch {
			return fleet.WatchResources(ctx, query, printer.hear)
		}
		err := fleet.Resources(ctx, query, printer.hear)
		return errors.Join(printer.end(), err)
	})
}

// reach does something with nodes that are configured, or insecurely with ones that are not.
func (o *nodeOptions) reach(insecure bool, do func(*operate.Fleet) error) error {
	if insecure {
		return o.onInsecure(nil, do)
	}
	return o.on(do)
}

// resourcePrinter prints resources as they come: tables when they have ended, as columns are as wide as all values, but
// for those that are watched.
type resourcePrinter struct {
	*app
	form  string
	watch bool
	path  operate.Path
	rows  [][]string
	count int
}

func newResourcePrinter(a *app, asked string, watch bool) (*resourcePrinter, error) {
	form, template, _ := strings.Cut(asked, "=")
	printer := &resourcePrinter{app: a, form: form, watch: watch}
	switch {
	case form == "jsonpath" && template != "":
		path, err := operate.ParsePath(template)
		printer.path = path
		return printer, err
	case template == "" && slices.Contains([]string{formTable, formJSON, formYAML}, form):
		return printer, nil
	default:
		return nil, usageError{fmt.Errorf("cannot print as %q: want table, json, yaml or jsonpath=TEMPLATE", asked)}
	}
}

func (p *resourcePrinter) hear(r operate.Resource) error {
	defer func() { p.count++ }()
	switch p.form {
	case formTable:
		return p.row(r)
	case formYAML:
		data, err := r.YAML()
		if err != nil {
			return err
		}
		if p.count > 0 {
			fmt.Fprintln(p.stdout, "---")
		}
		_, err = p.stdout.Write(data)
		return err
	}
	document, err := r.Document()
	if err != nil {
		return err
	}
	if p.form == formJSON {
		encoder := json.NewEncoder(p.stdout)
		encoder.SetIndent("", "    ")
		return encoder.Encode(document)
	}
	found, err := p.path.Of(document)
	if err == nil {
		fmt.Fprintln(p.stdout, found)
	}
	return err
}

// row keeps a row for the table, or prints it where the table never ends.
func (p *resourcePrinter) row(r operate.Resource) error {
	row, err := r.Row()
	if err != nil {
		return err
	}
	heading := r.ResourceColumns()
	if !p.watch {
		if len(p.rows) == 0 {
			p.rows = append(p.rows, heading)
		}
		p.rows = append(p.rows, row)
		return nil
	}
	if p.count == 0 {
		p.line(append([]string{"*"}, heading...))
	}
	p.line(append([]string{r.Event}, row...))
	return nil
}

// line aligns what it can without knowing what is to come.
func (p *resourcePrinter) line(row []string) {
	var line strings.Builder
	for i, value := range row {
		width := 20
		if i == 0 {
			width = 1
		}
		fmt.Fprintf(&line, "%-*s   ", width, value)
	}
	fmt.Fprintln(p.stdout, strings.TrimRight(line.String(), " "))
}

func (p *resourcePrinter) end() error {
	if p.form != formTable || len(p.rows) == 0 {
		return nil
	}
	return printTable(p.stdout, p.rows)
}
