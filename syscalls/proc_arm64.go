package syscalls

import "lazaret/syscalls/abi"

var procArchRows []Row

// cloneArgs returns clone's arguments in this architecture's order.
func cloneArgs(a *abi.Args) (flags uint64, stack, ptid, ctid abi.Addr, tls uint64) {
	return a.Size(0), a.Addr(1), a.Addr(2), a.Addr(4), a.Size(3)
}
