package files

import (
	"context"
	"syscall"
)

// blockSize is the unit in which the kernel tells how much room a file takes, in bytes.
const blockSize = 512

// Usage is how much room something takes on disk, in bytes; for a directory that is all below it.
type Usage struct {
	Entry
	Size int64
}

// MeasureUsage calls yield for root and each directory below it, after all that they hold, and with all for files too.
// It measures everything, and tells what is at most depth below root.
func MeasureUsage(ctx context.Context, root string, depth int, all bool, yield func(Usage) error) error {
	m := meter{depth: depth, all: all, yield: yield}

	if err := Walk(ctx, root, Unlimited, m.visit); err != nil {
		return err
	}

	return m.closeTo(0)
}

// meter adds up. Walk comes to a directory before its content, so that those which are not over yet make a stack.
type meter struct {
	depth int
	all   bool
	yield func(Usage) error
	open  []Usage
}

func (m *meter) visit(entry Entry) error {
	if entry.Err != nil {
		return m.tell(Usage{Entry: entry})
	}

	if err := m.closeTo(entry.Depth); err != nil {
		return err
	}

	one := Usage{Entry: entry, Size: roomOf(entry)}
	if entry.Info.IsDir() {
		m.open = append(m.open, one)
		return nil
	}

	m.add(one.Size)

	if !m.all && entry.Depth > 0 {
		return nil
	}

	return m.tell(one)
}

// closeTo ends all directories that are not above that depth.
func (m *meter) closeTo(depth int) error {
	for len(m.open) > depth {
		last := m.open[len(m.open)-1]
		m.open = m.open[:len(m.open)-1]

		m.add(last.Size)

		if err := m.tell(last); err != nil {
			return err
		}
	}

	return nil
}

// add puts size to the innermost directory.
func (m *meter) add(size int64) {
	if len(m.open) > 0 {
		m.open[len(m.open)-1].Size += size
	}
}

func (m *meter) tell(one Usage) error {
	if one.Depth > m.depth && one.Err == nil {
		return nil
	}

	return m.yield(one)
}

func roomOf(entry Entry) int64 {
	stat, ok := entry.Info.Sys().(*syscall.Stat_t)
	if !ok {
		return entry.Info.Size()
	}

	return stat.Blocks * blockSize
}
