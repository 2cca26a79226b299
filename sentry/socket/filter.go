package socket

import (
	"lazaret/sentry/kernel/bpf"
	"lazaret/sentry/memfile"
	"lazaret/syscalls/abi"
)

// Filter is what a socket lets pass of what it would receive (SO_ATTACH_FILTER, socket(7)).
// The mutex of its socket guards it.
type Filter struct {
	prog   *bpf.Program
	locked bool
}

func filterCost(p *bpf.Program) uint64 { return uint64(p.Len()) * 8 }

// Set takes p for the filter, or takes it away if p is nil: EPERM when it is locked, ENOENT when
// there is none, ENOMEM. Programs are charged to acct, which may be nil.
func (f *Filter) Set(acct *memfile.Account, p *bpf.Program) error {
	switch {
	case f.locked:
		return abi.EPERM
	case p == nil && f.prog == nil:
		return abi.ENOENT
	}
	if p != nil && acct != nil && acct.Charge(filterCost(p)) != nil {
		return abi.ENOMEM
	}
	f.Close(acct)
	f.prog = p
	return nil
}

// Close takes the filter away, locked or not.
func (f *Filter) Close(acct *memfile.Account) {
	if f.prog != nil && acct != nil {
		acct.Uncharge(filterCost(f.prog))
	}
	f.prog = nil
}

// Lock is SO_LOCK_FILTER; nothing unlocks: EPERM.
func (f *Filter) Lock(on bool) error {
	if f.locked && !on {
		return abi.EPERM
	}
	f.locked = on
	return nil
}

// Locked is what SO_LOCK_FILTER says.
func (f *Filter) Locked() bool { return f.locked }

// On reports whether there is a filter.
func (f *Filter) On() bool { return f.prog != nil }

// Pass returns how much of a packet passes, of which headers are not cut; false: nothing at all.
func (f *Filter) Pass(d *bpf.Packet, headers int) (int, bool) {
	if f.prog == nil {
		return len(d.Data), true
	}
	n := f.prog.RunPacket(d)
	return int(min(max(uint64(n), uint64(headers)), uint64(len(d.Data)))), n != 0
}
