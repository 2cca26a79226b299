package mm

import (
	"bytes"

	"golang.org/x/sys/unix"

	"lazaret/platform"
	"lazaret/sentry/memfile"
	"lazaret/syscalls/abi"
)

// mode is how the Sentry accesses application memory.
type mode uint8

const (
	reading mode = iota
	writing
	peeking // as a debugger: any mapping
	poking  // as a debugger: copy-on-write also where the application may not write
)

// allows reports whether v may be accessed. On both architectures memory that can be
// written or executed can be read.
func (v *vma) allows(how mode) bool {
	switch how {
	case reading:
		return v.prot != 0
	case writing:
		return v.prot&platform.Write != 0
	case peeking:
		return v.maxProt&(platform.Read|platform.Exec) != 0
	}
	return v.prot&platform.Write != 0 || !v.shared()
}

// block is a piece of application memory that the Sentry can touch: either b, with l
// read-locked so that the pages stay, or pages of a host file.
type block struct {
	b    []byte
	off  int64 // of b in the memory file
	l    *leaf
	host bool
	ext  memfile.Extent
	v    *vma
}

func (k *block) done() {
	if k.l != nil {
		k.l.mu.RUnlock()
	}
}

// blockLocked finds the memory at addr, at most n bytes of it. It returns EFAULT when
// there is none, ENOMEM. Preconditions: MM.mu is held; the caller calls done.
func (m *MM) blockLocked(addr abi.Addr, n uint64, how mode) (block, error) {
	v := m.findLocked(addr)
	if v == nil || !v.allows(how) {
		return block{}, abi.EFAULT
	}
	n = min(n, uint64(v.End-addr))
	// Pages that are ready now can only be lost again to a fork of another task, which
	// needs MM.mu: a few attempts are enough.
	for range 3 {
		if l := m.pt.leaf(addr); l != nil {
			l.mu.RLock()
			if k, ok := m.readyLocked(v, l, addr, n, how); ok {
				return k, nil
			}
			l.mu.RUnlock()
		}
		k, err := m.prepareLocked(v, addr, n, how)
		if err == abi.ENOMEM {
			m.oom.Store(true)
		}
		if err != nil || k.host {
			return k, err
		}
	}
	return block{}, abi.EFAULT
}

// TakeOOM says, once, that a system call could not be given memory that the mappings
// promise: where Linux faults such a page in, the OOM killer acts.
func (m *MM) TakeOOM() bool { return m.oom.Load() && m.oom.Swap(false) }

// readyLocked returns the contiguous memory file pages at addr. Preconditions: l.mu is held.
func (m *MM) readyLocked(v *vma, l *leaf, addr abi.Addr, n uint64, how mode) (block, bool) {
	ours := (how == writing || how == poking) && !v.shared()
	i := leafIndex(addr)
	p := l.ptes[i]
	if p&pteMem == 0 || ours && p&(pteCOW|ptePatched) != 0 {
		return block{}, false
	}
	in := addr.PageOffset()
	got := abi.PageSize - in
	for want := p.off(); got < n; {
		i++
		want += abi.PageSize
		if i == leafPages {
			break
		}
		if q := l.ptes[i]; q&pteMem == 0 || q.off() != want || ours && q&(pteCOW|ptePatched) != 0 {
			break
		}
		got += abi.PageSize
	}
	off := p.off() + int64(in)
	return block{b: m.file.Bytes(off, min(got, n)), off: off, l: l, v: v}, true
}

