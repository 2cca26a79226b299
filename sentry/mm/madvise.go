package mm

import (
	"lazaret/platform"
	"lazaret/sentry/memfile"
	"lazaret/syscalls/abi"
)

// Puncher is a Mappable whose pages can be removed through a mapping (MADV_REMOVE).
type Puncher interface {
	Punch(off, n uint64) error
}

// zapInPlace is the size up to which MADV_DONTNEED clears pages instead of dropping
// them: their addresses stay mapped and need no fault. Larger pieces are given back, so
// that the container stops paying for them.
const zapInPlace = 64 << 10

// adviceFlags are the advices that only set and clear flags of vmas.
var adviceFlags = map[int]struct{ set, clear vmaFlags }{
	abi.MADV_NORMAL:     {0, vmSeq | vmRand},
	abi.MADV_SEQUENTIAL: {vmSeq, vmRand},
	abi.MADV_RANDOM:     {vmRand, vmSeq},
	abi.MADV_DONTFORK:   {vmDontFork, 0},
	abi.MADV_DOFORK:     {0, vmDontFork},
	abi.MADV_WIPEONFORK: {vmWipeOnFork, 0},
	abi.MADV_KEEPONFORK: {0, vmWipeOnFork},
	abi.MADV_DONTDUMP:   {vmDontDump, 0},
	abi.MADV_DODUMP:     {0, vmDontDump},
	abi.MADV_HUGEPAGE:   {vmHuge, vmNoHuge},
	abi.MADV_NOHUGEPAGE: {vmNoHuge, vmHuge},
}

// Madvise is madvise(2). Holes are skipped and give ENOMEM at the end.
func (m *MM) Madvise(addr abi.Addr, n uint64, advice int) error {
	f, isFlags := adviceFlags[advice]
	switch advice {
	case abi.MADV_DONTNEED, abi.MADV_DONTNEED_LOCKED, abi.MADV_FREE, abi.MADV_REMOVE,
		abi.MADV_WILLNEED, abi.MADV_COLD, abi.MADV_PAGEOUT, abi.MADV_MERGEABLE,
		abi.MADV_UNMERGEABLE, abi.MADV_COLLAPSE, abi.MADV_POPULATE_READ, abi.MADV_POPULATE_WRITE:
	default:
		if !isFlags {
			return abi.EINVAL
		}
	}
	if addr.PageOffset() != 0 {
		return abi.EINVAL
	}
	size, ok := abi.Addr(n).RoundUp()
	if !ok {
		return abi.EINVAL
	}
	r, ok := addr.Range(uint64(size))
	if !ok {
		return abi.EINVAL
	}
	if r.Len() == 0 {
		return nil
	}
	m.lock()
	defer m.unlock()
	if advice == abi.MADV_POPULATE_READ || advice == abi.MADV_POPULATE_WRITE {
		return m.madvisePopulateLocked(r, advice)
	}
	if isFlags {
		return m.adviseFlagsLocked(r, advice, f.set, f.clear)
	}
	vs, whole := m.piecesLocked(r)
	for _, v := range vs {
		if err := m.adviseVMALocked(v, v.Intersect(r), advice); err != nil {
			return err
		}
	}
	if !whole {
		return abi.ENOMEM
	}
	return nil
}

func (m *MM) adviseFlagsLocked(r abi.AddrRange, advice int, set, unset vmaFlags) error {
	_, whole := m.piecesLocked(r)
	lo, hi, err := m.isolateLocked(r)
	if err != nil {
		return abi.EAGAIN
	}
	defer m.mergeLocked(r)
	for _, v := range m.vmas[lo:hi] {
		if advice == abi.MADV_WIPEONFORK && (v.object != nil || v.shared()) {
			return abi.EINVAL
		}
		v.flags = v.flags&^unset | set
	}
	if !whole {
		return abi.ENOMEM
	}
	return nil
}

// adviseVMALocked acts on r, a part of v.
func (m *MM) adviseVMALocked(v *vma, r abi.AddrRange, advice int) error {
	switch advice {
	case abi.MADV_DONTNEED, abi.MADV_DONTNEED_LOCKED:
		if v.flags&vmKernel != 0 || v.flags&vmLocked != 0 && advice == abi.MADV_DONTNEED {
			return abi.EINVAL
		}
		return m.dontNeedLocked(v, r)
	case abi.MADV_FREE:
		if v.object != nil {
			return abi.EINVAL
		}
		return m.dontNeedLocked(v, r) // as if memory were short at once
	case abi.MADV_REMOVE:
		p, ok := v.object.(Puncher)
		if v.flags&vmLocked != 0 || v.object == nil || !ok {
			return abi.EINVAL
		}
		if !v.shared() || v.maxProt&platform.Write == 0 {
			return abi.EACCES
		}
		if _, ok := p.(*memfile.Shm); !ok {
			// The object tells its mappings, and they lock their MMs: ours has to be
			// given up. It may change meanwhile, so keep the file.
			return m.punchUnlocked(v, p, v.offOf(r.Start), r.Len())
		}
		return p.Punch(v.offOf(r.Start), r.Len())
	}
	return nil
}

