package netstack

import (
	"fmt"
	"slices"
	"strings"

	"gvisor.dev/gvisor/pkg/tcpip"
	"lazaret/syscalls/abi"
)

// Kinds of links that can be made (IFLA_INFO_KIND).
const (
	KindVeth   = "veth"
	KindBridge = "bridge"
	KindDummy  = "dummy"
)

// Bounds of what a namespace may hold, and what a link costs the Sentry.
const (
	maxLinks     = 2048
	linkCost     = 64 << 10
	defaultMTU   = 1500
	defaultTxLen = 1000
	minMTU       = 68
	maxMTU       = 65535
)

// Payer is charged for what is made, and gets it back when that goes.
type Payer interface {
	Charge(n uint64) error
	Uncharge(n uint64)
}

// LinkSpec is a link to be made; what is zero is chosen.
type LinkSpec struct {
	Name  string // may contain one %d
	MAC   [6]byte
	MTU   uint32
	TxLen uint32
	Index int32
}

// ValidName reports whether a link may have that name.
func ValidName(name string) bool {
	return name != "" && len(name) < abi.IFNAMSIZ && name != "." && name != ".." && !strings.ContainsAny(name, "/: \t\n\v\f\r")
}

// nameLocked fills in a %d and checks the name: EINVAL, EEXIST, ENFILE.
func (s *Stack) nameLocked(name, kind string) (string, error) {
	if name == "" {
		name = kind + "%d"
	}
	taken := func(n string) bool {
		return slices.ContainsFunc(s.links, func(l *link) bool { return l.Name == n })
	}
	if before, after, ok := strings.Cut(name, "%d"); ok {
		for i := range maxLinks + 1 {
			if n := fmt.Sprintf("%s%d%s", before, i, after); !taken(n) {
				name = n
				break
			}
		}
	}
	switch {
	case !ValidName(name) || strings.Contains(name, "%"):
		return "", abi.EINVAL
	case taken(name):
		return "", abi.EEXIST
	}
	return name, nil
}

// NewLink makes a bridge or a dummy: EOPNOTSUPP, EEXIST, EINVAL, ENOBUFS.
func (s *Stack) NewLink(kind string, spec LinkSpec, payer Payer) (int32, error) {
	l := &link{Link: Link{Kind: kind}, payer: payer}
	switch kind {
	case KindBridge:
		b := &bridge{}
		l.ep, l.fixed = b, spec.MAC != [6]byte{}
	case KindDummy:
		l.ep = &dummy{}
		l.Flags = abi.IFF_NOARP
	default:
		return 0, abi.EOPNOTSUPP
	}
	return s.enter(l, spec)
}

// NewVeth makes a pair, whose second end is in peerStack: as NewLink.
func (s *Stack) NewVeth(spec LinkSpec, peerStack *Stack, peer LinkSpec, payer Payer) (int32, error) {
	a, b := newPair()
	other := &link{Link: Link{Kind: KindVeth}, ep: b, payer: payer}
	if _, err := peerStack.enter(other, peer); err != nil {
		return 0, err
	}
	index, err := s.enter(&link{Link: Link{Kind: KindVeth}, ep: a, payer: payer}, spec)
	if err != nil {
		peerStack.drop(other)
	}
	return index, err
}

// enter gives a new link its name, index and address.
func (s *Stack) enter(l *link, spec LinkSpec) (int32, error) {
	s.get()
	if spec.MTU != 0 && (spec.MTU < minMTU || spec.MTU > maxMTU) || spec.MAC[0]&1 != 0 || spec.Index < 0 {
		return 0, abi.EINVAL
	}
	s.mu.Lock()
	err := s.enterLocked(l, spec)
	s.mu.Unlock()
	if err != nil {
		return 0, err
	}
	s.tell([]Link{l.Link}, false)
	return l.Index, nil
}

