package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/spf13/cobra"

	"github.com/bronze-os/bronze/provision/operate"
)

type eventsOptions struct {
	nodeOptions
	query operate.EventQuery
	form  string
	begun bool
}

func newEvents(a *app) *cobra.Command {
	options := &eventsOptions{nodeOptions: nodeOptions{app: a}}
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Print what happens on the nodes, until it is interrupted",
		Example: `  bronze events --tail -1
  bronze events --duration 10m -o json`,
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	flags.Int32Var(&options.query.Tail, "tail", 0, "past events to begin with, -1 for all (default none)")
	flags.DurationVar(&options.query.Within, "duration", 0, "begin with the events of that last while (default none)")
	flags.StringVar(&options.query.Since, "since", "", "begin behind the event with that ID (default none)")
	flags.StringVar(&options.query.Actor, "actor-id", "", "events of one request only")
	flags.StringVarP(&options.form, "output", "o", formTable, "form of the answer: table, or json, a line for each event")
	return nodeCommand(&options.nodeOptions, cmd, func(ctx context.Context, _ []string) error {
		if !slices.Contains([]string{formTable, formJSON}, options.form) {
			return misused(cmd, fmt.Errorf("cannot print events as %q: want table or json", options.form))
		}
		return options.on(func(fleet *operate.Fleet) error { return fleet.Events(ctx, options.query, options.print) })
	})
}

func (o *eventsOptions) print(event operate.Event) error {
	if o.form == formJSON {
		return json.NewEncoder(o.stdout).Encode(event)
	}
	const columns = "%-16s %-24s %-14s %-36s %-20s %s\n"
	if !o.begun {
		o.begun = true
		fmt.Fprintf(o.stdout, columns, "NODE", "ID", "EVENT", "ACTOR", "SOURCE", "MESSAGE")
	}
	source, message := eventWords(event.Message())
	kind := strings.TrimSuffix(event.Type[strings.LastIndex(event.Type, ".")+1:], "Event")
	fmt.Fprintf(o.stdout, columns, event.Node, event.ID, kind, event.Actor, source, message)
	return nil
}

// eventWords tells of whom an event is, and what became of it.
func eventWords(message any) (source, words string) {
	switch event := message.(type) {
	case *machine.SequenceEvent:
		if event.GetError() != nil {
			return event.GetSequence(), "error: " + event.GetError().GetMessage()
		}
		return event.GetSequence(), event.GetAction().String()
	case *machine.PhaseEvent:
		return event.GetPhase(), event.GetAction().String()
	case *machine.TaskEvent:
		return event.GetTask(), event.GetAction().String()
	case *machine.ServiceStateEvent:
		return event.GetService(), fmt.Sprintf("%s: %s", event.GetAction(), event.GetMessage())
	case *machine.ConfigLoadErrorEvent:
		return "machine config", "error: " + event.GetError()
	case *machine.ConfigValidationErrorEvent:
		return "machine config", "error: " + event.GetError()
	case *machine.AddressEvent:
		return event.GetHostname(), strings.Join(event.GetAddresses(), ",")
	case *machine.MachineStatusEvent:
		words = fmt.Sprintf("ready: %t", event.GetStatus().GetReady())
		for _, condition := range event.GetStatus().GetUnmetConditions() {
			words += fmt.Sprintf(", %s: %s", condition.GetName(), condition.GetReason())
		}
		return event.GetStage().String(), words
	case *machine.RestartEvent:
		return "", fmt.Sprint(event.GetCmd())
	default:
		return "", ""
	}
}
