package syscalls

import (
	"lazaret/sentry/kernel"
	"lazaret/syscalls/abi"
)

var ptraceRows = []Row{
	full(abi.SYS_PTRACE, "ptrace", Ptrace, Hex, Int, Hex, Hex),
}

// Ptrace is ptrace(2).
func Ptrace(t *kernel.Task, a *abi.Args) (uint64, error) {
	return t.Ptrace(a.Long(0), a.Int(1), a.Size(2), a.Size(3))
}
