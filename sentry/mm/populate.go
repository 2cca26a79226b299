package mm

import (
	"golang.org/x/sys/unix"

	"lazaret/platform"
	"lazaret/sentry/memfile"
	"lazaret/syscalls/abi"
)

const (
	// firstPages is what a lone fault in a large mapping gets: 64 KiB.
	firstPages = 16

	// wholePages is the size up to which a mapping gets all its pages at once.
	wholePages = 64

	// copyPages is the number of pages copied around a write to shared ones. More
	// would save faults and waste memory after the fork of a large process.
	copyPages = 8
)

// window returns the range of absent pages around addr that a fault there should fill:
// inside v and the leaf, twice as many as are present next to it.
// Preconditions: l.mu is held, the entry of addr is 0.
func (m *MM) window(v *vma, l *leaf, addr abi.Addr) abi.AddrRange {
	base := addr &^ (leafSize - 1)
	lim := v.Intersect(abi.AddrRange{Start: base, End: base + leafSize})
	lo, hi := int((lim.Start-base)>>abi.PageShift), int((lim.End-base)>>abi.PageShift)
	i := leafIndex(addr)
	from, to := lo, hi
	if v.Len() > wholePages<<abi.PageShift {
		below, above := 0, 0
		for i-below > lo && l.ptes[i-below-1] != 0 {
			below++
		}
		for i+above+1 < hi && l.ptes[i+above+1] != 0 {
			above++
		}
		if i-below == 0 && base > v.Start {
			below += m.tail(base - leafSize)
		}
		if i+above+1 == leafPages && base+leafSize < v.End {
			above += m.head(base + leafSize)
		}
		switch {
		case below > 0:
			from, to = i, min(hi, i+max(below, firstPages))
		case above > 0:
			from, to = max(lo, i+1-max(above, firstPages)), i+1
		default:
			n := l.block(lo, hi)
			from, to = max(lo, i&^(n-1)), min(hi, i&^(n-1)+n)
		}
	}
	a, z := i, i+1
	for a > from && l.ptes[a-1] == 0 {
		a--
	}
	for z < to && l.ptes[z] == 0 {
		z++
	}
	return abi.AddrRange{Start: base + abi.Addr(a)<<abi.PageShift, End: base + abi.Addr(z)<<abi.PageShift}
}

// block returns how many pages around a lone fault are worth having: what a mapping has
// touched here and there it will touch elsewhere. A power of two.
// Preconditions: l.mu is held.
func (l *leaf) block(lo, hi int) int {
	have := 0
	for _, p := range l.ptes[lo:hi] {
		if p&pteMem != 0 {
			have++
		}
	}
	n := firstPages
	for n < have && n < wholePages {
		n *= 2
	}
	return n
}

// tail returns the number of present pages at the end of the leaf at base, and 0 if it
// is locked: the caller holds another one.
func (m *MM) tail(base abi.Addr) int {
	l := m.pt.leaf(base)
	if l == nil || !l.mu.TryRLock() {
		return 0
	}
	defer l.mu.RUnlock()
	n := 0
	for n < leafPages && l.ptes[leafPages-1-n] != 0 {
		n++
	}
	return n
}

// head is tail for the beginning of the leaf at base.
func (m *MM) head(base abi.Addr) int {
	l := m.pt.leaf(base)
	if l == nil || !l.mu.TryRLock() {
		return 0
	}
	defer l.mu.RUnlock()
	n := 0
	for n < leafPages && l.ptes[n] != 0 {
		n++
	}
	return n
}

// fillLocked gives the absent page at addr, and what is absent around it, a source, and
// maps it. Preconditions: l.mu is held.
func (m *MM) fillLocked(v *vma, l *leaf, addr abi.Addr, write bool) error {
	r := m.window(v, l, addr)
	if v.object == nil {
		return m.fillAnon(v, r, addr)
	}
	if !v.shared() && write {
		lim := v.Intersect(around(addr, leafPages))
		n := l.block(leafIndex(lim.Start), leafIndex(lim.End-1)+1)
		return m.fillCopy(v, r.Intersect(around(addr, uint64(n))), addr)
	}
	return m.fillObject(v, l, r, addr)
}

