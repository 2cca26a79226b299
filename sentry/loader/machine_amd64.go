package loader

import "lazaret/syscalls/abi"

const (
	elfMachine   = abi.EM_X86_64
	platformName = "x86_64"
)