// prepareLocked makes the page at addr ready, or returns where in a host file it is.
func (m *MM) prepareLocked(v *vma, addr abi.Addr, n uint64, how mode) (block, error) {
	write := how == writing || how == poking
	if v.object != nil && (v.shared() || !write) {
		in := addr.PageOffset()
		want, _ := abi.Addr(in + n).RoundUp()
		e, err := m.extent(v, addr.RoundDown(), uint64(want), write && v.shared())
		if err != nil {
			return block{}, err
		}
		if !m.isMem(e) {
			e.Off += int64(in)
			e.Len = min(e.Len-in, n)
			return block{host: true, ext: e, v: v}, nil
		}
		m.putExtent(e)
	}
	l, err := m.pt.ensure(addr)
	if err != nil {
		return block{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch p := l.ptes[leafIndex(addr)]; {
	case p == 0:
		return block{}, m.fillLocked(v, l, addr, write)
	case p&ptePatched != 0 && write:
		return block{}, m.unpatchPage(&l.ptes[leafIndex(addr)], addr.RoundDown())
	case p&pteHost != 0 && (v.shared() || !write):
		// The object has moved its pages into the memory file.
		if p&ptePatched != 0 {
			return block{}, m.unpatchPage(&l.ptes[leafIndex(addr)], addr.RoundDown())
		}
		l.ptes[leafIndex(addr)] = 0
		m.rss.add(v, p, -1)
		return block{}, m.fillLocked(v, l, addr, write)
	case write && !v.shared() && p&(pteCOW|pteHost) != 0:
		return block{}, m.breakCOWLocked(v, l, addr)
	}
	return block{}, nil
}

// copyLocked moves bytes between b and memory at addr until all are moved or a byte
// cannot be accessed; it returns how many were. Preconditions: MM.mu is held.
func (m *MM) copyLocked(addr abi.Addr, b []byte, how mode) (int, error) {
	done := 0
	for done < len(b) {
		k, err := m.blockLocked(addr+abi.Addr(done), uint64(len(b)-done), how)
		if err != nil {
			return done, err
		}
		n := 0
		switch write := how == writing || how == poking; {
		case !k.host && write:
			n = copy(k.b, b[done:])
		case !k.host:
			n = copy(b[done:], k.b)
		case write:
			n, err = pwriteExtent(k.ext, b[done:])
		default:
			if n = m.readConstant(k.v, k.v.offOf(addr+abi.Addr(done)), k.ext, b[done:]); n == 0 {
				n, err = preadExtent(k.ext, b[done:])
			}
		}
		k.done()
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// preadExtent reads from pages of a host file: what lies past its end in the last page
// is zero.
func preadExtent(e memfile.Extent, b []byte) (int, error) {
	b = b[:min(uint64(len(b)), e.Len)]
	n, err := preadFull(e.FD, b, e.Off)
	if err != nil || n == len(b) {
		return n, err
	}
	// The page that holds the end of the file is readable to its end.
	tail := int(-(e.Off + int64(n)) & abi.PageMask)
	if n == 0 && e.Off&abi.PageMask == 0 {
		return 0, abi.EFAULT
	}
	tail = min(tail, len(b)-n)
	clear(b[n : n+tail])
	if n += tail; n == 0 {
		return 0, abi.EFAULT
	}
	return n, nil
}

// pwriteExtent writes to pages of a host file. A mapping cannot make a file longer, so
// what lies past its end in its last page is dropped.
func pwriteExtent(e memfile.Extent, b []byte) (int, error) {
	b = b[:min(uint64(len(b)), e.Len)]
	var st unix.Stat_t
	if err := unix.Fstat(e.FD, &st); err != nil {
		return 0, abi.EFAULT
	}
	end := (st.Size + abi.PageMask) &^ abi.PageMask
	if e.Off >= end {
		return 0, abi.EFAULT
	}
	b = b[:min(int64(len(b)), end-e.Off)]
	keep := b[:max(0, min(int64(len(b)), st.Size-e.Off))]
	for n := 0; n < len(keep); {
		c, err := unix.Pwrite(e.FD, keep[n:], e.Off+int64(n))
		if err == unix.EINTR {
			continue
		}
		if err != nil || c == 0 {
			return n, abi.EFAULT
		}
		n += c
	}
	return len(b), nil
}

// copyMem is copyLocked with the lock, growing a stack once where that helps.
func (m *MM) copyMem(addr abi.Addr, b []byte, how mode) (int, error) {
	done := 0
	for grown := false; ; grown = true {
		m.mu.RLock()
		n, err := m.copyLocked(addr+abi.Addr(done), b[done:], how)
		m.mu.RUnlock()
		done += n
		if err != abi.EFAULT || grown || !m.growStack(addr+abi.Addr(done)) {
			return done, err
		}
	}
}

// inUser reports whether [addr, addr+n) does not wrap; what lies outside of the
// mappings is found out later.
func inUser(addr abi.Addr, n int) bool {
	_, ok := addr.Add(uint64(n))
	return ok
}

// AccessOK reports whether [addr, addr+n) lies in the application's half of the addresses,
// which I/O checks before anything else. It says nothing about what is mapped there.
func (m *MM) AccessOK(addr abi.Addr, n uint64) bool {
	end, ok := addr.Add(n)
	return ok && end <= m.user.End
}

// CopyIn reads len(dst) bytes of application memory at addr.
func (m *MM) CopyIn(addr abi.Addr, dst []byte) error {
	if !inUser(addr, len(dst)) {
		return abi.EFAULT
	}
	_, err := m.copyMem(addr, dst, reading)
	return fault(err)
}

// CopyOut writes src to application memory at addr.
func (m *MM) CopyOut(addr abi.Addr, src []byte) error {
	if !inUser(addr, len(src)) {
		return abi.EFAULT
	}
	_, err := m.copyMem(addr, src, writing)
	return fault(err)
}

// Peek reads as a debugger may (ptrace(2), /proc/PID/mem) and returns the bytes read.
func (m *MM) Peek(addr abi.Addr, dst []byte) (int, error) {
	if !inUser(addr, len(dst)) {
		return 0, abi.EFAULT
	}
	n, err := m.copyMem(addr, dst, peeking)
	return n, fault(err)
}

// Poke writes as a debugger may, also to private memory that is read-only.
func (m *MM) Poke(addr abi.Addr, src []byte) (int, error) {
	if !inUser(addr, len(src)) {
		return 0, abi.EFAULT
	}
	n, err := m.copyMem(addr, src, poking)
	return n, fault(err)
}

// fault makes of every failure what a system call returns for a bad address. A lack of
// memory inside a copy is not told apart, as in Linux.
func fault(err error) error {
	if err != nil {
		return abi.EFAULT
	}
	return nil
}

// CopyInString reads a string that ends with a zero byte within max bytes, the zero
// included. It fails with EFAULT, or ENAMETOOLONG when there is no zero.
func (m *MM) CopyInString(addr abi.Addr, max int) (string, error) {
	var first [256]byte
	buf, size := []byte(nil), len(first)
	for len(buf) < max {
		n := min(size, max-len(buf))
		chunk := first[:min(n, len(first))]
		if n > len(first) {
			chunk = make([]byte, n)
		}
		at, ok := addr.Add(uint64(len(buf)))
		if !ok || !inUser(at, n) {
			return "", abi.EFAULT
		}
		got, err := m.copyMem(at, chunk, reading)
		if i := bytes.IndexByte(chunk[:got], 0); i >= 0 {
			if len(buf) == 0 {
				return string(chunk[:i]), nil
			}
			return string(append(buf, chunk[:i]...)), nil
		}
		if err != nil {
			return "", abi.EFAULT
		}
		buf = append(buf, chunk[:got]...)
		size = 4096
	}
	return "", abi.ENAMETOOLONG
}

var zeros [64 << 10]byte

// ZeroOut clears n bytes of application memory at addr.
func (m *MM) ZeroOut(addr abi.Addr, n uint64) error {
	end, ok := addr.Add(n)
	if !ok {
		return abi.EFAULT
	}
	for addr < end {
		c := min(uint64(end-addr), uint64(len(zeros)))
		if err := m.CopyOut(addr, zeros[:c]); err != nil {
			return err
		}
		addr += abi.Addr(c)
	}
	return nil
}