// punchUnlocked calls p without the lock, which it drops and takes again.
func (m *MM) punchUnlocked(v *vma, p Puncher, off, n uint64) error {
	f := v.file
	if f != nil {
		f.IncRef()
	}
	m.unlock()
	err := p.Punch(off, n)
	if f != nil {
		f.DecRef()
	}
	m.lock()
	return err
}

// dontNeedLocked makes the pages of r, a part of v, read as they did at first.
func (m *MM) dontNeedLocked(v *vma, r abi.AddrRange) error {
	if v.object != nil || r.Len() > zapInPlace {
		return m.zapLocked(v, r)
	}
	ours := true
	m.pt.runs(r, func(u run) {
		for a := u.Start; a < u.End; a += abi.PageSize {
			if u.p&pteCOW != 0 || m.file.Refs(u.p.off()+int64(a-u.Start)) != 1 {
				ours = false
			}
		}
	})
	if !ours {
		return m.zapLocked(v, r)
	}
	m.pt.runs(r, func(u run) { m.file.Zero(u.p.off(), u.Len()) })
	return nil
}

// madvisePopulateLocked faults pages in: ENOMEM for holes, EINVAL where the access is
// not allowed, EFAULT where it would give a signal.
func (m *MM) madvisePopulateLocked(r abi.AddrRange, advice int) error {
	access := platform.Read
	if advice == abi.MADV_POPULATE_WRITE {
		access = platform.Write
	}
	vs, whole := m.piecesLocked(r)
	for _, v := range vs {
		if v.prot == 0 || access == platform.Write && v.prot&platform.Write == 0 {
			return abi.EINVAL
		}
		if err := m.populateVMALocked(v, v.Intersect(r), access); err != nil {
			return err
		}
	}
	if !whole {
		return abi.ENOMEM
	}
	return nil
}

// Msync is msync(2): flags are MS_ASYNC, MS_SYNC, MS_INVALIDATE.
func (m *MM) Msync(addr abi.Addr, n uint64, flags int) error {
	if flags&^(abi.MS_ASYNC|abi.MS_SYNC|abi.MS_INVALIDATE) != 0 ||
		flags&abi.MS_ASYNC != 0 && flags&abi.MS_SYNC != 0 {
		return abi.EINVAL
	}
	r, err := m.userRange(addr, n)
	if err != nil || r.Len() == 0 {
		return err
	}
	type job struct {
		object memfile.Mappable
		file   FileRef
		off, n uint64
	}
	var jobs []job
	m.mu.RLock()
	vs, whole := m.piecesLocked(r)
	for _, v := range vs {
		if flags&abi.MS_INVALIDATE != 0 && v.flags&vmLocked != 0 {
			err = abi.EBUSY
			break
		}
		if flags&abi.MS_SYNC == 0 || !v.shared() || v.object == nil {
			continue
		}
		part := v.Intersect(r)
		if v.file != nil {
			v.file.IncRef()
		}
		jobs = append(jobs, job{v.object, v.file, v.offOf(part.Start), part.Len()})
	}
	m.mu.RUnlock()
	// Writing back may take long: no lock is held, the files are.
	for _, j := range jobs {
		if e := j.object.Sync(j.off, j.n); e != nil && err == nil {
			err = e
		}
		if j.file != nil {
			j.file.DecRef()
		}
	}
	if err == nil && !whole {
		return abi.ENOMEM
	}
	return err
}

// Mincore sets vec[i] to 1 for each resident page of [addr, addr+n); vec has a byte for
// each page. Linux difference: small anonymous mappings are resident from the start.
func (m *MM) Mincore(addr abi.Addr, n uint64, vec []byte) error {
	if addr.PageOffset() != 0 {
		return abi.EINVAL
	}
	r, err := m.userRange(addr, n)
	if err != nil || r.End > m.user.End || r.Len()>>abi.PageShift > uint64(len(vec)) {
		return abi.ENOMEM
	}
	m.lock()
	defer m.unlock()
	if !m.coveredLocked(r) && r.Len() > 0 {
		return abi.ENOMEM
	}
	clear(vec)
	m.pt.runs(r, func(u run) {
		for a := u.Start; a < u.End; a += abi.PageSize {
			vec[(a-r.Start)>>abi.PageShift] = 1
		}
	})
	return nil
}
