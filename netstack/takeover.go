package netstack

import (
	"fmt"
	"slices"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"lazaret/syscalls/abi"
)

// Config is a network that runsc found on the host, for Apply.
type Config struct {
	Links      []HostLink
	Routes     []Route
	Neighbours []Neighbour

	// Shown says that the links are only looked at: sockets are the host's.
	Shown bool

	// Resolver says that the descriptor behind those of the links is a socket of the host that
	// is connected to EngineResolver.
	Resolver bool

	// Inward says that behind those are a listening socket of the host and the InwardPorts
	// that lead to it.
	Inward bool
}

// HostLink is an interface with its addresses.
type HostLink struct {
	Link
	Addresses []Address
	Wire      bool // its descriptor is no packet socket but one end of a wire (NewWire)
}

// Apply gives the namespace the links of a Config; fds are the packet sockets of those that
// are not lo, in order, and belong to the stack from now on.
// TRUST: c comes from runsc, which read it from the host's kernel.
func (s *Stack) Apply(c *Config, fds []int) error {
	s.get()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range c.Links {
		h := &c.Links[i]
		l := s.findLocked(h.Index)
		if h.Flags&abi.IFF_LOOPBACK == 0 && c.Shown {
			l = &link{Link: h.Link, ep: newPacketLink(-1, h.MAC, h.MTU)}
			if err := s.addLinkLocked(l); err != nil {
				return fmt.Errorf("network interface %q: %w", h.Name, err)
			}
		} else if h.Flags&abi.IFF_LOOPBACK == 0 {
			if len(fds) == 0 {
				return fmt.Errorf("network interface %q: no packet socket came with it", h.Name)
			}
			ep := newPacketLink(fds[0], h.MAC, h.MTU)
			ep.router = &s.forwarding
			if h.Wire {
				ep.wire = wire{whole: true, owner: s, index: h.Index}
			}
			l = &link{Link: h.Link, ep: ep}
			fds = fds[1:]
			if err := s.addLinkLocked(l); err != nil {
				return fmt.Errorf("network interface %q: %w", h.Name, err)
			}
		}
		if l == nil {
			continue
		}
		for _, a := range h.Addresses {
			if slices.ContainsFunc(l.addrs, func(o Address) bool { return o.Prefix == a.Prefix }) {
				continue
			}
			if err := s.addAddressLocked(l, a); err != nil {
				return fmt.Errorf("address %s of %q: %w", a.Prefix, h.Name, err)
			}
		}
	}
	if c.Resolver && len(fds) > 0 {
		s.resolveLocked(fds[0])
		fds = fds[1:]
	}
	if c.Inward && len(fds) > 1 {
		if err := s.takeInward(fds[0], fds[1]); err != nil {
			return fmt.Errorf("connections to lo: %w", err)
		}
	}
	s.routes = append(s.routes, c.Routes[:min(len(c.Routes), maxRoutes)]...)
	s.setRoutesLocked()
	for _, n := range c.Neighbours {
		_ = s.s.AddStaticNeighbor(tcpip.NICID(n.Link), protoOf(n.IP), toAddress(n.IP), tcpip.LinkAddress(n.MAC[:]))
	}
	return nil
}

var _ stack.LinkEndpoint = (*packetLink)(nil)
var _ stack.GSOEndpoint = (*packetLink)(nil)
