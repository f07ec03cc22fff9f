package docker

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// instancesLeft tells how many of so many inotify instances this process could make, by making and closing them: nobody
// tells how many of the host's limit are in use. The nodes' programs run as root; of any other user the answer says
// nothing about them, and so all are left.
func instancesLeft(wanted int) (int, error) {
	if os.Geteuid() != 0 {
		return wanted, nil
	}
	for made := range wanted {
		instance, err := unix.InotifyInit1(unix.IN_CLOEXEC)
		if errors.Is(err, unix.EMFILE) {
			return made, nil
		}
		if err != nil {
			return 0, fmt.Errorf("cannot make an inotify instance: %w", err)
		}
		defer unix.Close(instance)
	}
	return wanted, nil
}
