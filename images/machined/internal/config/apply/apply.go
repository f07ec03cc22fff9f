// Package apply decides what becomes of a machine config that somebody applies to a node: whether it is taken at all,
// whether the node can follow it while it runs, and what the caller is told. It changes nothing; the machine does what
// the Plan says. It may import machinery's config, the table of honoured fields, what tells which values a field takes, and
// no other room of machined.
package apply

import (
	"fmt"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/constants"

	nodeconfig "github.com/bronze-os/bronze/images/machined/internal/config"
	"github.com/bronze-os/bronze/images/machined/internal/config/honoured"
)

// Mode is how a config is to be brought to a node, in the machine API's words.
type Mode = machine.ApplyConfigurationRequest_Mode

// The modes.
const (
	Auto     = machine.ApplyConfigurationRequest_AUTO
	NoReboot = machine.ApplyConfigurationRequest_NO_REBOOT
	Reboot   = machine.ApplyConfigurationRequest_REBOOT
	Staged   = machine.ApplyConfigurationRequest_STAGED
	Try      = machine.ApplyConfigurationRequest_TRY
)

// Request is what a caller asks for.
type Request struct {
	// Document is the config: multi-document YAML.
	Document []byte
	Mode     Mode
	// Limit is how long a tried config stays; 0 means Talos's minute.
	Limit time.Duration
	// DryRun asks what would happen, and for nothing to happen.
	DryRun bool
}

// Plan is what is to happen with a config.
type Plan struct {
	// Config is what the caller sent, checked.
	Config config.Provider
	// Mode is how it comes to the node; never Auto.
	Mode Mode
	// Limit is how long a tried config stays; 0 in other modes.
	Limit time.Duration
	// NeedsReboot names the changed fields that only a reboot brings.
	NeedsReboot []string
	// Warnings are for the caller: what machinery warns of, and each field that has no effect on this node.
	Warnings []string
	// First is true for a node that has no config yet.
	First bool
	// Diff is set for a dry run: the change as a unified diff, without secrets.
	Diff string
}

// Decide answers the plan for a request. current is what the node follows, nil in maintenance mode. The error is an
// *InvalidError when the config or the request cannot be taken by any node, and a *RebootNeededError when the mode
// forbids the reboot that the change needs; otherwise the mode does not fit a node in maintenance mode.
func Decide(fields []honoured.Field, current config.Provider, request Request) (Plan, error) {
	next, err := nodeconfig.Parse(request.Document)
	if err != nil {
		return Plan{}, &InvalidError{Problems: []string{err.Error()}}
	}

	warnings, err := check(fields, next)
	if err != nil {
		return Plan{}, err
	}

	plan := Plan{Config: next, Mode: request.Mode, Warnings: warnings}

	if current == nil {
		return plan, plan.first()
	}

	if plan.NeedsReboot, err = needReboot(fields, current, next); err != nil {
		return Plan{}, err
	}

	if err := plan.choose(request.Limit); err != nil {
		return Plan{}, err
	}

	if request.DryRun {
		plan.Diff, err = Diff(current, next)
	}

	return plan, err
}

// first chooses the mode of a node's first config: it boots with that, which is no reboot.
func (p *Plan) first() error {
	switch p.Mode {
	case Auto, NoReboot, Reboot:
		p.Mode, p.First = NoReboot, true
		return nil
	default:
		return &MaintenanceError{Mode: p.Mode}
	}
}

// choose settles on a mode.
func (p *Plan) choose(limit time.Duration) error {
	switch p.Mode {
	case Reboot, Staged:
	case Auto:
		p.Mode = NoReboot
		if len(p.NeedsReboot) > 0 {
			p.Mode = Reboot
		}
	case Try:
		if limit < 0 {
			return &InvalidError{Problems: []string{fmt.Sprintf("cannot try a machine config for %s", limit)}}
		}

		p.Limit = limit
		if limit == 0 {
			p.Limit = constants.ConfigTryTimeout
		}

		return p.mustNotReboot()
	case NoReboot:
		return p.mustNotReboot()
	default:
		return &InvalidError{Problems: []string{fmt.Sprintf("cannot apply a machine config in the unknown mode %d", p.Mode)}}
	}

	return nil
}

func (p *Plan) mustNotReboot() error {
	if len(p.NeedsReboot) > 0 {
		return &RebootNeededError{Mode: p.Mode, Fields: p.NeedsReboot}
	}

	return nil
}
