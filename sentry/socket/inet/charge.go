package inet

import (
	"gvisor.dev/gvisor/pkg/waiter"
	"lazaret/netstack"
	"lazaret/syscalls/abi"
)

// The stack keeps its buffers on the Sentry's heap. A socket is charged for itself when
// it is made, and for what waits in its queues: brought up to date when it
// receives, and for all sockets of the namespace after each sweepBytes that were sent in
// it, so that data that nobody fetches is charged too. The queues themselves are bounded
// by SO_RCVBUF and SO_SNDBUF.
const (
	costTCP = 8 << 10
	costUDP = 4 << 10
	// sweepBytes is how much may be sent between two looks at all sockets.
	sweepBytes = 8 << 20
	// settleStep is the smallest change of a charge that is worth its bookkeeping.
	settleStep = 16 << 10
)

func (s *Socket) baseCost() uint64 {
	if s.kind == netstack.TCP {
		return costTCP
	}
	return costUDP
}

// chargeNew charges a new socket: ENOBUFS.
func (s *Socket) chargeNew() error {
	if s.acct == nil {
		return nil
	}
	n := s.baseCost()
	if s.acct.Charge(n) != nil {
		return abi.ENOBUFS
	}
	s.charged = n
	return nil
}

// held is what waits in a socket's queues, as far as the stack tells: of what waits to be
// acknowledged only that its buffer is full.
func (s *Socket) held() uint64 {
	ep := s.ep.Load()
	n := ep.ReadQueue()
	if s.kind == netstack.TCP {
		switch ep.State() {
		case abi.TCP_ESTABLISHED, abi.TCP_CLOSE_WAIT:
			if ep.Ready(waiter.EventOut) == 0 {
				send, _ := ep.Buffers()
				n += send
			}
		}
	}
	return uint64(n)
}

// settle brings the charge up to what the socket holds now: ENOBUFS when the account does
// not allow it.
func (s *Socket) settle() error {
	if s.acct == nil {
		return nil
	}
	want := s.baseCost() + s.held()
	s.chargeMu.Lock()
	defer s.chargeMu.Unlock()
	was := s.charged
	switch {
	case was == 0: // closed
	case want >= was+settleStep:
		if s.acct.Charge(want-was) != nil {
			return abi.ENOBUFS
		}
		s.charged = want
	case was >= want+settleStep:
		s.acct.Uncharge(was - want)
		s.charged = want
	}
	return nil
}

func (s *Socket) uncharge() {
	if s.acct == nil {
		return
	}
	s.chargeMu.Lock()
	defer s.chargeMu.Unlock()
	s.acct.Uncharge(s.charged)
	s.charged = 0
}

// sending counts n bytes that are about to be sent: ENOBUFS when what waits in the
// namespace's sockets is more than their accounts allow.
func (n *Namespace) sending(bytes int) error {
	if n.sent.Add(int64(bytes)) < sweepBytes {
		return nil
	}
	n.sent.Store(0)
	var err error
	for _, s := range n.Sockets() {
		if e := s.settle(); e != nil {
			err = e
		}
	}
	return err
}
