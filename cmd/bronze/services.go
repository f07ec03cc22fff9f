package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/bronze-os/bronze/provision/operate"
)

type servicesOptions struct {
	nodeOptions
	form form
}

func newServices(a *app) *cobra.Command {
	options := &servicesOptions{nodeOptions: nodeOptions{app: a}}
	cmd := &cobra.Command{
		Use:     "service [ID [start|stop|restart|status]]",
		Aliases: []string{"services"},
		Short:   "Show the nodes' services, and start, stop and restart them",
		Example: `  bronze services
  bronze service kubelet
  bronze service kubelet restart -n 10.5.0.3`,
		Args: cobra.MaximumNArgs(2),
	}
	addForm(cmd, &options.form)
	return nodeCommand(&options.nodeOptions, cmd, func(ctx context.Context, args []string) error {
		action := "status"
		if len(args) > 1 {
			action = args[1]
		}
		if !slices.Contains([]string{"start", "stop", "restart", "status"}, action) {
			return misused(cmd, fmt.Errorf("cannot %s a service: want start, stop, restart or status", action))
		}
		return options.on(func(fleet *operate.Fleet) error {
			if len(args) == 0 {
				return options.list(ctx, fleet)
			}
			return options.act(ctx, fleet, args[0], action)
		})
	})
}

func (o *servicesOptions) list(ctx context.Context, fleet *operate.Fleet) error {
	answers, err := fleet.Services(ctx)
	return printed(o, answers, err, serviceHeading(), func(list *machine.ServiceList) [][]string {
		var rows [][]string
		for _, service := range list.GetServices() {
			rows = append(rows, serviceRow(service, time.Now()))
		}
		return rows
	})
}

func (o *servicesOptions) act(ctx context.Context, fleet *operate.Fleet, id, action string) error {
	response := []string{"RESPONSE"}
	switch action {
	case "start":
		answers, err := fleet.StartService(ctx, id)
		return printed(o, answers, err, response, func(r *machine.ServiceStart) [][]string { return [][]string{{r.GetResp()}} })
	case "stop":
		answers, err := fleet.StopService(ctx, id)
		return printed(o, answers, err, response, func(r *machine.ServiceStop) [][]string { return [][]string{{r.GetResp()}} })
	case "restart":
		answers, err := fleet.RestartService(ctx, id)
		return printed(o, answers, err, response, func(r *machine.ServiceRestart) [][]string { return [][]string{{r.GetResp()}} })
	default:
		answers, err := fleet.Service(ctx, id)
		if o.form != formTable || err != nil {
			return printed(o, answers, err, nil, nil)
		}
		for _, answer := range answers {
			if err := printTable(o.stdout, serviceDetails(answer, time.Now())); err != nil {
				return err
			}
		}
		return nil
	}
}

// printed prints the answers that came, and hands on why others did not.
func printed[M proto.Message](o *servicesOptions, answers []operate.Answer[M], err error, heading []string, rows func(M) [][]string) error {
	if len(answers) == 0 || rows == nil && o.form == formTable {
		return err
	}
	if printing := printAnswers(o.app, o.form, answers, heading, rows); printing != nil {
		return printing
	}
	return err
}

func serviceHeading() []string {
	return []string{"SERVICE", "STATE", "HEALTH", "LAST CHANGE", "LAST EVENT"}
}

func serviceRow(service *machine.ServiceInfo, now time.Time) []string {
	changed, message := "?", ""
	if events := service.GetEvents().GetEvents(); len(events) > 0 {
		last := events[len(events)-1]
		changed, message = ago(last.GetTs().AsTime(), now), last.GetMsg()
	}
	return []string{service.GetId(), service.GetState(), healthWord(service.GetHealth()), changed, message}
}

func healthWord(health *machine.ServiceHealth) string {
	switch {
	case health == nil || health.GetUnknown():
		return "?"
	case health.GetHealthy():
		return "OK"
	default:
		return "Fail"
	}
}

// serviceDetails is all that a node tells of a service, a fact a line, its latest event first.
func serviceDetails(answer operate.Service, now time.Time) [][]string {
	service := answer.Message
	rows := [][]string{
		{"NODE", answer.Node},
		{"ID", service.GetId()},
		{"STATE", service.GetState()},
		{"HEALTH", healthWord(service.GetHealth())},
	}
	if message := service.GetHealth().GetLastMessage(); message != "" {
		rows = append(rows, []string{"LAST HEALTH MESSAGE", message})
	}
	label := "EVENTS"
	for _, event := range slices.Backward(service.GetEvents().GetEvents()) {
		what := fmt.Sprintf("[%s]: %s (%s)", event.GetState(), event.GetMsg(), ago(event.GetTs().AsTime(), now))
		rows = append(rows, []string{label, what})
		label = ""
	}
	return rows
}

// ago is how long something was, to the second.
func ago(then, now time.Time) string {
	return now.Sub(then).Truncate(time.Second).String() + " ago"
}
