package machine

import (
	"context"
	"fmt"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
)

// followPause lies between two attempts to bring the node to a changed machine config; it grows while they are in vain.
const (
	followPause    = time.Second
	followPauseMax = 30 * time.Second
)

// part is one aspect of the machine config as files of the node and what reads them.
type part struct {
	id    string
	files func() ([]rootfs.Step, error)
	// argv is a command line made of the config; a change of it is a change of the part. It may be nil.
	argv func() []string
	// made, where the files differ each time that they are made, tells what they are made of instead.
	made func() any
	// changed acts on a change after the first time, once the files are written. It may be nil.
	changed func(ctx context.Context) error
	// later lets the node boot without the part, which then comes as soon as it can be had.
	later bool
}

// applied remembers what each part was when it was last brought to the node.
type applied map[string]string

// apply brings one part to the node if it is not there as it is wanted; only then it writes anything.
func (a applied) apply(ctx context.Context, p part) error {
	steps, mark, err := p.wanted()
	if err != nil {
		return err
	}

	before, known := a[p.id]
	if known && before == mark {
		return nil
	}

	if err := rootfs.Apply(steps); err != nil {
		return err
	}

	if known && p.changed != nil {
		if err := p.changed(ctx); err != nil {
			return fmt.Errorf("acting on the change of %s: %w", p.id, err)
		}
	}

	a[p.id] = mark

	return nil
}

// wanted answers the part's files, and a text that differs whenever the part does.
func (p part) wanted() ([]rootfs.Step, string, error) {
	steps, err := p.files()
	if err != nil {
		return nil, "", fmt.Errorf("preparing the files of %s: %w", p.id, err)
	}

	var made any = fmt.Sprintf("%#v", steps)
	if p.made != nil {
		made = p.made()
	}

	marks := []any{made}
	if p.argv != nil {
		marks = append(marks, p.argv())
	}

	mark, err := yaml.Marshal(marks)
	if err != nil {
		return nil, "", fmt.Errorf("comparing %s: %w", p.id, err)
	}

	return steps, string(mark), nil
}

// begin brings all parts to a booting node.
func (m *Machine) begin(ctx context.Context) error {
	for _, p := range m.parts() {
		if err := m.applied.apply(ctx, p); err != nil && !p.later {
			return err
		}
	}

	return nil
}

// follow brings the node to the machine config whenever that changes, or when more parts of it can be, until ctx ends.
func (m *Machine) follow(ctx context.Context) error {
	imported := m.imported
	told, pause := map[string]string{}, followPause

	for {
		changed := m.config.Changed()

		var again <-chan time.Time

		for _, p := range m.parts() {
			err := m.applied.apply(ctx, p)
			if err == nil {
				delete(told, p.id)
				continue
			}

			again = time.After(pause)

			// What stays wrong until somebody changes the config is told once.
			if told[p.id] != err.Error() {
				told[p.id] = err.Error()
				m.log.Error("cannot follow the machine config yet", "part", p.id, "error", err)
			}
		}

		m.wrote.Notify()

		select {
		case <-changed:
			pause = followPause
		case <-again:
			pause = min(2*pause, followPauseMax)
		case <-imported:
			// Closed, it would end every wait from now on.
			imported = nil
		case <-ctx.Done():
			return nil
		}
	}
}
