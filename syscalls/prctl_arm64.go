package syscalls

import (
	"lazaret/sentry/kernel"
	"lazaret/syscalls/abi"
)

// prctlArch are the options of this architecture, of which there are none: vectors have
// no length to choose and tagged addresses are refused.
func prctlArch(*kernel.Task, *abi.Args) (uint64, error) { return 0, abi.EINVAL }
