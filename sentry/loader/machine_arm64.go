package loader

import "lazaret/syscalls/abi"

const (
	elfMachine   = abi.EM_AARCH64
	platformName = "aarch64"
)
