package unix

import (
	"lazaret/sentry/socket"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// Recv implements socket.Socket.
func (s *Socket) Recv(_ *vfs.Context, m *socket.Message) (int, error) {
	flags := m.Flags
	m.Flags = 0
	if h := s.host.Load(); h != nil && !s.waiting() {
		return s.recvHost(h, m, flags)
	}
	if d := s.door.Load(); d != nil && s.typ == abi.SOCK_DGRAM && !s.waiting() {
		if n, err := s.recvHost(d.host, m, flags); err != abi.EAGAIN {
			return n, err
		}
	}
	if flags&abi.MSG_OOB != 0 {
		return s.recvUrgent(m, flags)
	}
	if s.typ == abi.SOCK_STREAM {
		return s.recvStream(m, flags)
	}
	return s.recvPacket(m, flags)
}

// emptyLocked is what a receive from an empty queue gives: the pending error, the end, or
// abi.EAGAIN.
func (s *Socket) emptyLocked() (int, error) {
	if err := s.takeErrLocked(); err != nil {
		return 0, err
	}
	if s.shutdown&shutRecv != 0 {
		return 0, nil
	}
	return 0, abi.EAGAIN
}

func (s *Socket) recvPacket(m *socket.Message, flags int) (int, error) {
	s.mu.Lock()
	if s.typ == abi.SOCK_SEQPACKET && s.state != stateConnected {
		s.mu.Unlock()
		return 0, abi.ENOTCONN
	}
	if err := s.takeErrLocked(); err != nil { // before what is queued, unlike a stream
		s.mu.Unlock()
		return 0, err
	}
	if s.recv.len() == 0 {
		n, err := s.emptyLocked()
		if s.typ == abi.SOCK_DGRAM {
			// Linux ends a blocked receive at a shutdown, but one that may not block
			// gets EAGAIN: socket.Recv does the former.
			n, err = 0, abi.EAGAIN
		}
		s.mu.Unlock()
		return n, err
	}
	msg := s.recv.first()
	n := m.Bufs.CopyFrom(msg.data)
	if n < len(msg.data) {
		m.Flags |= abi.MSG_TRUNC
		if flags&abi.MSG_TRUNC != 0 {
			n = len(msg.data)
		}
	}
	m.Name = nil
	if s.typ == abi.SOCK_DGRAM && msg.name != nil {
		m.Name = sockaddr(msg.name)
	}
	s.credsLocked(m, msg)
	if flags&abi.MSG_PEEK != 0 {
		m.Control.Files = copyFiles(msg)
		s.mu.Unlock()
		return n, nil
	}
	s.recv.pop()
	var blocked map[*Socket]struct{}
	if s.recv.len() <= s.backlog {
		blocked = s.takeBlockedLocked()
	}
	s.mu.Unlock()
	m.Control.Files = detach(msg)
	msg.release()
	notifyRoom(blocked)
	return n, nil
}

// credsLocked adds the sender's credentials if SO_PASSCRED asks for them.
func (s *Socket) credsLocked(m *socket.Message, msg *message) {
	if s.opts.passCred {
		c := msg.creds
		m.Control.Creds = &c
	}
}

// recvStream takes bytes of as many messages as it may: it stops behind one with files
// and, with SO_PASSCRED, before one of another sender.
func (s *Socket) recvStream(m *socket.Message, flags int) (int, error) {
	s.mu.Lock()
	if s.state != stateConnected {
		s.mu.Unlock()
		return 0, abi.EINVAL
	}
	want := m.Bufs.Len()
	if s.recv.len() == 0 {
		n, err := s.emptyLocked()
		s.mu.Unlock()
		return n, err
	}
	var used []*message
	done, empty := 0, false // empty: nothing was there but an urgent byte
	var files []*vfs.File
	var taken []*message // whose files were taken
	if flags&abi.MSG_PEEK != 0 {
		done, files = s.peekStreamLocked(m, want)
		empty = done == 0
	}
	for flags&abi.MSG_PEEK == 0 && s.recv.len() > 0 && (done < want || want == 0) {
		msg := s.recv.first()
		step := s.markLocked(msg, done, false)
		if step == markSkip {
			used = append(used, s.recv.pop())
			empty = s.recv.len() == 0
			continue
		}
		if step == markStop || s.opts.passCred && m.Control.Creds != nil && *m.Control.Creds != msg.creds {
			break
		}
		s.credsLocked(m, msg)
		n := m.Bufs.Skip(done).CopyFrom(msg.rest())
		done += n
		s.recv.advance(n)
		hadFiles := len(msg.files) > 0
		if hadFiles {
			taken = append(taken, msg)
		}
		if len(msg.rest()) > 0 || want == 0 {
			break
		}
		used = append(used, s.recv.pop())
		if hadFiles {
			break
		}
	}
	if empty && done == 0 && want > 0 {
		n, err := s.emptyLocked()
		s.mu.Unlock()
		discard(used)
		return n, err
	}
	peer := s.peer
	// The files leave the queue under the lock, so that each is handed out once.
	for _, msg := range taken {
		files = append(files, detach(msg)...)
	}
	s.mu.Unlock()
	if peer != nil {
		if name := peer.boundName(); name != nil {
			m.Name = sockaddr(name)
		}
	}
	m.Control.Files = files
	for _, msg := range used {
		msg.release()
	}
	return done, nil
}

func (s *Socket) peekStreamLocked(m *socket.Message, want int) (int, []*vfs.File) {
	done := 0
	for i := s.recv.head; i < len(s.recv.list) && done < want; i++ {
		msg := s.recv.list[i]
		switch s.markLocked(msg, done, true) {
		case markSkip:
			continue
		case markStop:
			return done, nil
		}
		if s.opts.passCred && m.Control.Creds != nil && *m.Control.Creds != msg.creds {
			break
		}
		s.credsLocked(m, msg)
		done += m.Bufs.Skip(done).CopyFrom(msg.rest())
		if len(msg.files) > 0 {
			return done, copyFiles(msg)
		}
	}
	return done, nil
}