func (s *Stack) enterLocked(l *link, spec LinkSpec) error {
	if s.dead || len(s.links) >= maxLinks {
		return abi.ENOBUFS
	}
	name, err := s.nameLocked(spec.Name, l.Kind)
	if err != nil {
		return err
	}
	if spec.Index != 0 && s.findLocked(spec.Index) != nil {
		return abi.EBUSY
	}
	if spec.MAC == ([6]byte{}) {
		spec.MAC = randomMAC()
	}
	if spec.MTU == 0 {
		spec.MTU = defaultMTU
	}
	if spec.TxLen == 0 {
		spec.TxLen = defaultTxLen
	}
	if spec.Index == 0 {
		spec.Index = s.lastIndex + 1
	}
	if l.payer != nil && l.payer.Charge(linkCost) != nil {
		return abi.ENOBUFS
	}
	l.Name, l.MAC, l.MTU, l.TxLen, l.Index, l.Type = name, spec.MAC, spec.MTU, spec.TxLen, spec.Index, abi.ARPHRD_ETHER
	l.Flags |= abi.IFF_BROADCAST
	if l.Kind != KindDummy {
		l.Flags |= abi.IFF_MULTICAST
	}
	l.ep.SetLinkAddress(tcpip.LinkAddress(l.MAC[:]))
	l.ep.SetMTU(l.MTU)
	if v, ok := l.ep.(*veth); ok {
		v.owner.Store(s)
	}
	if err := s.addLinkLocked(l); err != nil {
		l.pay()
		return err
	}
	return nil
}

// pay gives back what a link cost.
func (l *link) pay() {
	if l.payer != nil {
		l.payer.Uncharge(linkCost)
		l.payer = nil
	}
}

// RemoveLink removes a link that was made here: ENODEV, EOPNOTSUPP.
func (s *Stack) RemoveLink(index int32) error {
	s.get()
	s.mu.Lock()
	l := s.findLocked(index)
	s.mu.Unlock()
	switch {
	case l == nil:
		return abi.ENODEV
	case l.Kind == "":
		return abi.EOPNOTSUPP
	}
	s.drop(l)
	return nil
}

// drop removes a link, and the other end of a pair.
func (s *Stack) drop(l *link) {
	if !s.take(l) {
		return
	}
	l.pay()
	v, ok := l.ep.(*veth)
	if !ok {
		return
	}
	v.owner.Store(nil)
	v.up.Store(false)
	for st := v.peer.owner.Load(); st != nil; st = v.peer.owner.Load() {
		st.mu.Lock()
		i := slices.IndexFunc(st.links, func(o *link) bool { return o.ep == v.peer })
		var other *link
		if i >= 0 {
			other = st.links[i]
		}
		st.mu.Unlock()
		if other != nil {
			st.drop(other)
		} else if v.peer.owner.CompareAndSwap(st, nil) {
			return
		}
	}
}

// take takes a link with its addresses and routes out of the stack; false if it is not there.
func (s *Stack) take(l *link) bool {
	s.mu.Lock()
	i := slices.Index(s.links, l)
	if i < 0 {
		s.mu.Unlock()
		return false
	}
	_ = s.setUpLocked(l, false)
	s.unenslaveLocked(l)
	if b, ok := l.ep.(*bridge); ok {
		for _, o := range s.links {
			if o.Master == l.Index {
				s.leaveLocked(o, b)
			}
		}
	}
	for _, a := range slices.Clone(l.addrs) {
		_ = s.removeAddressLocked(l, a.Prefix)
	}
	_ = s.s.RemoveNIC(tcpip.NICID(l.Index))
	s.links = slices.Delete(s.links, i, i+1)
	s.setRoutesLocked()
	changed := s.carrierLocked()
	s.mu.Unlock()
	s.tell(changed, false)
	s.tell([]Link{l.Link}, true)
	return true
}

