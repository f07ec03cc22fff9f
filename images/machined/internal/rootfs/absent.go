package rootfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Absent is a file that is not there.
type Absent struct{ Path string }

// Do removes the file where there is one.
func (a Absent) Do() error {
	if err := os.Remove(a.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot remove %s: %w", a.Path, err)
	}

	return nil
}
