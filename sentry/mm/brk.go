package mm

import (
	"lazaret/platform"
	"lazaret/syscalls/abi"
)

// SetBrkStart makes the heap start above a, the end of the program, with a random gap
// between them where addresses are random.
func (m *MM) SetBrkStart(a abi.Addr) {
	m.mu.Lock()
	defer m.mu.Unlock()
	up, ok := a.RoundUp()
	if !ok {
		return
	}
	if r, ok := up.Range(m.layout.BrkGap); ok && r.End < m.user.End && m.freeLocked(r) {
		up = r.End
	}
	m.brkStart, m.brk = up, up
}

// Brk moves the end of the heap to a and returns where it is then (brk(2)): it stays
// where it is when that is not possible.
func (m *MM) Brk(a abi.Addr) abi.Addr {
	m.lock()
	defer m.unlock()
	if a < m.brkStart || a > m.user.End {
		return m.brk
	}
	have, ok1 := m.brk.RoundUp()
	want, ok2 := a.RoundUp()
	if !ok1 || !ok2 {
		return m.brk
	}
	switch {
	case want < have:
		if m.munmapLocked(abi.AddrRange{Start: want, End: have}) != nil {
			return m.brk
		}
	case want > have:
		r := abi.AddrRange{Start: have, End: want}
		// A page stays free above the heap, as check_brk_limits does it.
		if !m.clearOfStackLocked(abi.AddrRange{Start: have, End: want + abi.PageSize}) {
			return m.brk
		}
		if l := m.limits.Data; l != Infinity && uint64(a-m.brkStart) > l {
			return m.brk
		}
		o := MapOpts{
			Addr: have, Len: r.Len(), Fixed: true,
			Prot: platform.Read | platform.Write, MaxProt: platform.Read | platform.Write | platform.Exec,
		}
		if _, err := m.mmapLocked(&o); err != nil {
			return m.brk
		}
	}
	m.brk = a
	return a
}

// SetBrk says where the heap begins and ends, without mapping anything (PR_SET_MM_MAP).
// Preconditions: start is not above end, and both are addresses of the application.
func (m *MM) SetBrk(start, end abi.Addr) {
	m.lock()
	defer m.unlock()
	m.brkStart, m.brk = start, end
}
