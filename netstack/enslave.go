package netstack

import (
	"gvisor.dev/gvisor/pkg/tcpip"
	"lazaret/syscalls/abi"
)

// SetMaster makes a link a port of a bridge, or of none if that is 0: ENODEV, EINVAL, ELOOP.
func (s *Stack) SetMaster(index, master int32) error {
	s.get()
	s.mu.Lock()
	l := s.findLocked(index)
	m := s.findLocked(master)
	err := s.enslaveLocked(l, m, master)
	var changed []Link
	if err == nil {
		changed = append(s.carrierLocked(), l.Link)
	}
	s.mu.Unlock()
	s.tell(changed, false)
	return err
}

func (s *Stack) enslaveLocked(l, m *link, master int32) error {
	switch {
	case l == nil || master != 0 && m == nil:
		return abi.ENODEV
	case l.Master == master:
		return nil
	}
	if m != nil {
		if _, ok := m.ep.(*bridge); !ok {
			return abi.EOPNOTSUPP
		}
		if l.Flags&abi.IFF_LOOPBACK != 0 {
			return abi.EINVAL
		}
		if _, ok := l.ep.(*bridge); ok {
			return abi.ELOOP
		}
	}
	s.unenslaveLocked(l)
	if m == nil {
		return nil
	}
	b := m.ep.(*bridge)
	if !b.addPort(l.tap) {
		return abi.EXFULL
	}
	l.Master = m.Index
	l.setPromisc(true)
	s.bridgeMACLocked(m)
	return nil
}

func (s *Stack) unenslaveLocked(l *link) {
	if m := s.findLocked(l.Master); m != nil {
		if b, ok := m.ep.(*bridge); ok {
			s.leaveLocked(l, b)
			s.bridgeMACLocked(m)
		}
	}
}

func (s *Stack) leaveLocked(l *link, b *bridge) {
	b.delPort(l.tap)
	l.Master = 0
	l.setPromisc(false)
}

func (l *link) setPromisc(on bool) {
	if e, ok := l.ep.(interface{ setPromisc(bool) }); ok {
		e.setPromisc(on)
	}
}

// bridgeMACLocked gives a bridge the smallest address of its ports, as Linux does.
func (s *Stack) bridgeMACLocked(m *link) {
	if mac, ok := m.ep.(*bridge).lowest(); ok && !m.fixed {
		s.setMACLocked(m, mac)
	}
}

func (s *Stack) setMACLocked(l *link, mac [6]byte) {
	if l.MAC == mac {
		return
	}
	l.MAC = mac
	_ = s.s.SetNICAddress(tcpip.NICID(l.Index), tcpip.LinkAddress(mac[:]))
}
