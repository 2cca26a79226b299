package ptrace

import "lazaret/syscalls/abi"

// The stub's own page is the last of the address space. The application's range ends
// below it, with a gap.
const (
	stubBase  = 0x7fffffffe000
	stubLen   = 4096
	userStart = 0x10000
	userEnd   = 0x7fffffff0000
)

// Entry points in the stub's page; stub_amd64.s puts them there.
const (
	entryCall  = stubBase + 0x00
	entryFork  = stubBase + 0x40
	entryRest  = stubBase + 0x80
	entryArm   = stubBase + 0x100
	entryProt  = stubBase + 0x140
	entrySize  = 0x40  // of entryRest
	stubCodeSz = 0x200 // at least the length of stubCode

	// markCall is the number of the system call that ends an injected one.
	markCall = 0x4c5a
)

var userRange = abi.AddrRange{Start: userStart, End: userEnd}
