package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/bronze-os/bronze/provision/operate"
)

// askCommand makes a command that puts one question to every node and prints the answers: as a table that begins with
// the node's name, or whole. Where some nodes fail, the others' answers are printed all the same.
func askCommand[M proto.Message](
	o *nodeOptions, cmd *cobra.Command, heading []string,
	question func(ctx context.Context, fleet *operate.Fleet, args []string) ([]operate.Answer[M], error),
	rows func(message M) [][]string,
) *cobra.Command {
	var form form
	if cmd.Flags().Lookup("output") == nil && cmd.Flags().ShorthandLookup("o") == nil {
		addForm(cmd, &form)
	}
	return nodeCommand(o, cmd, func(ctx context.Context, args []string) error {
		return o.on(func(fleet *operate.Fleet) error {
			answers, err := question(ctx, fleet, args)
			if len(answers) == 0 {
				return err
			}
			return errors.Join(printAnswers(o.app, form, answers, heading, rows), err)
		})
	})
}

func printAnswers[M proto.Message](a *app, form form, answers []operate.Answer[M], heading []string, rows func(M) [][]string) error {
	return form.print(a.stdout, answers, func() [][]string {
		table := [][]string{append([]string{"NODE"}, heading...)}
		for _, answer := range answers {
			for _, row := range rows(answer.Message) {
				table = append(table, append([]string{answer.Node}, row...))
			}
		}
		return table
	})
}
