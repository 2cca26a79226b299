package mm

import "lazaret/syscalls/abi"

// Ranges are the places that /proc and prctl(PR_SET_MM) know: code, data, stack start,
// arguments, environment, and the auxiliary vector as bytes.
type Ranges struct {
	Code, Data, Args, Env abi.AddrRange
	StackStart            abi.Addr
	Auxv                  []byte // never changed once set
}

// SetRanges sets all of them.
func (m *MM) SetRanges(r Ranges) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ranges = r
}

// Ranges returns them.
func (m *MM) Ranges() Ranges {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.ranges
}
