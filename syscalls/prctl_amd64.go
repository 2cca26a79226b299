package syscalls

import (
	"lazaret/sentry/kernel"
	"lazaret/syscalls/abi"
)

// prctlArch are the options of this architecture: the time stamp counter can always be
// read.
func prctlArch(t *kernel.Task, a *abi.Args) (uint64, error) {
	switch a.Int(0) {
	case abi.PR_GET_TSC:
		v := int32(abi.PR_TSC_ENABLE)
		return done0(copyOut(t, a.Addr(1), &v))
	case abi.PR_SET_TSC:
		return 0, inval(a.Size(1) != abi.PR_TSC_ENABLE)
	}
	return 0, abi.EINVAL
}
