package boot

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
	"lazaret/runsc/spec"
)

// dupFile returns a descriptor of f's description that the caller owns.
func dupFile(f *os.File) (int, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("take over a donated file: %w", err)
	}
	return fd, nil
}

// capByName returns the number of a capability.
func capByName(name string) (int, bool) {
	for i, n := range spec.Capabilities {
		if n == name {
			return i, true
		}
	}
	return 0, false
}
