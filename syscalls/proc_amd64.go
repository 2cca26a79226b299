package syscalls

import (
	"lazaret/sentry/kernel"
	"lazaret/syscalls/abi"
)

var procArchRows = []Row{
	full(abi.SYS_FORK, "fork", func(t *kernel.Task, _ *abi.Args) (uint64, error) { return ret32(t.Fork()) }),
	full(abi.SYS_VFORK, "vfork", func(t *kernel.Task, _ *abi.Args) (uint64, error) { return ret32(t.Vfork()) }),
	full(abi.SYS_GETPGRP, "getpgrp", func(t *kernel.Task, _ *abi.Args) (uint64, error) { return ret32(t.Getpgid(0)) }),
	full(abi.SYS_PAUSE, "pause", func(t *kernel.Task, _ *abi.Args) (uint64, error) { return done0(t.Pause()) }),
	full(abi.SYS_ARCH_PRCTL, "arch_prctl", ArchPrctl, Hex, Hex),
}

// cloneArgs returns clone's arguments in this architecture's order.
func cloneArgs(a *abi.Args) (flags uint64, stack, ptid, ctid abi.Addr, tls uint64) {
	return a.Size(0), a.Addr(1), a.Addr(2), a.Addr(3), a.Size(4)
}

// ArchPrctl is arch_prctl(2).
func ArchPrctl(t *kernel.Task, a *abi.Args) (uint64, error) {
	regs := t.Regs()
	switch a.Int(0) {
	case abi.ARCH_SET_FS, abi.ARCH_SET_GS:
		v := a.Size(1)
		if v >= uint64(t.Kernel().Platform.UserRange().End) {
			return 0, abi.EPERM
		}
		if a.Int(0) == abi.ARCH_SET_FS {
			regs.FsBase = v
		} else {
			regs.GsBase = v
		}
		return 0, nil
	case abi.ARCH_GET_FS:
		return done0(copyOut(t, a.Addr(1), &regs.FsBase))
	case abi.ARCH_GET_GS:
		return done0(copyOut(t, a.Addr(1), &regs.GsBase))
	}
	return 0, abi.EINVAL
}
