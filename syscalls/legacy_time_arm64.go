package syscalls

import (
	"lazaret/sentry/kernel"
	"lazaret/syscalls/abi"
)

// legacyTimeRows are the older calls that arm64 has too.
var legacyTimeRows = []Row{
	full(abi.SYS_RENAMEAT, "renameat", func(t *kernel.Task, a *abi.Args) (uint64, error) {
		return done0(renameAt(t, a.Int(0), a.Addr(1), a.Int(2), a.Addr(3), 0))
	}, FD, Path, FD, Path),
}
