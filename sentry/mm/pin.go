package mm

import (
	"lazaret/sentry/memfile"
	"lazaret/sentry/uio"
	"lazaret/syscalls/abi"
)

// IOVec is a range of application memory as the application gave it.
type IOVec struct {
	Addr abi.Addr
	Len  uint64
}

// Pinned is application memory that stays where it is until Release: its pages are
// referenced, so that a concurrent munmap is harmless.
type Pinned struct {
	Bufs uio.Bufs

	file  *memfile.File
	pages []memfile.Extent // of the memory file
	back  []writeBack
	end   int64 // where the last block ends in the memory file, 0 after a stand-in

	bufs0  [4][]byte
	pages0 [4]memfile.Extent
}

// writeBack is a block that stands for pages of a host file.
type writeBack struct {
	buf  []byte
	ext  memfile.Extent
	file FileRef
}

// Pin makes the memory that iovs name, at most max bytes of it, accessible as blocks of
// bytes; write says that the blocks will be written. If a part cannot be accessed, what
// is before it is pinned; EFAULT if that is nothing (and something was asked for).
func (m *MM) Pin(iovs []IOVec, write bool, max int) (*Pinned, error) {
	p := new(Pinned)
	if err := m.PinInto(p, iovs, write, max); err != nil {
		return nil, err
	}
	return p, nil
}

// PinInto is Pin into p, which is zero or released: a task can use one again and again.
func (m *MM) PinInto(p *Pinned, iovs []IOVec, write bool, max int) error {
	p.file = m.file
	p.Bufs = p.bufs0[:0]
	p.pages = p.pages0[:0]
	how := reading
	if write {
		how = writing
	}
	asked := false
	for _, v := range iovs {
		n := min(v.Len, uint64(max))
		if n == 0 {
			continue
		}
		asked = true
		got := m.pinRange(p, v.Addr, n, how)
		max -= int(got)
		if got < n {
			break
		}
	}
	if asked && len(p.Bufs) == 0 {
		p.Release()
		return abi.EFAULT
	}
	return nil
}

// pinRange pins [addr, addr+n) as far as that goes.
func (m *MM) pinRange(p *Pinned, addr abi.Addr, n uint64, how mode) uint64 {
	if _, ok := addr.Add(n); !ok {
		return 0
	}
	done := uint64(0)
	for grown := false; ; grown = true {
		m.mu.RLock()
		var err error
		for done < n && err == nil {
			var got uint64
			got, err = m.pinBlockLocked(p, addr+abi.Addr(done), n-done, how)
			done += got
		}
		m.mu.RUnlock()
		if err == nil || grown || !m.growStack(addr+abi.Addr(done)) {
			return done
		}
	}
}

// maxCopyBlock bounds the memory that stands for pages of a host file.
const maxCopyBlock = 1 << 20

// pinBlockLocked pins the next contiguous piece.
func (m *MM) pinBlockLocked(p *Pinned, addr abi.Addr, n uint64, how mode) (uint64, error) {
	k, err := m.blockLocked(addr, n, how)
	if err != nil {
		return 0, err
	}
	if k.host {
		return p.standIn(&k, how)
	}
	first := k.off &^ abi.PageMask
	size := (uint64(k.off-first) + uint64(len(k.b)) + abi.PageMask) &^ abi.PageMask
	m.file.IncRef(first, size)
	k.done()
	if p.end == k.off && first == k.off {
		// It continues the block before on a new page: one longer block.
		b := &p.Bufs[len(p.Bufs)-1]
		*b = m.file.Bytes(k.off-int64(len(*b)), uint64(len(*b)+len(k.b)))
		p.pages[len(p.pages)-1].Len += size
	} else {
		p.pages = append(p.pages, memfile.Extent{Off: first, Len: size})
		p.Bufs = append(p.Bufs, k.b)
	}
	p.end = k.off + int64(len(k.b))
	return uint64(len(k.b)), nil
}

// standIn adds a copy of host file pages.
func (p *Pinned) standIn(k *block, how mode) (uint64, error) {
	buf := make([]byte, min(k.ext.Len, maxCopyBlock))
	n, err := preadExtent(k.ext, buf)
	if n == 0 {
		return 0, err
	}
	buf = buf[:n]
	p.Bufs = append(p.Bufs, buf)
	p.end = 0
	if how == writing {
		if k.v.file != nil {
			k.v.file.IncRef()
		}
		p.back = append(p.back, writeBack{buf, k.ext, k.v.file})
	}
	return uint64(n), nil
}

// Release ends the access and writes back what stands for shared pages of host files.
// Bufs must not be used after it.
func (p *Pinned) Release() {
	for _, e := range p.pages {
		p.file.DecRef(e.Off, e.Len)
	}
	for _, w := range p.back {
		// A failure here is one that Linux reports at msync(2), if at all.
		pwriteExtent(w.ext, w.buf)
		if w.file != nil {
			w.file.DecRef()
		}
	}
	*p = Pinned{}
}
