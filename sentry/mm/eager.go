package mm

import (
	"lazaret/platform"
	"lazaret/syscalls/abi"
)

const (
	// eagerHost is the size up to which a mapping of a host file is mapped at mmap time.
	eagerHost = 64 << 20

	// lazyData is the size up to which a writable private mapping of a file waits for
	// its first fault: it is a data segment, and will be written.
	lazyData = 1 << 20
)

// eagerLocked maps the new range r of v at once if that costs no more memory than a
// fault would take. A small data segment (segment) is copied; other private mappings show
// what is written to the file until they are written themselves. It returns the end of what is mapped from r.Start on.
func (m *MM) eagerLocked(v *vma, r abi.AddrRange, segment bool) abi.Addr {
	switch {
	case v.prot == 0:
	case v.object == nil:
		if v.prot&platform.Write != 0 && r.Len() <= wholePages<<abi.PageShift && v.flags&vmGrowsDown == 0 {
			return m.eagerAnonLocked(v, r)
		}
	case segment && !v.shared() && v.prot&platform.Write != 0 && r.Len() <= firstPages<<abi.PageShift:
		return m.eagerCopyLocked(v, r)
	case v.shared() || v.prot&platform.Write == 0 || r.Len() > lazyData:
		if r.Len() <= eagerHost {
			return m.eagerHostLocked(v, r)
		}
	}
	return r.Start
}

// ensureLocked makes the leafs of r.
func (m *MM) ensureLocked(r abi.AddrRange) error {
	for a := r.Start &^ (leafSize - 1); a < r.End; a += leafSize {
		if _, err := m.pt.ensure(a); err != nil {
			return err
		}
	}
	return nil
}

func (m *MM) eagerAnonLocked(v *vma, r abi.AddrRange) abi.Addr {
	if m.ensureLocked(r) != nil {
		return r.Start
	}
	off, got, err := m.allocate(v, r, r.Start)
	if err != nil {
		return r.Start
	}
	if m.enter(v, got, m.file.FD(), off, pteMem|pteAnon) != nil {
		return r.Start
	}
	return got.End
}

// eagerCopyLocked copies a small data segment, which is about to be written anyway.
func (m *MM) eagerCopyLocked(v *vma, r abi.AddrRange) abi.Addr {
	if m.ensureLocked(r) != nil || m.fillCopy(v, r, r.Start) != nil {
		return r.Start
	}
	end := r.Start
	for end < r.End && m.pt.leaf(end).ptes[leafIndex(end)] != 0 {
		end += abi.PageSize
	}
	return end
}

// eagerHostLocked maps a host file; pages of the memory file wait for faults, since
// asking for them may allocate them.
func (m *MM) eagerHostLocked(v *vma, r abi.AddrRange) abi.Addr {
	write := v.shared() && v.prot&platform.Write != 0
	for at, pieces := r.Start, 0; at < r.End; pieces++ {
		e, err := m.extent(v, at, abi.PageSize, write)
		if err != nil {
			return at
		}
		if m.isMem(e) || pieces == 8 {
			m.putExtent(e)
			return at
		}
		if e, err = m.extent(v, at, uint64(r.End-at), write); err != nil {
			return at
		}
		part := abi.AddrRange{Start: at, End: at + abi.Addr(e.Len)}
		if m.isMem(e) || m.ensureLocked(part) != nil || m.enter(v, part, e.FD, e.Off, pteHost) != nil {
			m.putExtent(e)
			return at
		}
		at = part.End
	}
	return r.End
}

// populateLocked makes all of r accessible as far as that goes (MAP_POPULATE, mlock).
// It stops at the first failure, which it returns.
func (m *MM) populateLocked(r abi.AddrRange) error {
	for a := r.Start; a < r.End; {
		v := m.findLocked(a)
		if v == nil {
			return abi.ENOMEM
		}
		if v.prot == 0 {
			return abi.ENOMEM
		}
		end := min(v.End, r.End)
		access := platform.Read
		if v.prot&platform.Write != 0 {
			access = platform.Write
		}
		if err := m.populateVMALocked(v, abi.AddrRange{Start: a, End: end}, access); err != nil {
			return err
		}
		a = end
	}
	return nil
}

// populateVMALocked faults in the pages of r, a part of v, for access.
func (m *MM) populateVMALocked(v *vma, r abi.AddrRange, access platform.Access) error {
	for a := r.Start; a < r.End; {
		if l := m.pt.leaf(a); l != nil {
			p := l.ptes[leafIndex(a)]
			ro := access&platform.Write != 0 && !v.shared() && p&(pteCOW|pteHost) != 0
			if p&pteMapped != 0 && !ro {
				a += abi.PageSize
				continue
			}
		}
		if v.object == nil && access&platform.Write != 0 {
			// Big pieces: what is asked for will be had anyway.
			if n := m.populateAnonLocked(v, abi.AddrRange{Start: a, End: r.End}); n > 0 {
				a += abi.Addr(n)
				continue
			}
		}
		if _, err := m.faultLocked(v, a, access); err != nil {
			return err
		}
	}
	return nil
}

// populateAnonLocked backs the absent pages at the start of r in one piece.
func (m *MM) populateAnonLocked(v *vma, r abi.AddrRange) uint64 {
	base := r.Start &^ (leafSize - 1)
	r.End = min(r.End, base+leafSize)
	l, err := m.pt.ensure(r.Start)
	if err != nil {
		return 0
	}
	end := r.Start
	for end < r.End && l.ptes[leafIndex(end)] == 0 {
		end += abi.PageSize
	}
	if end == r.Start {
		return 0
	}
	r.End = end
	off, got, err := m.allocate(v, r, r.Start)
	if err != nil || m.enter(v, got, m.file.FD(), off, pteMem|pteAnon) != nil {
		return 0
	}
	return got.Len()
}
