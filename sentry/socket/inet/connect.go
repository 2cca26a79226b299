package inet

import (
	"net/netip"

	"lazaret/netstack"
	"lazaret/sentry/socket"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// Bind implements socket.Binder.
func (s *Socket) Bind(ctx *vfs.Context, addr []byte) error {
	a, err := s.bindAddr(addr)
	if err != nil {
		return err
	}
	if s.kind != netstack.Raw && a.Port != 0 && s.ns.privilegedPort(int(a.Port)) && !s.ns.capable(ctx, abi.CAP_NET_BIND_SERVICE) {
		return abi.EACCES
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ep := s.ep.Load()
	if s.bound != nil || s.kind == netstack.TCP && !ep.Fresh() {
		return abi.EINVAL
	}
	if s.v6 && a.IP.Is4In6() && s.option(optV6Only) != 0 {
		return abi.EINVAL
	}
	if scoped(a.IP) && a.IP.Is6() && a.NIC == 0 && !a.IP.IsMulticast() {
		return abi.EINVAL
	}
	if s.kind == netstack.Raw || s.kind == netstack.Ping && s.v6 {
		a.Port = 0
	}
	a = anyAddr(a)
	if err := s.bindMulticast(ep, a); err != nil {
		return err
	}
	s.bound = &a
	return nil
}

// bindMulticast binds; a group is an address that a datagram socket may take.
func (s *Socket) bindMulticast(ep *netstack.Endpoint, a netstack.Addr) error {
	err := ep.Bind(a)
	if err == abi.EADDRNOTAVAIL && s.kind == netstack.UDP && a.IP.IsValid() && a.IP.IsMulticast() {
		return ep.Bind(netstack.Addr{Port: a.Port})
	}
	return err
}

func (n *Namespace) privilegedPort(port int) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return port < n.settings.unprivileged
}

// Connect implements socket.Connector.
func (s *Socket) Connect(_ *vfs.Context, addr []byte) error {
	f, err := family(addr)
	if err != nil {
		return err
	}
	if f == abi.AF_UNSPEC {
		return s.disconnect()
	}
	if s.kind == netstack.TCP {
		switch s.ep.Load().State() {
		case abi.TCP_CLOSE, abi.TCP_SYN_SENT:
		default:
			if s.told() {
				return abi.EISCONN // whatever the address
			}
		}
	}
	a, err := s.peerAddr(addr)
	if err != nil {
		return err
	}
	if s.kind == netstack.TCP {
		return s.connectTCP(a)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ep := s.ep.Load()
	if a.IP.Unmap() == netip.AddrFrom4([4]byte{255, 255, 255, 255}) && s.option(optBroadcast) == 0 {
		return abi.EACCES
	}
	if s.kind != netstack.Raw && a.Port == 0 && s.kind != netstack.Ping {
		a.Port = 0 // Linux takes it; a send then fails with EINVAL
	}
	if err := ep.Connect(a); err != nil {
		return connectError(err)
	}
	s.peer = true
	return nil
}

// told reports whether the outcome of the connection was told, or there was none to tell.
func (s *Socket) told() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.connecting
}

// connectError gives a failure of routing the number that Linux has for it.
func connectError(err error) error {
	if err == abi.EHOSTUNREACH {
		return abi.ENETUNREACH // without a route; a host that does not answer comes later
	}
	return err
}

func (s *Socket) connectTCP(a netstack.Addr) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listening {
		return abi.EISCONN
	}
	ep := s.ep.Load()
	if ep.Failed() || !ep.Fresh() && ep.State() == abi.TCP_CLOSE {
		if s.connecting {
			e := s.takeErrorLocked()
			if err := s.renewLocked(); err != nil {
				return err
			}
			if e != 0 {
				return e
			}
			return abi.ECONNABORTED
		}
		if err := s.renewLocked(); err != nil {
			return err
		}
		ep = s.ep.Load()
	}
	if a.IP.IsMulticast() || a.IP.Unmap() == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return abi.ENETUNREACH
	}
	switch err := ep.Connect(a); err {
	case nil:
		s.connecting = false
		return nil
	case abi.EINPROGRESS:
		s.connecting = true
		return err
	case abi.EALREADY, abi.EISCONN:
		return err
	default:
		if s.connecting { // the outcome of the attempt that was under way
			s.connecting = false
			return err
		}
		return connectError(err)
	}
}

// disconnect is connect(2) with AF_UNSPEC.
func (s *Socket) disconnect() error {
	s.mu.Lock()
	var err error
	if s.kind == netstack.TCP {
		if s.ep.Load().Fresh() {
			s.mu.Unlock()
			return nil
		}
		err = s.renewLocked()
	} else if s.peer {
		s.peer = false
		err = s.ep.Load().Disconnect()
	}
	s.mu.Unlock()
	s.queue.Notify(wait.All)
	return err
}

// Listen implements socket.Listener.
func (s *Socket) Listen(_ *vfs.Context, backlog int) error {
	if s.kind != netstack.TCP {
		return abi.EOPNOTSUPP
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ep := s.ep.Load()
	if !s.listening && !ep.Fresh() {
		return abi.EINVAL
	}
	s.ns.mu.Lock()
	limit := s.ns.settings.somaxconn
	s.ns.mu.Unlock()
	if backlog < 0 || backlog > limit {
		backlog = limit
	}
	// Linux's queue holds one more than was asked for.
	if err := ep.Listen(backlog + 1); err != nil && !s.listening {
		return err
	}
	s.listening, s.shut, s.backlog = true, 0, backlog
	return nil
}

// Accept implements socket.Listener.
func (s *Socket) Accept(ctx *vfs.Context) (socket.Socket, error) {
	if s.kind != netstack.TCP {
		return nil, abi.EOPNOTSUPP
	}
	ep, from, err := s.ep.Load().Accept()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	n := &Socket{ns: s.ns, id: s.id, kind: s.kind, v6: s.v6, acct: ctx.Account, opts: s.opts, from: from, gid: s.gid}
	s.mu.Unlock()
	if err := n.chargeNew(); err != nil {
		ep.Abort()
		return nil, err
	}
	n.ep.Store(ep)
	ep.Follow(n)
	n.inherit(ep)
	s.ns.add(n)
	return n, nil
}

// AcceptedFrom implements socket.Accepted.
func (s *Socket) AcceptedFrom() []byte { return s.sockaddr(s.from) }

// Shutdown implements socket.Socket.
func (s *Socket) Shutdown(how int) error {
	mode := how + 1
	s.mu.Lock()
	ep := s.ep.Load()
	if s.kind == netstack.TCP {
		s.mu.Unlock()
		if ep.Fresh() || ep.State() == abi.TCP_CLOSE {
			return abi.ENOTCONN
		}
		err := ep.Shutdown(mode&shutRecv != 0, mode&shutSend != 0)
		if err == abi.ENOTCONN && ep.State() == abi.TCP_TIME_WAIT {
			err = nil
		}
		if err != nil {
			return err
		}
		s.mu.Lock()
		s.shut |= mode
		s.mu.Unlock()
	} else {
		peer := s.peer
		s.shut |= mode
		s.mu.Unlock()
		if !peer { // Linux ends the directions all the same
			s.queue.Notify(wait.All)
			return abi.ENOTCONN
		}
	}
	s.queue.Notify(wait.All)
	return nil
}
