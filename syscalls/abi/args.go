package abi

// Args are the six arguments of a system call as the application passed them. The typed
// accessors truncate as Linux's own prototypes do.
type Args [6]uint64

// Addr returns argument i as an application address.
func (a *Args) Addr(i int) Addr { return Addr(a[i]) }

// Int returns argument i as an int.
func (a *Args) Int(i int) int32 { return int32(a[i]) }

// Uint returns argument i as an unsigned int.
func (a *Args) Uint(i int) uint32 { return uint32(a[i]) }

// Long returns argument i as a long (also off_t on 64-bit machines).
func (a *Args) Long(i int) int64 { return int64(a[i]) }

// Size returns argument i as a size_t or unsigned long.
func (a *Args) Size(i int) uint64 { return a[i] }
