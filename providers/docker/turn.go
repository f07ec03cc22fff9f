package docker

import (
	"context"
	"fmt"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/bronze-os/bronze/provision"
)

// Turn brings a container to the wanted state from whichever it is in by now. One that is stopped is not started again
// with the engine, until it is turned to run.
func (p *Provider) Turn(ctx context.Context, machine provision.Machine, to provision.MachineState) error {
	found, err := p.engine.ContainerInspect(ctx, machine.ID, client.ContainerInspectOptions{})
	if err != nil {
		return fmt.Errorf("cannot inspect container: %w", err)
	}
	is := stateOf(found.Container.State.Status)
	switch to {
	case provision.MachineRunning:
		return p.turnOn(ctx, machine, is)
	case provision.MachineStopped:
		return p.turnOff(ctx, machine, found.Container.State)
	case provision.MachinePaused:
		if is == to {
			return nil
		}
		if _, err := p.engine.ContainerPause(ctx, machine.ID, client.ContainerPauseOptions{}); err != nil {
			return fmt.Errorf("cannot pause container: %w", err)
		}
		return nil
	default:
		return fmt.Errorf("cannot turn a container to %q", to)
	}
}

func (p *Provider) turnOn(ctx context.Context, machine provision.Machine, is provision.MachineState) error {
	switch is {
	case provision.MachineRunning:
		return nil
	case provision.MachinePaused:
		if _, err := p.engine.ContainerUnpause(ctx, machine.ID, client.ContainerUnpauseOptions{}); err != nil {
			return fmt.Errorf("cannot resume container: %w", err)
		}
		return nil
	}
	_, err := p.engine.ContainerStart(ctx, machine.ID, client.ContainerStartOptions{})
	if err == nil {
		return nil
	}
	err = fmt.Errorf("cannot start container: %w", err)
	if portTaken(err) {
		return provision.WithHint(err, "free the host's port, or run the same bronze cluster create again: it finds others")
	}
	return err
}

// turnOff lets a container end in order. A paused one must go on for that; one that the engine is about to start again
// is told not to.
func (p *Provider) turnOff(ctx context.Context, machine provision.Machine, state *container.State) error {
	switch stateOf(state.Status) {
	case provision.MachineStopped, provision.MachineCreated:
		return nil
	case provision.MachinePaused:
		if _, err := p.engine.ContainerUnpause(ctx, machine.ID, client.ContainerUnpauseOptions{}); err != nil {
			return fmt.Errorf("cannot resume container to stop it: %w", err)
		}
	}
	if _, err := p.engine.ContainerStop(ctx, machine.ID, client.ContainerStopOptions{}); err != nil {
		return fmt.Errorf("cannot stop container: %w", err)
	}
	return nil
}
