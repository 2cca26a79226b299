package mm

import "lazaret/syscalls/abi"

// Mlock is mlock2(2): the pages are faulted in unless onFault is set. The memory file is
// not locked in the host; what counts is the limit and that no fault comes later.
func (m *MM) Mlock(addr abi.Addr, n uint64, onFault bool) error {
	r, err := lockRange(addr, n)
	if err != nil || r.Len() == 0 {
		return err
	}
	m.lock()
	defer m.unlock()
	more := uint64(0)
	vs, whole := m.piecesLocked(r)
	for _, v := range vs {
		if v.flags&vmLocked == 0 {
			more += v.Intersect(r).Len()
		}
	}
	if err := m.mayLockLocked(more); err != nil {
		return err
	}
	if err := m.setLockedLocked(r, vmLocked); err != nil {
		return err
	}
	if !onFault {
		vs, _ = m.piecesLocked(r)
		for _, v := range vs {
			// Memory that cannot be accessed is locked but not populated, and says so.
			if err := m.populateLocked(v.Intersect(r)); err != nil {
				return abi.ENOMEM
			}
		}
	}
	if !whole {
		return abi.ENOMEM
	}
	return nil
}

// lockRange rounds a range as mlock does: outwards.
func lockRange(addr abi.Addr, n uint64) (abi.AddrRange, error) {
	r, ok := addr.Range(n)
	if !ok {
		return r, abi.EINVAL
	}
	if n == 0 {
		return r, nil
	}
	if r.End, ok = r.End.RoundUp(); !ok {
		return r, abi.EINVAL
	}
	r.Start = r.Start.RoundDown()
	return r, nil
}

func (m *MM) mayLockLocked(more uint64) error {
	if m.limits.LockUnlimited {
		return nil
	}
	if m.limits.Memlock == 0 {
		return abi.EPERM
	}
	if m.locked+more > m.limits.Memlock {
		return abi.ENOMEM
	}
	return nil
}

// setLockedLocked sets the locked flag of the vmas in r to flag.
func (m *MM) setLockedLocked(r abi.AddrRange, flag vmaFlags) error {
	lo, hi, err := m.isolateLocked(r)
	if err != nil {
		return err
	}
	for _, v := range m.vmas[lo:hi] {
		m.countLocked(v, -v.Len())
		v.flags = v.flags&^vmLocked | flag
		m.countLocked(v, v.Len())
	}
	m.mergeLocked(r)
	return nil
}

// Munlock is munlock(2).
func (m *MM) Munlock(addr abi.Addr, n uint64) error {
	r, err := lockRange(addr, n)
	if err != nil || r.Len() == 0 {
		return err
	}
	m.lock()
	defer m.unlock()
	_, whole := m.piecesLocked(r)
	if err := m.setLockedLocked(r, 0); err != nil {
		return err
	}
	if !whole {
		return abi.ENOMEM
	}
	return nil
}

// MlockAll is mlockall(2).
func (m *MM) MlockAll(flags int) error {
	if flags == 0 || flags&^(abi.MCL_CURRENT|abi.MCL_FUTURE|abi.MCL_ONFAULT) != 0 || flags == abi.MCL_ONFAULT {
		return abi.EINVAL
	}
	m.lock()
	defer m.unlock()
	if flags&abi.MCL_CURRENT != 0 {
		if err := m.mayLockLocked(m.total - m.locked); err != nil {
			return err
		}
	} else if err := m.mayLockLocked(0); err != nil {
		return err
	}
	m.lockFuture = 0
	if flags&abi.MCL_FUTURE != 0 {
		m.lockFuture = vmLocked
	}
	if flags&abi.MCL_CURRENT == 0 {
		return nil
	}
	if err := m.setLockedLocked(m.user, vmLocked); err != nil {
		return err
	}
	if flags&abi.MCL_ONFAULT == 0 {
		vs, _ := m.piecesLocked(m.user)
		for _, v := range vs {
			m.populateLocked(v.AddrRange) // failures are not reported, as in Linux
		}
	}
	return nil
}

// MunlockAll is munlockall(2).
func (m *MM) MunlockAll() error {
	m.lock()
	defer m.unlock()
	m.lockFuture = 0
	return m.setLockedLocked(m.user, 0)
}
