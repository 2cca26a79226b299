package machine

// XsaveComponent returns where a state component is in an XSAVE image in standard format
// (CPUID leaf 13, sub-leaf n).
func XsaveComponent(n uint32) (size, offset uint32)
