package syscalls

import (
	"lazaret/platform"
	"lazaret/sentry/kernel"
	"lazaret/sentry/mm"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

var mmRows = []Row{
	full(abi.SYS_MMAP, "mmap", Mmap, Hex, Hex, Hex, Hex, FD, Hex),
	full(abi.SYS_MUNMAP, "munmap", Munmap, Hex, Hex),
	full(abi.SYS_MREMAP, "mremap", Mremap, Hex, Hex, Hex, Hex, Hex),
	full(abi.SYS_MPROTECT, "mprotect", Mprotect, Hex, Hex, Hex),
	full(abi.SYS_MADVISE, "madvise", Madvise, Hex, Hex, Int),
	full(abi.SYS_MSYNC, "msync", Msync, Hex, Hex, Hex),
	full(abi.SYS_MLOCK, "mlock", Mlock, Hex, Hex),
	full(abi.SYS_MLOCK2, "mlock2", Mlock2, Hex, Hex, Hex),
	full(abi.SYS_MUNLOCK, "munlock", Munlock, Hex, Hex),
	full(abi.SYS_MLOCKALL, "mlockall", Mlockall, Hex),
	full(abi.SYS_MUNLOCKALL, "munlockall", Munlockall),
	full(abi.SYS_MINCORE, "mincore", Mincore, Hex, Hex, Buf),
	full(abi.SYS_BRK, "brk", Brk, Hex),
}

// Mmap is mmap(2).
func Mmap(t *kernel.Task, a *abi.Args) (uint64, error) {
	prot, flags := a.Uint(2), a.Uint(3)
	if a.Size(5)&abi.PageMask != 0 {
		return 0, abi.EINVAL
	}
	all := platform.Read | platform.Write | platform.Exec
	o := mm.MapOpts{
		Addr: a.Addr(0), Len: a.Size(1), Prot: platform.Access(prot) & all, MaxProt: all, Off: a.Size(5),
		Fixed: flags&abi.MAP_FIXED != 0, FixedNoReplace: flags&abi.MAP_FIXED_NOREPLACE != 0,
		GrowsDown: flags&abi.MAP_GROWSDOWN != 0, Locked: flags&abi.MAP_LOCKED != 0, Populate: flags&abi.MAP_POPULATE != 0 && flags&abi.MAP_NONBLOCK == 0,
		NoReserve: flags&abi.MAP_NORESERVE != 0, Below32: flags&abi.MAP_32BIT != 0,
		// The dynamic linker is who still says MAP_DENYWRITE, which otherwise means nothing.
		Segment: flags&abi.MAP_DENYWRITE != 0,
	}
	switch flags & abi.MAP_TYPE {
	case abi.MAP_SHARED:
		o.Shared = true
	case abi.MAP_SHARED_VALIDATE:
		if flags&^(abi.MAP_TYPE|mapKnown) != 0 {
			return 0, abi.EOPNOTSUPP
		}
		o.Shared = true
	case abi.MAP_PRIVATE:
	default:
		return 0, abi.EINVAL
	}
	if flags&abi.MAP_ANONYMOUS != 0 {
		if flags&abi.MAP_TYPE == abi.MAP_SHARED_VALIDATE {
			return 0, abi.EINVAL
		}
		if flags&abi.MAP_HUGETLB != 0 {
			return 0, abi.ENOMEM // no huge pages are reserved
		}
		o.Off = 0
		addr, err := t.MM().MMap(o)
		return uint64(addr), err
	}
	f, err := getFile(t, a.Int(4))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	if o.Shared && o.GrowsDown {
		return 0, abi.EINVAL
	}
	kind := uint32(abi.MAP_PRIVATE)
	if o.Shared {
		kind = abi.MAP_SHARED
	}
	if o.Object, err = f.Mmap(t.Ctx(), prot, kind); err != nil {
		return 0, err
	}
	if o.Object != nil { // /dev/zero gives anonymous memory
		o.File = f
	}
	if o.Shared && (f.Mode&vfs.ModeWrite == 0 || sealedForWriting(f)) {
		o.MaxProt &^= platform.Write
	}
	addr, err := t.MM().MMap(o)
	return uint64(addr), err
}

// sealedForWriting reports whether new mappings of a memfd may not be written.
func sealedForWriting(f *vfs.File) bool {
	seals, err := f.Seals()
	return err == nil && seals&(abi.F_SEAL_WRITE|abi.F_SEAL_FUTURE_WRITE) != 0
}

const mapKnown = abi.MAP_FIXED | abi.MAP_FIXED_NOREPLACE | abi.MAP_ANONYMOUS | abi.MAP_32BIT | abi.MAP_GROWSDOWN | abi.MAP_DENYWRITE |
	abi.MAP_EXECUTABLE | abi.MAP_LOCKED | abi.MAP_NORESERVE | abi.MAP_POPULATE | abi.MAP_NONBLOCK | abi.MAP_STACK | abi.MAP_HUGETLB |
	0x7c000000 // the sizes of huge pages that Linux has always let pass (LEGACY_MAP_MASK)

// Munmap is munmap(2).
func Munmap(t *kernel.Task, a *abi.Args) (uint64, error) {
	return done0(t.MM().Munmap(a.Addr(0), a.Size(1)))
}

// Mremap is mremap(2).
func Mremap(t *kernel.Task, a *abi.Args) (uint64, error) {
	addr, err := t.MM().Mremap(a.Addr(0), a.Size(1), a.Size(2), a.Uint(3), a.Addr(4))
	return uint64(addr), err
}

// Mprotect is mprotect(2).
func Mprotect(t *kernel.Task, a *abi.Args) (uint64, error) {
	const grows = abi.PROT_GROWSDOWN | abi.PROT_GROWSUP
	p := a.Uint(2)
	if p&^(abi.PROT_READ|abi.PROT_WRITE|abi.PROT_EXEC|abi.PROT_SEM|grows) != 0 || p&grows == grows {
		return 0, abi.EINVAL
	}
	return done0(t.MM().Mprotect(a.Addr(0), a.Size(1), platform.Access(p&7), mm.Grows(p>>24&3)))
}

// Madvise is madvise(2).
func Madvise(t *kernel.Task, a *abi.Args) (uint64, error) {
	return done0(t.MM().Madvise(a.Addr(0), a.Size(1), int(a.Int(2))))
}

// Msync is msync(2).
func Msync(t *kernel.Task, a *abi.Args) (uint64, error) {
	return done0(t.MM().Msync(a.Addr(0), a.Size(1), int(a.Int(2))))
}

// Mlock is mlock(2).
func Mlock(t *kernel.Task, a *abi.Args) (uint64, error) {
	return done0(t.MM().Mlock(a.Addr(0), a.Size(1), false))
}

// Mlock2 is mlock2(2).
func Mlock2(t *kernel.Task, a *abi.Args) (uint64, error) {
	if a.Uint(2)&^abi.MLOCK_ONFAULT != 0 {
		return 0, abi.EINVAL
	}
	return done0(t.MM().Mlock(a.Addr(0), a.Size(1), a.Uint(2)&abi.MLOCK_ONFAULT != 0))
}

// Munlock is munlock(2).
func Munlock(t *kernel.Task, a *abi.Args) (uint64, error) {
	return done0(t.MM().Munlock(a.Addr(0), a.Size(1)))
}

// Mlockall is mlockall(2).
func Mlockall(t *kernel.Task, a *abi.Args) (uint64, error) {
	return done0(t.MM().MlockAll(int(a.Int(0))))
}

// Munlockall is munlockall(2).
func Munlockall(t *kernel.Task, _ *abi.Args) (uint64, error) { return done0(t.MM().MunlockAll()) }

// Mincore is mincore(2).
func Mincore(t *kernel.Task, a *abi.Args) (uint64, error) {
	addr, n := a.Addr(0), a.Size(1)
	if addr.PageOffset() != 0 {
		return 0, abi.EINVAL
	}
	r, ok := addr.Range(n)
	end, ok2 := r.End.RoundUp()
	if !ok || !ok2 {
		return 0, abi.ENOMEM
	}
	// A byte a page: in pieces, so that a hostile length costs nothing.
	out := a.Addr(2)
	var vec [4096]byte
	for addr < end {
		pages := min(uint64(end-addr)/abi.PageSize, uint64(len(vec)))
		if err := t.MM().Mincore(addr, pages*abi.PageSize, vec[:pages]); err != nil {
			return 0, err
		}
		if err := t.MM().CopyOut(out, vec[:pages]); err != nil {
			return 0, err
		}
		addr += abi.Addr(pages * abi.PageSize)
		out += abi.Addr(pages)
	}
	return 0, nil
}

// Brk is brk(2): the new break, or the old one when it cannot be moved.
func Brk(t *kernel.Task, a *abi.Args) (uint64, error) { return uint64(t.MM().Brk(a.Addr(0))), nil }
