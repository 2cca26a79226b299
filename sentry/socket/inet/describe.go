package inet

import (
	"lazaret/netstack"
	"lazaret/sentry/auth"
	"lazaret/syscalls/abi"
)

// Description is what tools see of a socket.
type Description struct {
	Family, Protocol      int
	Kind                  netstack.Kind
	State                 uint8 // TCP_*; of datagram sockets TCP_ESTABLISHED or TCP_CLOSE
	Local, Remote         netstack.Addr
	ReadQueue, WriteQueue int // of a listener the second is its backlog
	UID                   auth.KUID
	Inode                 uint64
	Shutdown              uint8
}

// Describe returns what the socket is now.
func (s *Socket) Describe() Description {
	ep := s.ep.Load()
	s.mu.Lock()
	d := Description{Family: s.id.Family, Protocol: s.id.Protocol, Kind: s.kind, UID: s.uid, Inode: s.ino, Shutdown: uint8(s.shut),
		State: abi.TCP_CLOSE}
	if s.peer {
		d.State = abi.TCP_ESTABLISHED
	}
	backlog := s.backlog
	s.mu.Unlock()
	if s.kind == netstack.TCP {
		d.State = uint8(ep.State())
	}
	d.Local = s.local()
	if r, err := ep.RemoteAddr(); err == nil {
		d.Remote = r
	}
	if d.State == abi.TCP_LISTEN {
		d.WriteQueue = backlog
	} else {
		d.ReadQueue, d.WriteQueue = ep.ReadQueue(), ep.WriteQueue()
	}
	return d
}
