package machine

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/bronze-os/bronze/images/boot"
	nodeconfig "github.com/bronze-os/bronze/images/machined/internal/config"
	"github.com/bronze-os/bronze/images/machined/internal/config/apply"
	"github.com/bronze-os/bronze/images/machined/internal/config/honoured"
)

// Configure does what somebody who applies a machine config asks for, unless it is a dry run, and answers what that is.
// Its errors are those of apply.Decide. One call comes after the other, so that each decides on what the last one left.
func (m *Machine) Configure(ctx context.Context, request apply.Request) (apply.Plan, error) {
	m.configuring.Lock()
	defer m.configuring.Unlock()

	fields := honoured.Fields(m.versions)

	if m.config == nil {
		return m.configureFirst(ctx, fields, request)
	}

	plan, err := apply.Decide(fields, m.Config(), request)
	if err != nil || request.DryRun {
		return plan, err
	}

	m.log.InfoContext(ctx, "machine config applied", "mode", apply.Spelled(plan.Mode), "reboot-needed-for", strings.Join(plan.NeedsReboot, ", "))

	return plan, m.take(ctx, plan)
}

// take does what the plan says.
func (m *Machine) take(ctx context.Context, plan apply.Plan) error {
	switch plan.Mode {
	case apply.Try:
		m.config.Try(plan.Config, plan.Limit)
		return nil
	case apply.Staged:
		return m.config.Stage(plan.Config)
	case apply.Reboot:
		if err := m.config.Stage(plan.Config); err != nil {
			return err
		}

		return m.Reboot(ctx)
	default:
		return m.config.Set(plan.Config)
	}
}

// configureFirst ends maintenance mode with the first config that can be taken.
func (m *Machine) configureFirst(ctx context.Context, fields []honoured.Field, request apply.Request) (apply.Plan, error) {
	plan, err := apply.Decide(fields, nil, request)
	if err != nil || request.DryRun {
		return plan, err
	}

	if m.first != nil {
		return plan, errors.New("cannot take another first machine config: the node boots with one already")
	}

	if m.first, err = nodeconfig.New(boot.MachineConfigPath, plan.Config); err != nil {
		m.first = nil
		return plan, err
	}

	m.log.InfoContext(ctx, "first machine config applied", "type", plan.Config.Machine().Type().String())
	close(m.configured)

	return plan, nil
}

// leaveMaintenance lets the node follow its first config, and tells whether it has one.
func (m *Machine) leaveMaintenance() bool {
	m.configuring.Lock()
	defer m.configuring.Unlock()

	m.config = m.first

	return m.config != nil
}

// keepConfigured follows the machine config, and goes back from one that was only tried.
func (m *Machine) keepConfigured(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)

	group.Go(func() error { return m.config.Run(ctx, m.log) })
	group.Go(func() error { return m.follow(ctx) })

	if err := group.Wait(); err != nil {
		return fmt.Errorf("following the machine config: %w", err)
	}

	return nil
}