// around returns the aligned block of n pages (a power of two) that contains addr.
func around(addr abi.Addr, n uint64) abi.AddrRange {
	s := addr &^ abi.Addr(n<<abi.PageShift-1)
	return abi.AddrRange{Start: s, End: s + abi.Addr(n<<abi.PageShift)}
}

// page returns the page of addr as a range.
func page(addr abi.Addr) abi.AddrRange { return around(addr, 1) }

// allocate allocates pages for r, or when that is refused for the page of addr alone,
// and returns the range that they are for.
func (m *MM) allocate(v *vma, r abi.AddrRange, addr abi.Addr) (int64, abi.AddrRange, error) {
	opts := memfile.AllocOpts{}
	if v.flags&vmGrowsDown != 0 {
		opts.Dir = memfile.TopDown
	} else if l := m.pt.leaf(r.Start - 1); l != nil && l == m.pt.leaf(r.Start) {
		if p := l.ptes[leafIndex(r.Start-1)]; p&pteMem != 0 {
			opts.Near = p.off() + abi.PageSize
		}
	}
	off, err := m.file.Allocate(m.acct, r.Len(), opts)
	if err != nil && r.Len() > abi.PageSize {
		r = page(addr)
		off, err = m.file.Allocate(m.acct, r.Len(), memfile.AllocOpts{})
	}
	return off, r, err
}

// fillAnon backs r with fresh memory.
func (m *MM) fillAnon(v *vma, r abi.AddrRange, addr abi.Addr) error {
	off, r, err := m.allocate(v, r, addr)
	if err != nil {
		return err
	}
	return m.enter(v, r, m.file.FD(), off, pteMem|pteAnon)
}

// enter maps r to [off, off+r.Len()) of fd and sets its entries to p; the references of
// memory file pages pass to the table. Preconditions: the entries are 0; the leafs exist
// and are locked.
func (m *MM) enter(v *vma, r abi.AddrRange, fd int, off int64, p pte) error {
	if err := m.as.Map(r, fd, off, v.asProt(p)); err != nil {
		if p&pteMem != 0 {
			m.file.DecRef(off, r.Len())
		}
		return err
	}
	m.set(v, r, off, p|pteMapped)
	return nil
}

// set fills the entries of r, which were 0.
func (m *MM) set(v *vma, r abi.AddrRange, off int64, p pte) {
	if p&pteMem != 0 {
		p |= pte(off)
	}
	m.rss.add(v, p, int64(r.Len()>>abi.PageShift))
	var l *leaf
	for a := r.Start; a < r.End; a += abi.PageSize {
		i := leafIndex(a)
		if l == nil || i == 0 {
			l = m.pt.leaf(a)
			l.gain()
		}
		l.ptes[i] = p
		p = p.next(abi.PageSize)
	}
}

// fillCopy backs r with private copies of the object's pages.
func (m *MM) fillCopy(v *vma, r abi.AddrRange, addr abi.Addr) error {
	off, r, err := m.allocate(v, r, addr)
	if err != nil {
		return err
	}
	n, err := m.copyObject(v, r, addr, off)
	if err != nil {
		m.file.DecRef(off, r.Len())
		return err
	}
	if end := r.Start + abi.Addr(n); end < r.End { // the object ends inside r
		m.file.DecRef(off+int64(n), r.Len()-n)
		r.End = end
	}
	return m.enter(v, r, m.file.FD(), off, pteMem|pteAnon)
}

// copyObject reads the object's pages at r into the memory file at off and returns the
// number of bytes that there were. It fails if the page of addr is not among them.
func (m *MM) copyObject(v *vma, r abi.AddrRange, addr abi.Addr, off int64) (uint64, error) {
	for a := r.Start; a < r.End; {
		e, err := m.extent(v, a, uint64(r.End-a), false)
		if err != nil {
			if a > addr {
				return uint64(a - r.Start), nil
			}
			return 0, err
		}
		n, err := m.readExtent(e, m.file.Bytes(off+int64(a-r.Start), e.Len))
		m.putExtent(e)
		a += abi.Addr(n)
		if err == nil && n < e.Len {
			err = abi.EFAULT // the file ends here
		}
		if err != nil {
			if a > addr {
				return uint64(a - r.Start), nil
			}
			return 0, err
		}
	}
	return r.Len(), nil
}

