package mm

import (
	"sync"

	"lazaret/sentry/memfile"
)

// constants keeps what was read through private mappings of files that nobody changes: the
// names in a program's read-only data, which it passes again and again. Each would be a
// host call.
type constants struct {
	mu    sync.Mutex
	slots [constantSlots]constant
}

// constant is a piece of an object. The last one of a file may be short.
type constant struct {
	object memfile.Mappable
	off    uint64 // of data in object
	data   []byte
}

const (
	constantSlots = 8
	constantSize  = 1 << 10 // a page holds several: none is part of two
)

// readConstant copies to b what is at off of v's object, ext, as far as one piece goes. 0: it
// must be read from the host. Preconditions: MM.mu is held.
func (m *MM) readConstant(v *vma, off uint64, ext memfile.Extent, b []byte) int {
	c, ok := v.object.(memfile.Constant)
	if !ok || v.shared() || len(b) > constantSize || !c.Constant() || !m.constants.mu.TryLock() {
		return 0
	}
	defer m.constants.mu.Unlock()
	in := off % constantSize
	s := &m.constants.slots[off/constantSize%constantSlots]
	if s.object != v.object || s.off != off-in {
		if s.data == nil {
			s.data = make([]byte, constantSize)
		}
		s.object = nil
		n, err := preadFull(ext.FD, s.data[:constantSize], ext.Off-int64(in))
		if err != nil {
			return 0
		}
		s.object, s.off, s.data = v.object, off-in, s.data[:n]
	}
	if in >= uint64(len(s.data)) {
		return 0
	}
	return copy(b[:min(uint64(len(b)), ext.Len)], s.data[in:])
}
