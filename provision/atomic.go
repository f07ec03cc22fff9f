package provision

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

const (
	dirMode  = 0o700
	fileMode = 0o600
)

// WriteFile puts data in place of the file at path in one step, with mode 0600: whoever reads it, or loses power, sees
// the old content or the new one. The directory must be there.
func WriteFile(path string, data []byte) error {
	// CreateTemp makes it with mode 0600.
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	_, err = temp.Write(data)
	err = errors.Join(err, temp.Sync(), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("cannot write %s: %w", path, err), os.Remove(temp.Name()))
	}
	return nil
}
