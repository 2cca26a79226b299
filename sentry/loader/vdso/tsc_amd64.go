package vdso

// ReadTSC returns the processor's time stamp counter.
func ReadTSC() uint64
