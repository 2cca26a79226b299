package proto

import (
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"lazaret/syscalls/abi"
)

// ErrMalformed says that the peer's bytes are not a message.
var ErrMalformed = errors.New("malformed message")

// spinMax bounds how long a receiver polls before it sleeps: a wake-up of a sleeping
// processor costs about as much.
const spinMax = 50 * time.Microsecond

// A receiver sleeps for holdMax, if it was not made patient, without the Go scheduler's knowledge. To be taken off a
// processor and to get one back costs several wake-ups of other threads, more than all the
// rest of an exchange. At most MaxHolders do so at once: each takes one of Go's processors
// (GOMAXPROCS) with it, of which there must be more.
const (
	holdMax    = 500 * time.Microsecond
	MaxHolders = 2
)

var holders atomic.Int32

// PatientHold is a holdMax for servers. A client comes back after some milliseconds of the
// application's; each time that all of Go's processors were given up meanwhile, its monitor
// thread starts again, to look after them every 20 us for a while.
const PatientHold = 20 * time.Millisecond

// hold waits until there is something to receive, and reports whether there is.
func (c *Conn) hold() bool {
	defer holders.Add(-1)
	if holders.Add(1) > MaxHolders {
		return false
	}
	for deadline := time.Now().Add(c.patience); ; {
		ready, interrupted := pollIn(c.fd, c.patience)
		if ready || !interrupted || time.Now().After(deadline) {
			return ready
		}
	}
}

// Conn carries messages over a socket. One goroutine may receive while one sends.
type Conn struct {
	fd     int
	stream bool
	buf    []byte
	have   []byte        // stream: bytes received and not yet returned, part of buf
	spin   time.Duration // how long the next Recv polls: grows when that paid

	patience time.Duration // how long it then sleeps before the scheduler is told
}

// NewConn returns a connection over fd, which it owns. Both kinds of Unix socket work.
func NewConn(fd int) (*Conn, error) {
	typ, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return nil, err
	}
	c := newPacketConn(fd)
	c.stream = typ == unix.SOCK_STREAM
	return c, nil
}

// newPacketConn returns a connection over a SOCK_SEQPACKET socket, without a system call.
func newPacketConn(fd int) *Conn {
	c := &Conn{fd: fd, buf: make([]byte, MaxMessage), patience: holdMax}
	if runtime.NumCPU() > 1 {
		c.spin = spinMax
	}
	return c
}

// SocketPair returns the two ends of a connection, closed on exec: client, server.
func SocketPair() (int, int, error) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	return p[0], p[1], err
}

// BePatient makes Recv sleep for d before the scheduler is told.
func (c *Conn) BePatient(d time.Duration) { c.patience = d }

// FD returns the socket.
func (c *Conn) FD() int { return c.fd }

// Shutdown wakes a goroutine that receives, here and at the peer.
func (c *Conn) Shutdown() { _ = unix.Shutdown(c.fd, unix.SHUT_RDWR) }

// Close closes the socket. No other method may be running.
func (c *Conn) Close() { _ = unix.Close(c.fd) }

// Send sends one message, and the descriptor fd with it unless it is negative.
func (c *Conn) Send(msg []byte, fd int) error {
	if fd < 0 {
		return c.SendFDs(msg, nil)
	}
	one := [1]int32{int32(fd)}
	return c.SendFDs(msg, one[:])
}

// SendFDs sends one message, and at most MaxFDs descriptors with it.
func (c *Conn) SendFDs(msg []byte, fds []int32) error {
	for {
		n, e := sendmsg(c.fd, msg, fds)
		switch {
		case e == abi.EINTR:
		case e == abi.EAGAIN:
			c.wait(unix.POLLOUT)
		case e != 0:
			return e
		case n == len(msg):
			return nil
		case !c.stream || n <= 0:
			return ErrMalformed
		default:
			msg, fds = msg[n:], nil
		}
	}
}

// Recv returns the next message, valid until the next Recv; io.EOF when the peer is gone.
func (c *Conn) Recv() ([]byte, error) {
	if c.stream {
		return c.recvStream()
	}
	msg, _, err := c.RecvFDs(nil)
	return msg, err
}

// RecvFD is Recv for a packet socket, with the descriptor that came along, else -1.
func (c *Conn) RecvFD() ([]byte, int, error) {
	var one [1]int32
	msg, n, err := c.RecvFDs(one[:])
	if n == 0 {
		return msg, -1, err
	}
	return msg, int(one[0]), err
}

// RecvFDs is Recv for a packet socket, with the descriptors that came along; more than fds
// has room for are malformed.
func (c *Conn) RecvFDs(fds []int32) ([]byte, int, error) {
	n, nfds, flags, err := c.recv(c.buf, fds)
	if err != nil {
		return nil, 0, err
	}
	bad := unix.MSG_TRUNC
	if len(fds) > 0 {
		bad |= unix.MSG_CTRUNC
	}
	if int(flags)&bad != 0 || n < HeaderSize {
		closeAll(fds[:nfds])
		return nil, 0, ErrMalformed
	}
	return c.buf[:n], nfds, nil
}

func closeAll(fds []int32) {
	for _, fd := range fds {
		_ = unix.Close(int(fd))
	}
}

func (c *Conn) recvStream() ([]byte, error) {
	for {
		if len(c.have) >= 4 {
			size := binary.LittleEndian.Uint32(c.have)
			if size < HeaderSize || size > uint32(len(c.buf)) {
				return nil, ErrMalformed
			}
			if uint32(len(c.have)) >= size {
				msg := c.have[:size]
				c.have = c.have[size:]
				return msg, nil
			}
		}
		n := copy(c.buf, c.have)
		got, _, _, err := c.recv(c.buf[n:], nil)
		if err != nil {
			return nil, err
		}
		c.have = c.buf[:n+got]
	}
}

// recv polls for a while, then sleeps.
func (c *Conn) recv(b []byte, fds []int32) (n, nfds int, flags int32, err error) {
	var e abi.Errno
	if c.spin > 0 {
		deadline := time.Now().Add(c.spin)
		for e = abi.EAGAIN; e == abi.EAGAIN || e == abi.EINTR; {
			n, nfds, flags, e = recvmsg(c.fd, b, unix.MSG_DONTWAIT, fds)
			if e == abi.EAGAIN && time.Now().After(deadline) {
				break
			}
		}
		c.adapt(e == 0)
	} else {
		e = abi.EAGAIN
		c.adapt(false)
	}
	if e == abi.EAGAIN && c.hold() {
		n, nfds, flags, e = recvmsg(c.fd, b, unix.MSG_DONTWAIT, fds)
	}
	for e == abi.EAGAIN || e == abi.EINTR {
		n, nfds, flags, e = recvmsg(c.fd, b, 0, fds)
		if e == abi.EAGAIN { // a socket that somebody made non-blocking
			c.wait(unix.POLLIN)
		}
	}
	if e != 0 {
		return 0, 0, 0, e
	}
	if n == 0 {
		closeAll(fds[:nfds])
		return 0, 0, 0, io.EOF
	}
	return n, nfds, flags, nil
}

// adapt halves the polling time after a poll in vain, so that an idle or slow connection
// burns no processor, and restores it after a success.
func (c *Conn) adapt(paid bool) {
	switch {
	case runtime.NumCPU() == 1:
		c.spin = 0
	case paid:
		c.spin = spinMax
	default:
		c.spin = max(c.spin/2, spinMax/16)
	}
}

func (c *Conn) wait(events int16) {
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(c.fd), Events: events}}, -1)
}