// readExtent fills dst from the start of e as far as there are pages, and returns how many
// bytes those have; what lies past the end of a host file in its last page is zero.
func (m *MM) readExtent(e memfile.Extent, dst []byte) (uint64, error) {
	if m.isMem(e) {
		copy(dst, m.file.Bytes(e.Off, uint64(len(dst))))
		return uint64(len(dst)), nil
	}
	n, err := preadFull(e.FD, dst, e.Off)
	if err != nil {
		return 0, err
	}
	whole := min((n+abi.PageMask)&^abi.PageMask, len(dst))
	clear(dst[n:whole])
	return uint64(whole), nil
}

func preadFull(fd int, dst []byte, off int64) (int, error) {
	n := 0
	for n < len(dst) {
		c, err := unix.Pread(fd, dst[n:], off+int64(n))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return n, abi.EFAULT
		}
		if c == 0 {
			break
		}
		n += c
	}
	return n, nil
}

// fillObject maps the object's own pages.
func (m *MM) fillObject(v *vma, l *leaf, r abi.AddrRange, addr abi.Addr) error {
	write := v.shared() && v.prot&platform.Write != 0
	e, err := m.extent(v, addr.RoundDown(), abi.PageSize, write)
	if err != nil {
		return err
	}
	at := addr.RoundDown()
	if m.isMem(e) {
		m.putExtent(e)
	} else {
		r = absent(v, l, addr) // pages of a host file cost nothing: take all
	}
	e, err = m.extent(v, r.Start, r.Len(), write)
	if err == nil && r.Start+abi.Addr(e.Len) > at {
		at = r.Start
	} else {
		if err == nil {
			m.putExtent(e)
		}
		if e, err = m.extent(v, at, uint64(r.End-at), write); err != nil {
			return err
		}
	}
	p := pteHost
	if m.isMem(e) {
		p = pteMem
		if !v.shared() {
			p |= pteCOW
		}
	}
	return m.enter(v, abi.AddrRange{Start: at, End: at + abi.Addr(e.Len)}, e.FD, e.Off, p)
}

// absent returns the range of absent pages around addr in v and the leaf.
func absent(v *vma, l *leaf, addr abi.Addr) abi.AddrRange {
	base := addr &^ (leafSize - 1)
	lim := v.Intersect(abi.AddrRange{Start: base, End: base + leafSize})
	r := page(addr)
	for r.Start > lim.Start && l.ptes[leafIndex(r.Start-1)] == 0 {
		r.Start -= abi.PageSize
	}
	for r.End < lim.End && l.ptes[leafIndex(r.End)] == 0 {
		r.End += abi.PageSize
	}
	return r
}

// installLocked maps the present page at addr, and those around it that are contiguous
// with it, into the AddressSpace. Preconditions: l.mu is held.
func (m *MM) installLocked(v *vma, l *leaf, addr abi.Addr) error {
	p := l.ptes[leafIndex(addr)]
	r := page(addr)
	if p&pteMem == 0 {
		e, err := m.extent(v, r.Start, abi.PageSize, v.shared() && v.prot&platform.Write != 0)
		if err != nil {
			return err
		}
		if m.isMem(e) { // the object changed its mind: start over
			m.putExtent(e)
			l.ptes[leafIndex(addr)] = 0
			m.rss.add(v, p, -1)
			return m.fillLocked(v, l, addr, false)
		}
		if err := m.as.Map(r, e.FD, e.Off, v.asProt(p)); err != nil {
			return err
		}
		l.ptes[leafIndex(addr)] |= pteMapped
		return nil
	}
	base := addr &^ (leafSize - 1)
	lim := v.Intersect(abi.AddrRange{Start: base, End: base + leafSize})
	for r.Start > lim.Start && l.ptes[leafIndex(r.Start-1)]+abi.PageSize == l.ptes[leafIndex(r.Start)] {
		r.Start -= abi.PageSize
	}
	for r.End < lim.End && l.ptes[leafIndex(r.End)] == l.ptes[leafIndex(r.End-1)]+abi.PageSize {
		r.End += abi.PageSize
	}
	if err := m.as.Map(r, m.file.FD(), l.ptes[leafIndex(r.Start)].off(), v.asProt(p)); err != nil {
		return err
	}
	for a := r.Start; a < r.End; a += abi.PageSize {
		l.ptes[leafIndex(a)] |= pteMapped
	}
	return nil
}
