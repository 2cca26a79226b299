package unix

import (
	"lazaret/sentry/socket"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// The urgent byte of a stream (MSG_OOB, as Linux has it since 5.15): a message of one byte
// in the queue, which Socket.urgent points to until it is read or passed. A read stops
// before it; one that begins there skips it, with SO_OOBINLINE it reads it. Once
// recv(MSG_OOB) has taken the byte, its empty message stays as the mark.

// sendUrgent queues the last byte of m as the urgent one.
func (s *Socket) sendUrgent(ctx *vfs.Context, peer *Socket, m *socket.Message) error {
	msg, err := s.streamMessage(ctx, peer, m, 1)
	if err != nil {
		return err
	}
	peer.mu.Lock()
	err = peer.pushStreamLocked(msg)
	if err == nil {
		peer.urgent = msg
	}
	peer.mu.Unlock()
	if err != nil {
		detach(msg)
		msg.release()
		return err
	}
	peer.queue.Notify(wait.In | wait.Pri | abi.POLLRDNORM | abi.POLLRDBAND)
	return nil
}

// recvUrgent is recv(MSG_OOB): it never waits.
func (s *Socket) recvUrgent(m *socket.Message, flags int) (int, error) {
	if s.typ != abi.SOCK_STREAM {
		return 0, abi.EOPNOTSUPP
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	msg := s.urgent
	if s.state != stateConnected || msg == nil || s.inlineLocked() {
		return 0, abi.EINVAL
	}
	n := m.Bufs.CopyFrom(msg.rest())
	s.credsLocked(m, msg)
	if flags&abi.MSG_PEEK == 0 {
		s.urgent = nil
		msg.off++
		s.recv.bytes--
	}
	m.Flags |= abi.MSG_OOB
	return n, nil
}

func (s *Socket) inlineLocked() bool { return s.opts.flags&(1<<abi.SO_OOBINLINE) != 0 }

// markStep says what a read does with the next message because of the urgent byte.
type markStep uint8

const (
	markNone markStep = iota // an ordinary message
	markStop                 // the read ends before it
	markSkip                 // it is passed over
)

// markLocked says what a read does at the mark: done bytes have been read, msg comes next.
func (s *Socket) markLocked(msg *message, done int, peek bool) markStep {
	switch {
	case len(msg.rest()) == 0 && len(msg.data) == 1: // read by recv(MSG_OOB)
		if done > 0 && s.urgent == nil {
			return markStop
		}
		return markSkip
	case msg != s.urgent:
		return markNone
	case done > 0:
		return markStop
	}
	inline := s.inlineLocked()
	if !peek {
		s.urgent = nil
	}
	if inline {
		return markNone
	}
	return markSkip
}

// atMark is SIOCATMARK: whether the next read begins at the urgent byte.
func (s *Socket) atMark() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.recv.len() == 0 {
		return false
	}
	msg := s.recv.first()
	if len(msg.rest()) > 0 {
		return msg == s.urgent
	}
	return s.urgent == nil || s.recv.len() > 1 && s.recv.list[s.recv.head+1] == s.urgent
}
