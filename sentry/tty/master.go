package tty

import (
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// Bits of the status byte in packet mode (ioctl_tty(2), TIOCPKT).
const (
	pktFlushRead  = 1
	pktFlushWrite = 2
	pktStop       = 4
	pktStart      = 8
	pktNoStop     = 16
	pktDoStop     = 32
	pktIoctl      = 64
)

// Releaser is told that a Master was closed: the pty's place can be taken again.
type Releaser interface {
	ReleasePTY(t *TTY)
}

// Peer opens the terminal of a Master (TIOCGPTPEER).
type Peer interface {
	OpenPeer(ctx *vfs.Context, t *TTY, flags uint32) (*vfs.File, error)
}

// Master is the open file of the master end of a pseudoterminal.
type Master struct {
	t     *TTY
	owner Releaser
}

// NewPTY makes a pseudoterminal: the terminal, locked until TIOCSPTLCK, and the operations
// of its master's file. owner may be nil.
func NewPTY(major, minor uint32, owner Releaser) (*TTY, *Master) {
	t := &TTY{major: major, minor: minor, termios: defaultTermios(), masterOpen: true, ptLocked: true}
	return t, &Master{t: t, owner: owner}
}

// statusLocked adds an event of packet mode, taking back its opposite.
func (t *TTY) statusLocked(set, clear uint8, e *effects) {
	t.status = t.status&^clear | set
	e.status = true
}

// Read implements vfs.FileOps: EIO when the last file of the terminal is closed.
func (m *Master) Read(_ *vfs.Context, _ *vfs.File, dst uio.Bufs, _ *int64) (int, error) {
	t := m.t
	want := dst.Len()
	if want == 0 {
		return 0, nil
	}
	var e effects
	t.mu.Lock()
	prefix := 0
	if t.packet {
		if t.status != 0 {
			b := []byte{t.status}
			t.status = 0
			t.mu.Unlock()
			return dst.CopyFrom(b), nil
		}
		prefix = 1
	}
	shown := len(t.shownLocked())
	if shown == 0 {
		gone := t.opened && t.opens == 0
		t.mu.Unlock()
		if gone {
			return 0, abi.EIO
		}
		return 0, abi.EAGAIN
	}
	b := make([]byte, min(want, prefix+shown))
	n := prefix
	if len(b) > prefix {
		n += t.takeOutputLocked(b[prefix:], &e)
	}
	t.mu.Unlock()
	t.tell(&e)
	return dst.CopyFrom(b[:n]), nil
}

// Write implements vfs.FileOps: typing.
func (m *Master) Write(_ *vfs.Context, _ *vfs.File, src uio.Bufs, _ *int64) (int, error) {
	t := m.t
	var e effects
	t.mu.Lock()
	if t.opened && t.opens == 0 {
		t.mu.Unlock()
		return 0, abi.EIO
	}
	done, want := 0, 0
	for _, b := range src {
		want += len(b)
		if done += t.inputLocked(b, &e); done < want {
			break
		}
	}
	t.mu.Unlock()
	t.tell(&e)
	if done == 0 && want > 0 {
		return 0, abi.EAGAIN
	}
	return done, nil
}

// Poll implements vfs.Poller.
func (m *Master) Poll(*vfs.File) wait.Mask {
	t := m.t
	t.mu.Lock()
	defer t.mu.Unlock()
	var r wait.Mask
	if len(t.shownLocked()) > 0 {
		r |= wait.In | abi.POLLRDNORM
	}
	if t.packet && t.status != 0 {
		r |= wait.Pri | wait.In | abi.POLLRDNORM
	}
	if t.opened && t.opens == 0 {
		r |= wait.Hup
	}
	if len(t.in.queue) < queueSize {
		r |= wait.Out | abi.POLLWRNORM
	}
	return r
}

// WaitQueue implements vfs.Poller.
func (m *Master) WaitQueue(*vfs.File) *wait.Queue { return &m.t.masterQueue }

// Release implements vfs.FileOps: the terminal hangs up.
func (m *Master) Release(*vfs.File) {
	m.t.mu.Lock()
	m.t.masterOpen = false
	m.t.mu.Unlock()
	m.t.Hangup()
	if m.owner != nil {
		m.owner.ReleasePTY(m.t)
	}
}
