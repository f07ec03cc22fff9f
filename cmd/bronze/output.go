package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
)

// The forms of an answer.
const (
	formTable = "table"
	formJSON  = "json"
	formYAML  = "yaml"
)

// form is the flag -o.
type form string

func addForm(cmd *cobra.Command, f *form) {
	*f = formTable
	cmd.Flags().VarP(f, "output", "o", "form of the answer: table, json or yaml")
}

// String is the flag's value.
func (f *form) String() string { return string(*f) }

// Type is what help calls the value.
func (f *form) Type() string { return "form" }

// Set reads the flag.
func (f *form) Set(value string) error {
	if !slices.Contains([]string{formTable, formJSON, formYAML}, value) {
		return fmt.Errorf("want table, json or yaml")
	}
	*f = form(value)
	return nil
}

// print writes the answer: as the table's rows, the first of which is the heading, or the whole value.
func (f form) print(w io.Writer, value any, table func() [][]string) error {
	switch f {
	case formJSON:
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(value)
	case formYAML:
		data, err := yaml.Marshal(value)
		if err != nil {
			return fmt.Errorf("cannot encode the answer: %w", err)
		}
		_, err = w.Write(data)
		return err
	default:
		return printTable(w, table())
	}
}

// printTable aligns the columns, without spaces behind the last.
func printTable(w io.Writer, rows [][]string) error {
	var aligned bytes.Buffer
	table := tabwriter.NewWriter(&aligned, 0, 0, 3, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(aligned.String()) {
		fmt.Fprintln(w, strings.TrimRight(line, " \n"))
	}
	return nil
}
