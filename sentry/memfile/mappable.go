package memfile

import "lazaret/syscalls/abi"

// Extent is a contiguous range of a host file: where the bytes of a mapping are.
type Extent struct {
	FD  int   // host file descriptor; File.FD() for pages of the memory file
	Off int64 // page-aligned
	Len uint64
}

// Mappable is a memory object that can be mapped into address spaces: a tmpfs file, a
// host file behind a donated descriptor, a shared memory segment. Its identity (the
// interface value) and an offset are the key of shared futexes.
type Mappable interface {
	// Extent returns where [off, off+n) of the object is, or a shorter part of it that
	// starts at off and is at least a page long. write says that the mapping will be
	// written. Pages of the memory file are returned with a reference for the caller
	// on each. Errors: abi.EFAULT past the end of the object (SIGBUS), abi.ENOMEM.
	Extent(acct *Account, off, n uint64, write bool) (Extent, error)

	// AddMapping tells the object that m maps [off, off+r.Len()) at r, so that a
	// truncation can revoke it; RemoveMapping takes it back. A range may be removed in
	// other pieces than it was added. writable counts against F_SEAL_WRITE.
	AddMapping(m Mapper, r abi.AddrRange, off uint64, writable bool) error
	RemoveMapping(m Mapper, r abi.AddrRange, off uint64, writable bool)

	// Sync writes back what a shared mapping of [off, off+n) changed (msync(2)).
	Sync(off, n uint64) error
}

// Constant is a Mappable whose bytes may never change.
type Constant interface {
	// Constant reports whether the bytes and their number stay what they are.
	Constant() bool
}

// Mapper is an address space as a Mappable sees it.
type Mapper interface {
	// Invalidate drops the pages that are mapped in r, so that the next access asks
	// the Mappable again. Private copies go too when private is set (truncation).
	Invalidate(r abi.AddrRange, private bool)
}
