package inet

import (
	"gvisor.dev/gvisor/pkg/waiter"
	"lazaret/netstack"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

const (
	readable = wait.In | abi.POLLRDNORM
	writable = wait.Out | abi.POLLWRNORM
)

// Poll implements socket.Socket.
func (s *Socket) Poll() wait.Mask {
	if s.kind == netstack.TCP {
		return s.pollTCP()
	}
	s.mu.Lock()
	shut, err := s.shut, s.peekErrorLocked()
	s.mu.Unlock()
	ep := s.ep.Load()
	var m wait.Mask
	if err != 0 || ep.HasQueuedError() {
		m |= wait.Err
	}
	if shut&shutRecv != 0 {
		m |= wait.RdHup | readable
	}
	if shut == shutRecv|shutSend {
		m |= wait.Hup
	}
	r := ep.Ready(waiter.EventIn | waiter.EventOut)
	if r&waiter.EventIn != 0 && s.filtering() {
		if _, ok := s.firstSize(ep); !ok {
			r &^= waiter.EventIn
		}
	}
	if r&waiter.EventIn != 0 {
		m |= readable
	}
	if r&waiter.EventOut != 0 {
		m |= writable | abi.POLLWRBAND
	}
	return m
}

func (s *Socket) pollTCP() wait.Mask {
	ep := s.ep.Load()
	r := ep.Ready(waiter.EventIn | waiter.EventOut)
	state := ep.State()
	s.noteFin(state)
	if state == abi.TCP_LISTEN {
		s.mu.Lock()
		shut := s.shut
		s.mu.Unlock()
		var m wait.Mask
		if r&waiter.EventIn != 0 {
			m = readable
		}
		if shut&shutRecv != 0 { // back in TCP_CLOSE, Linux says
			m |= writable | wait.Hup
		}
		return m
	}
	if ep.Fresh() {
		return writable | wait.Hup
	}
	var m wait.Mask
	s.mu.Lock()
	shut := s.shut
	low := s.opts.values[optRcvLowat]
	var err abi.Errno
	if state == abi.TCP_CLOSE {
		err = s.peekErrorLocked()
	}
	s.mu.Unlock()
	switch state {
	case abi.TCP_CLOSE_WAIT:
		shut |= shutRecv
	case abi.TCP_FIN_WAIT1, abi.TCP_FIN_WAIT2:
		shut |= shutSend
	case abi.TCP_CLOSE, abi.TCP_CLOSING, abi.TCP_LAST_ACK, abi.TCP_TIME_WAIT:
		shut = shutRecv | shutSend
	case abi.TCP_SYN_SENT:
		return 0
	}
	if err != 0 {
		m |= wait.Err
	}
	if shut == shutRecv|shutSend {
		m |= wait.Hup
	}
	if shut&shutRecv != 0 {
		m |= readable | wait.RdHup
	}
	if r&waiter.EventIn != 0 && (low <= 1 || ep.ReadQueue() >= int(low)) {
		m |= readable
	}
	if r&waiter.EventOut != 0 || shut&shutSend != 0 {
		m |= writable
	}
	return m
}
