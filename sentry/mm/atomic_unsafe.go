package mm

import (
	"runtime/debug"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"lazaret/platform"
	"lazaret/syscalls/abi"
)

// u32At returns b as an atomic word.
// Preconditions: b is 4 bytes at an address that is a multiple of 4.
func u32At(b []byte) *atomic.Uint32 {
	// SAFETY: b has 4 bytes (the slice expression checks) of memory outside of the Go
	// heap that a page reference or MM.mu keeps mapped; alignment is the precondition.
	return (*atomic.Uint32)(unsafe.Pointer(&b[:4][0]))
}

// withWord calls f with the word at addr in memory that others change at the same time.
func (m *MM) withWord(addr abi.Addr, how mode, f func(w *atomic.Uint32)) error {
	if addr&3 != 0 {
		return abi.EINVAL
	}
	for grown := false; ; grown = true {
		m.mu.RLock()
		k, err := m.blockLocked(addr, 4, how)
		if err == nil && k.host {
			err = k.hostWord(how, f)
		} else if err == nil {
			f(u32At(k.b))
			k.done()
		}
		m.mu.RUnlock()
		if err == nil {
			return nil
		}
		if grown || !m.growStack(addr) {
			return abi.EFAULT
		}
	}
}

// hostWord calls f with a word of a host file: the page is mapped for as long as it takes.
func (k *block) hostWord(how mode, f func(w *atomic.Uint32)) (err error) {
	prot := unix.PROT_READ
	if how == writing {
		prot |= unix.PROT_WRITE
	}
	in := k.ext.Off & abi.PageMask
	b, merr := unix.Mmap(k.ext.FD, k.ext.Off-in, abi.PageSize, prot, unix.MAP_SHARED)
	if merr != nil {
		return abi.EFAULT
	}
	defer unix.Munmap(b)
	// The file may be shorter than the page by now: the access then gives SIGBUS,
	// which is made a panic and ends here.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if recover() != nil {
			err = abi.EFAULT
		}
	}()
	f(u32At(b[in:]))
	return nil
}

// LoadU32 reads the word at addr. The operations on words fail with EINVAL for an
// unaligned address and EFAULT.
func (m *MM) LoadU32(addr abi.Addr) (v uint32, err error) {
	err = m.withWord(addr, reading, func(w *atomic.Uint32) { v = w.Load() })
	return v, err
}

// StoreU32 writes the word at addr.
func (m *MM) StoreU32(addr abi.Addr, v uint32) error {
	return m.withWord(addr, writing, func(w *atomic.Uint32) { w.Store(v) })
}

// SwapU32 writes the word at addr and returns what it was.
func (m *MM) SwapU32(addr abi.Addr, v uint32) (old uint32, err error) {
	err = m.withWord(addr, writing, func(w *atomic.Uint32) { old = w.Swap(v) })
	return old, err
}

// CompareAndSwapU32 writes v if the word at addr is old, and returns what it was.
func (m *MM) CompareAndSwapU32(addr abi.Addr, old, v uint32) (was uint32, err error) {
	err = m.withWord(addr, writing, func(w *atomic.Uint32) {
		for {
			if w.CompareAndSwap(old, v) {
				was = old
				return
			}
			if was = w.Load(); was != old {
				return
			}
		}
	})
	return was, err
}

// AddU32 adds v to the word at addr and returns what it was.
func (m *MM) AddU32(addr abi.Addr, v uint32) (old uint32, err error) {
	err = m.withWord(addr, writing, func(w *atomic.Uint32) { old = w.Add(v) - v })
	return old, err
}

// OrU32 sets bits of the word at addr and returns what it was.
func (m *MM) OrU32(addr abi.Addr, v uint32) (old uint32, err error) {
	err = m.withWord(addr, writing, func(w *atomic.Uint32) { old = w.Or(v) })
	return old, err
}

// AndU32 clears the bits of the word at addr that v does not have and returns what it was.
func (m *MM) AndU32(addr abi.Addr, v uint32) (old uint32, err error) {
	err = m.withWord(addr, writing, func(w *atomic.Uint32) { old = w.And(v) })
	return old, err
}

// XorU32 flips bits of the word at addr and returns what it was.
func (m *MM) XorU32(addr abi.Addr, v uint32) (old uint32, err error) {
	err = m.withWord(addr, writing, func(w *atomic.Uint32) {
		for {
			if old = w.Load(); w.CompareAndSwap(old, old^v) {
				return
			}
		}
	})
	return old, err
}

// FutexKey says which word a futex is; equal keys are the same futex.
type FutexKey struct {
	Owner any    // the *MM, or the memfile.Mappable
	Off   uint64 // bit 0, which no address of a word has: shared, but the memory is private
}

// FutexKey returns the key of the futex at addr (futex(2)); shared is the absence of
// FUTEX_PRIVATE_FLAG. It fails with EINVAL for an unaligned address, EFAULT.
func (m *MM) FutexKey(addr abi.Addr, shared bool) (FutexKey, error) {
	if addr&3 != 0 {
		return FutexKey{}, abi.EINVAL
	}
	if addr >= m.user.End {
		return FutexKey{}, abi.EFAULT
	}
	if !shared {
		return FutexKey{m, uint64(addr)}, nil
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	v := m.findLocked(addr)
	if v == nil || v.prot&(platform.Read|platform.Write) == 0 {
		return FutexKey{}, abi.EFAULT
	}
	if v.object != nil && v.shared() {
		return FutexKey{v.object, v.offOf(addr)}, nil
	}
	return FutexKey{m, uint64(addr) | 1}, nil
}
