package sandbox

import (
	"errors"

	"golang.org/x/sys/unix"
)

// verifyConfined asks the kernel whether the steps of a confinement took effect, before
// the filter makes asking impossible.
func verifyConfined() error {
	if d, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err != nil || d != 0 {
		return errors.New("confinement failed: the process is dumpable")
	}
	if n, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err != nil || n != 1 {
		return errors.New("confinement failed: no_new_privs is off")
	}
	if b, err := unix.PrctlRetInt(unix.PR_GET_SECUREBITS, 0, 0, 0, 0); err != nil || b != lockedSecureBits {
		return errors.New("confinement failed: secure bits are not locked")
	}
	return nil
}
