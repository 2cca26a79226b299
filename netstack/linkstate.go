package netstack

import (
	"net/netip"
	"slices"

	"gvisor.dev/gvisor/pkg/tcpip"
	"lazaret/syscalls/abi"
)

// Watcher hears of links that came, changed or went. It is called without locks and may
// call the Stack.
type Watcher interface{ LinkChanged(l Link, gone bool) }

// Watch makes w hear of what happens to links. Preconditions: nothing has used the network yet.
func (s *Stack) Watch(w Watcher) { s.watcher = w }

func (s *Stack) tell(links []Link, gone bool) {
	if s.watcher == nil {
		return
	}
	for _, l := range links {
		s.watcher.LinkChanged(l, gone)
	}
}

// SetUp brings an interface up or takes it down: ENODEV.
func (s *Stack) SetUp(index int32, up bool) error {
	s.get()
	s.mu.Lock()
	l := s.findLocked(index)
	if l == nil {
		s.mu.Unlock()
		return abi.ENODEV
	}
	if up == (l.Flags&abi.IFF_UP != 0) {
		s.mu.Unlock()
		return nil
	}
	err := s.setUpLocked(l, up)
	changed := append(s.carrierLocked(), l.Link)
	s.mu.Unlock()
	s.tell(changed, false)
	l.peerChanged()
	return err
}

// setUpLocked is SetUp. lo gets its addresses when it comes up for the first time; what goes
// down loses its routes and, as on Linux, its IPv6 addresses.
func (s *Stack) setUpLocked(l *link, up bool) error {
	if up == (l.Flags&abi.IFF_UP != 0) {
		return nil
	}
	var err tcpip.Error
	loopback := l.Flags&abi.IFF_LOOPBACK != 0
	if up {
		l.Flags |= abi.IFF_UP
		err = s.s.EnableNIC(tcpip.NICID(l.Index))
		if loopback && len(l.addrs) == 0 {
			for _, p := range []string{"127.0.0.1/8", "::1/128"} {
				_ = s.addAddressLocked(l, Address{Prefix: netip.MustParsePrefix(p), Scope: ScopeHost, Permanent: true})
			}
		}
	} else {
		l.Flags &^= abi.IFF_UP | abi.IFF_RUNNING
		s.routes = slices.DeleteFunc(s.routes, func(r Route) bool { return r.Link == l.Index })
		if !loopback {
			for _, a := range slices.Clone(l.addrs) {
				if a.Prefix.Addr().Is6() {
					_ = s.removeAddressLocked(l, a.Prefix)
				}
			}
		}
		err = s.s.DisableNIC(tcpip.NICID(l.Index))
	}
	l.noteUp(up)
	s.carrierOfLocked(l)
	s.setRoutesLocked()
	return errno(err)
}

// noteUp tells those who handle a link's packets.
func (l *link) noteUp(up bool) {
	l.tap.up.Store(up)
	switch e := l.ep.(type) {
	case *veth:
		e.up.Store(up)
	case *bridge:
		e.up.Store(up)
	}
}

// carrierLocked brings IFF_RUNNING of the links that were made up to date, ports before their bridges, and
// returns what changed.
func (s *Stack) carrierLocked() []Link {
	var changed []Link
	for _, bridges := range []bool{false, true} {
		for _, l := range s.links {
			if _, is := l.ep.(*bridge); l.Kind != "" && is == bridges && s.carrierOfLocked(l) {
				changed = append(changed, l.Link)
			}
		}
	}
	return changed
}

// carrierOfLocked brings a link's IFF_RUNNING up to date and reports whether it changed. A
// link that was made here gets its link-local address with the carrier.
func (s *Stack) carrierOfLocked(l *link) bool {
	has := l.Flags&abi.IFF_UP != 0
	switch e := l.ep.(type) {
	case *veth:
		has = has && e.peer.up.Load()
	case *bridge:
		port := func(o *link) bool { return o.Master == l.Index }
		has = has && (!slices.ContainsFunc(s.links, port) ||
			slices.ContainsFunc(s.links, func(o *link) bool { return port(o) && o.Flags&abi.IFF_RUNNING != 0 }))
	case *packetLink:
		if l.Flags&abi.IFF_UP != 0 {
			has = !e.gone.Load()
		}
	}
	if has == (l.Flags&abi.IFF_RUNNING != 0) {
		return false
	}
	l.Flags ^= abi.IFF_RUNNING
	if has && l.Kind != "" {
		_ = s.addAddressLocked(l, Address{Prefix: netip.PrefixFrom(linkLocal(l.MAC), 64), Scope: ScopeLink, Permanent: true})
	}
	return true
}

// linkLocal is the address that RFC 4291 makes of a MAC (EUI-64).
func linkLocal(m [6]byte) netip.Addr {
	return netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 8: m[0] ^ 2, 9: m[1], 10: m[2], 11: 0xff, 12: 0xfe, 13: m[3], 14: m[4], 15: m[5]})
}

// peerChanged makes the other end of a pair look at its carrier.
func (l *link) peerChanged() {
	v, ok := l.ep.(*veth)
	if !ok {
		return
	}
	if st := v.peer.owner.Load(); st != nil {
		st.mu.Lock()
		changed := st.carrierLocked()
		st.mu.Unlock()
		st.tell(changed, false)
	}
}

// PeerOf returns where the other end of a pair is; false for other links.
func (s *Stack) PeerOf(index int32) (*Stack, int32, bool) {
	s.mu.Lock()
	l := s.findLocked(index)
	s.mu.Unlock()
	if l == nil {
		return nil, 0, false
	}
	v, ok := l.ep.(*veth)
	if !ok {
		return nil, 0, false
	}
	st := v.peer.owner.Load()
	if st == nil {
		return nil, 0, false
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, o := range st.links {
		if o.ep == v.peer {
			return st, o.Index, true
		}
	}
	return nil, 0, false
}