// Move takes a link to another namespace, where it is down and has no addresses: ENODEV,
// EEXIST; EINVAL for lo, bridges, and what is the host's.
func (s *Stack) Move(index int32, to *Stack, name string) error {
	s.get()
	to.get()
	if s == to {
		return nil
	}
	s.mu.Lock()
	l := s.findLocked(index)
	s.mu.Unlock()
	switch {
	case l == nil:
		return abi.ENODEV
	case l.Kind != KindVeth && l.Kind != KindDummy:
		return abi.EINVAL
	}
	if name == "" {
		name = l.Name
	}
	to.mu.Lock()
	_, err := to.nameLocked(name, l.Kind)
	full := to.dead || len(to.links) >= maxLinks
	to.mu.Unlock()
	switch {
	case err != nil:
		return err
	case full:
		return abi.ENOBUFS
	case !s.take(l):
		return abi.ENODEV
	}
	moved := &link{Link: l.Link, ep: l.ep}
	moved.Flags &^= abi.IFF_UP | abi.IFF_RUNNING
	spec := LinkSpec{Name: name, MAC: l.MAC, MTU: l.MTU, TxLen: l.TxLen, Index: l.Index}
	to.mu.Lock()
	if to.findLocked(spec.Index) != nil {
		spec.Index = 0
	}
	err = to.enterLocked(moved, spec)
	moved.payer = l.payer
	to.mu.Unlock()
	if err != nil { // the namespace ended or filled up meanwhile
		s.mu.Lock()
		s.links = append(s.links, moved)
		s.mu.Unlock()
		s.drop(moved)
		return err
	}
	if v, ok := moved.ep.(*veth); ok && v.peer.owner.Load() == nil {
		to.drop(moved) // the other end went meanwhile
		return nil
	}
	to.tell([]Link{moved.Link}, false)
	return nil
}

// LinkChange is what ChangeLink sets; nil is left alone.
type LinkChange struct {
	Name  string // empty: left alone
	MAC   *[6]byte
	MTU   *uint32
	TxLen *uint32
}

// ChangeLink changes a link: ENODEV, EINVAL, EEXIST, EADDRNOTAVAIL, EOPNOTSUPP.
func (s *Stack) ChangeLink(index int32, c LinkChange) error {
	s.get()
	s.mu.Lock()
	l := s.findLocked(index)
	err := s.changeLocked(l, c)
	var changed []Link
	if l != nil {
		changed = []Link{l.Link}
	}
	s.mu.Unlock()
	if err == nil {
		s.tell(changed, false)
	}
	return err
}

func (s *Stack) changeLocked(l *link, c LinkChange) error {
	if l == nil {
		return abi.ENODEV
	}
	// The frames of a link that the host has are bound to its address there.
	foreign := l.Kind == ""
	switch {
	case c.MAC != nil && c.MAC[0]&1 != 0 || c.MAC != nil && *c.MAC == [6]byte{}:
		return abi.EADDRNOTAVAIL
	case c.MAC != nil && *c.MAC != l.MAC && foreign:
		return abi.EOPNOTSUPP
	case c.MTU != nil && (*c.MTU < minMTU || *c.MTU > maxMTU) && l.Flags&abi.IFF_LOOPBACK == 0:
		return abi.EINVAL
	case c.MTU != nil && *c.MTU > l.MTU && foreign && l.Flags&abi.IFF_LOOPBACK == 0:
		return abi.EINVAL
	}
	if c.Name != "" && c.Name != l.Name {
		name, err := s.nameLocked(c.Name, l.Kind)
		if err != nil {
			return err
		}
		if err := errno(s.s.SetNICName(tcpip.NICID(l.Index), name)); err != nil {
			return err
		}
		l.Name = name
	}
	if c.MAC != nil {
		s.setMACLocked(l, *c.MAC)
		l.fixed = true
		if m := s.findLocked(l.Master); m != nil {
			s.bridgeMACLocked(m)
		}
	}
	if c.MTU != nil && *c.MTU != l.MTU {
		if err := errno(s.s.SetNICMTU(tcpip.NICID(l.Index), *c.MTU)); err != nil {
			return err
		}
		l.MTU = *c.MTU
	}
	if c.TxLen != nil {
		l.TxLen = *c.TxLen
	}
	return nil
}
