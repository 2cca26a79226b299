package syscalls

// cpuidFeatures returns EDX of CPUID leaf 1, which is AT_HWCAP on x86 (getauxval(3)).
func cpuidFeatures() uint32

func hwcap() uint64 { return uint64(cpuidFeatures()) }
