package mm

import (
	"sync"

	"lazaret/platform"
	"lazaret/syscalls/abi"
)

// loading is the AddressSpace of a program that is being loaded: nobody runs in it, so
// what is mapped can be collected and made in few calls.
//
// A descriptor must be open until then. The mappings that are made from it keep it open:
// before one is removed, what has been collected is done (forgetLocked).
type loading struct {
	platform.AddressSpace

	mu  sync.Mutex
	ops []platform.Op
	err error // the first that came where nobody could be told
}

// maxLoading bounds what is collected.
const maxLoading = 60

// BeginLoad makes mappings be collected until EndLoad. No task uses m.
func (m *MM) BeginLoad() {
	if _, ok := m.as.(platform.Batcher); ok {
		m.as = &loading{AddressSpace: m.as}
	}
}

// EndLoad makes the mappings that have been collected. After an error m is good for nothing.
func (m *MM) EndLoad() error {
	m.lock()
	defer m.unlock()
	l, ok := m.as.(*loading)
	if !ok {
		return nil
	}
	m.as = l.AddressSpace
	l.flush()
	return l.err
}

// settle does what has been collected, if m is being loaded.
func (m *MM) settle() {
	if l, ok := m.as.(*loading); ok && !m.closed {
		l.flush()
	}
}

func (l *loading) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flushLocked()
}

func (l *loading) flushLocked() {
	if len(l.ops) > 0 {
		err := platform.Do(l.AddressSpace, l.ops)
		if l.err == nil {
			l.err = err
		}
	}
	l.ops = l.ops[:0]
}

// Map implements platform.AddressSpace.
func (l *loading) Map(r abi.AddrRange, fd int, off int64, prot platform.Access) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ops = append(l.ops, platform.Op{Range: r, FD: fd, Off: off, Prot: prot})
	if len(l.ops) >= maxLoading {
		l.flushLocked()
	}
	return l.err
}

// Unmap implements platform.AddressSpace.
func (l *loading) Unmap(r abi.AddrRange) error {
	l.flush()
	return l.AddressSpace.Unmap(r)
}

// Protect implements platform.AddressSpace.
func (l *loading) Protect(r abi.AddrRange, prot platform.Access) error {
	l.flush()
	return l.AddressSpace.Protect(r, prot)
}

// Fork implements platform.AddressSpace.
func (l *loading) Fork() (platform.AddressSpace, error) {
	l.flush()
	return l.AddressSpace.Fork()
}
