//go:build !seccomprecord

package seccomp

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// installFlags: every thread, and denied calls in the host's log.
const installFlags = unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_LOG

// installable is the program as it is put in force.
func installable(prog []unix.SockFilter) []unix.SockFilter { return prog }

// installed judges the result of seccomp(2): with TSYNC a thread that refused.
func installed(r uintptr) error {
	if r != 0 {
		return fmt.Errorf("thread %d could not be put under the filter", r)
	}
	return nil
}
