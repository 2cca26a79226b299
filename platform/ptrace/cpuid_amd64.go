package ptrace

// pkruOffset returns where the PKRU component is in an XSAVE image (CPUID leaf 13).
func pkruOffset() int
