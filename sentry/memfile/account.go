package memfile

import (
	"sync/atomic"

	"lazaret/syscalls/abi"
)

// Account is who pays for pages: a container's memory. The zero Account has no limit.
type Account struct {
	limit atomic.Uint64 // bytes, 0 = none
	used  atomic.Uint64 // bytes
	peak  atomic.Uint64 // bytes
	fails atomic.Uint64 // charges refused
}

// Charge takes n bytes, or fails with abi.ENOMEM when the limit does not allow it.
func (a *Account) Charge(n uint64) error {
	u := a.used.Add(n)
	if l := a.limit.Load(); l != 0 && u > l {
		a.used.Add(-n)
		a.fails.Add(1)
		return abi.ENOMEM
	}
	for p := a.peak.Load(); u > p && !a.peak.CompareAndSwap(p, u); p = a.peak.Load() {
	}
	return nil
}

// Uncharge gives n bytes back.
func (a *Account) Uncharge(n uint64) { a.used.Add(-n) }

// SetLimit sets the limit in bytes; 0 means none.
func (a *Account) SetLimit(n uint64) { a.limit.Store(n) }

// Limit returns the limit in bytes, 0 for none.
func (a *Account) Limit() uint64 { return a.limit.Load() }

// Used returns the bytes charged now.
func (a *Account) Used() uint64 { return a.used.Load() }

// Peak returns the most bytes ever charged.
func (a *Account) Peak() uint64 { return a.peak.Load() }

// Fails returns how often a charge was refused.
func (a *Account) Fails() uint64 { return a.fails.Load() }
