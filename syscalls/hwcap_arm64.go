package syscalls

// hwcap returns the two capabilities that every arm64 processor has: FP and ASIMD.
// TODO: what else the processor has must come from the host's auxiliary vector.
func hwcap() uint64 { return 3 }
