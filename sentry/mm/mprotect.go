package mm

import (
	"lazaret/platform"
	"lazaret/syscalls/abi"
)

// Grows says how PROT_GROWSDOWN and PROT_GROWSUP extend the range of Mprotect.
type Grows uint8

// Values of Grows.
const (
	GrowsNot Grows = iota
	GrowsDown
	GrowsUp
)

// userRange checks and rounds a range given by an application: EINVAL for an address
// inside a page, ENOMEM for what wraps.
func (m *MM) userRange(addr abi.Addr, n uint64) (abi.AddrRange, error) {
	if addr.PageOffset() != 0 {
		return abi.AddrRange{}, abi.EINVAL
	}
	size, ok := abi.Addr(n).RoundUp()
	if !ok {
		return abi.AddrRange{}, abi.ENOMEM
	}
	r, ok := addr.Range(uint64(size))
	if !ok {
		return abi.AddrRange{}, abi.ENOMEM
	}
	return r, nil
}

// Mprotect sets the permissions of [addr, addr+n) (mprotect(2)). What comes before a
// hole or a refusal is changed all the same.
func (m *MM) Mprotect(addr abi.Addr, n uint64, prot platform.Access, grows Grows) error {
	r, err := m.userRange(addr, n)
	if err != nil || r.Len() == 0 {
		return err
	}
	m.lock()
	defer m.unlock()
	i := m.indexLocked(r.Start)
	if i == len(m.vmas) || m.vmas[i].Start >= r.End {
		return abi.ENOMEM
	}
	switch v := m.vmas[i]; grows {
	case GrowsDown:
		if v.flags&vmGrowsDown == 0 {
			return abi.EINVAL
		}
		r.Start = v.Start
	case GrowsUp: // no architecture of ours has stacks that grow up
		return abi.EINVAL
	default:
		if v.Start > r.Start {
			return abi.ENOMEM
		}
	}
	err = m.mprotectLocked(r, prot)
	m.mergeLocked(r)
	return err
}

func (m *MM) mprotectLocked(r abi.AddrRange, prot platform.Access) error {
	lo, hi, err := m.isolateLocked(r)
	if err != nil {
		return err
	}
	next := r.Start
	b := protectBatch{m: m}
	for _, v := range m.vmas[lo:hi] {
		if v.Start != next {
			b.flush()
			return abi.ENOMEM
		}
		next = v.End
		if err := m.protectVMALocked(v, prot, &b); err != nil {
			b.flush()
			return err
		}
	}
	if err := b.flush(); err != nil {
		return err
	}
	if next < r.End {
		return abi.ENOMEM
	}
	return nil
}

// protectVMALocked changes one vma; the AddressSpace follows when the batch is flushed.
func (m *MM) protectVMALocked(v *vma, prot platform.Access, b *protectBatch) error {
	if prot&^v.maxProt != 0 {
		return abi.EACCES
	}
	if prot == v.prot {
		b.pass(v)
		return nil
	}
	w := *v
	w.prot = prot
	if w.isData() && !v.isData() && m.data+v.Len() > m.limits.Data {
		return abi.ENOMEM
	}
	if err := b.change(v, prot); err != nil {
		return err
	}
	m.countLocked(v, -v.Len())
	v.prot = prot
	m.countLocked(v, v.Len())
	return nil
}

// protectBatch turns changes of permissions into few calls of the AddressSpace.
type protectBatch struct {
	m     *MM
	group abi.AddrRange
	prot  platform.Access
}

// pass notes that v keeps its permissions: a group must not reach across what differs.
func (b *protectBatch) pass(v *vma) {
	if b.group.Len() == 0 {
		return
	}
	b.m.pt.runs(v.AddrRange, func(u run) {
		if u.p&pteMapped != 0 && v.asProt(u.p) != b.prot {
			b.flush()
		}
	})
}

// change gives the pages of v what prot allows. On failure pages are taken out of the
// AddressSpace, so that faults bring them back as they should be.
func (b *protectBatch) change(v *vma, prot platform.Access) error {
	w := *v
	w.prot = prot
	err := b.m.unpatchLocked(v.AddrRange)
	b.m.pt.runs(v.AddrRange, func(u run) {
		if u.p&pteMapped == 0 || err != nil {
			return
		}
		was, will := v.asProt(u.p), w.asProt(u.p)
		if b.group.Len() > 0 && will != b.prot {
			err = b.flush()
		}
		if was == will || err != nil {
			return
		}
		if b.group.Len() == 0 {
			b.group.Start, b.prot = u.Start, will
		}
		b.group.End = u.End
	})
	return err
}

func (b *protectBatch) flush() error {
	g := b.group
	b.group = abi.AddrRange{}
	if g.Len() == 0 {
		return nil
	}
	err := b.m.as.Protect(g, b.prot)
	if err == nil {
		b.m.pt.walk(g, func(_ abi.Addr, l *leaf, _, _ int) { l.gain() })
		return nil
	}
	// The host is out of mappings. Take the pages out: a fault maps them again.
	if uerr := b.m.as.Unmap(g); uerr != nil {
		return uerr
	}
	b.m.pt.walk(g, func(_ abi.Addr, l *leaf, lo, hi int) {
		for i := lo; i < hi; i++ {
			l.ptes[i] &^= pteMapped
		}
	})
	return nil
}
