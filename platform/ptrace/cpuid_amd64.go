package ptrace

// xsaveComponent returns where a state component is in an XSAVE image in standard format
// (CPUID leaf 13, sub-leaf n).
func xsaveComponent(n uint32) (size, offset uint32)
