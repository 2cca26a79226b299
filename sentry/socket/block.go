package socket

import (
	"time"

	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// blocking reports whether the call may sleep, and until when.
func blocking(ctx *vfs.Context, f *vfs.File, flags int, timeout time.Duration) (bool, time.Time) {
	if ctx.Sleeper == nil || flags&(abi.MSG_DONTWAIT|abi.MSG_ERRQUEUE) != 0 || f.Flags()&abi.O_NONBLOCK != 0 {
		return false, time.Time{}
	}
	if timeout > 0 {
		return true, time.Now().Add(timeout)
	}
	return true, time.Time{}
}

func timeouts(s Socket) (recv, send time.Duration) {
	if t, ok := s.(Timeouter); ok {
		return t.Timeouts()
	}
	return 0, 0
}

// Send is sendmsg(2) with its waiting: a blocking stream takes all of m. abi.EPIPE: the
// system call sends SIGPIPE unless MSG_NOSIGNAL. A signal gives ERESTARTSYS, or EINTR
// when there is a timeout (signal(7)).
func Send(ctx *vfs.Context, f *vfs.File, m *Message) (int, error) {
	s, err := Of(f)
	if err != nil {
		return 0, err
	}
	_, timeout := timeouts(s)
	block, deadline := blocking(ctx, f, m.Flags, timeout)
	bufs, total, done := m.Bufs, m.Bufs.Len(), 0
	defer func() { m.Bufs = bufs }()
	for {
		var n int
		err := attempt(ctx, s, block, deadline, wait.Out|wait.Err|wait.Hup, func() (err error) {
			n, err = s.Send(ctx, m)
			return err
		})
		if err != nil {
			if done > 0 {
				return done, nil
			}
			return 0, interrupted(err, timeout)
		}
		if done += n; done >= total || !block || n == 0 {
			return done, nil
		}
		m.Bufs, m.Control = bufs.Skip(done), Control{}
	}
}

// Recv is recvmsg(2) with its waiting: with MSG_WAITALL a stream fills m.
func Recv(ctx *vfs.Context, f *vfs.File, m *Message) (int, error) {
	s, err := Of(f)
	if err != nil {
		return 0, err
	}
	timeout, _ := timeouts(s)
	flags := m.Flags
	block, deadline := blocking(ctx, f, flags, timeout)
	all := flags&(abi.MSG_WAITALL|abi.MSG_PEEK) == abi.MSG_WAITALL && isStream(s)
	bufs, total, done := m.Bufs, m.Bufs.Len(), 0
	defer func() { m.Bufs = bufs }()
	for {
		var n int
		part := Message{Bufs: m.Bufs, Flags: flags}
		err := attempt(ctx, s, block, deadline, wait.In|wait.RdHup|wait.Err|wait.Hup, func() (err error) {
			part.Flags = flags
			n, err = s.Recv(ctx, &part)
			if err == abi.EAGAIN && block && s.Poll()&wait.RdHup != 0 {
				return nil // a shutdown ends a receive that waits
			}
			return err
		})
		if err != nil {
			if done > 0 {
				return done, nil
			}
			return 0, interrupted(err, timeout)
		}
		if done == 0 {
			m.Name, m.Control, m.Flags = part.Name, part.Control, part.Flags
		} else {
			m.Control.Files = append(m.Control.Files, part.Control.Files...)
		}
		done += n
		if !all || n == 0 || done >= total || len(m.Control.Files) > 0 {
			return done, nil
		}
		m.Bufs = bufs.Skip(done)
	}
}

func isStream(s Socket) bool {
	id, ok := s.(Identified)
	return ok && id.Identity().Type == abi.SOCK_STREAM
}

func interrupted(err error, timeout time.Duration) error {
	if err == abi.ERESTARTSYS && timeout > 0 {
		return abi.EINTR
	}
	return err
}

// attempt calls f until it returns something else than abi.EAGAIN, waiting between.
func attempt(ctx *vfs.Context, s Socket, block bool, deadline time.Time, events wait.Mask, f func() error) error {
	err := f()
	if err != abi.EAGAIN || !block {
		return err
	}
	werr := wait.Until(ctx.Sleeper, s.WaitQueue(), events, deadline, func() bool {
		err = f()
		return err != abi.EAGAIN
	})
	if werr == abi.ETIMEDOUT {
		return abi.EAGAIN
	}
	if werr != nil {
		return werr
	}
	return err
}

// Accept is accept4(2): the new socket's file. flags are SOCK_NONBLOCK and SOCK_CLOEXEC.
func Accept(ctx *vfs.Context, f *vfs.File, flags int) (*vfs.File, Socket, error) {
	if flags&^typeFlags != 0 {
		return nil, nil, abi.EINVAL
	}
	s, err := Of(f)
	if err != nil {
		return nil, nil, err
	}
	l, ok := s.(Listener)
	if !ok {
		return nil, nil, abi.EOPNOTSUPP
	}
	timeout, _ := timeouts(s)
	block, deadline := blocking(ctx, f, 0, timeout)
	var got Socket
	err = attempt(ctx, s, block, deadline, wait.In|wait.Err|wait.Hup, func() (err error) {
		got, err = l.Accept(ctx)
		if err == abi.EAGAIN && block && s.Poll()&wait.RdHup != 0 {
			return abi.EINVAL // a shutdown ends an accept that waits
		}
		return err
	})
	if err != nil {
		return nil, nil, interrupted(err, timeout)
	}
	nf, err := NewFile(ctx, got, uint32(flags&abi.SOCK_NONBLOCK))
	if err != nil {
		got.Close()
		return nil, nil, err
	}
	return nf, got, nil
}

// Connect is connect(2) with its waiting.
func Connect(ctx *vfs.Context, f *vfs.File, addr []byte) error {
	s, err := Of(f)
	if err != nil {
		return err
	}
	c, ok := s.(Connector)
	if !ok {
		return abi.EOPNOTSUPP
	}
	_, timeout := timeouts(s)
	block, deadline := blocking(ctx, f, 0, timeout)
	err = attempt(ctx, s, block, deadline, wait.All, func() error { return c.Connect(ctx, addr) })
	if err == abi.EALREADY && block {
		err = abi.EINPROGRESS // begun by a call that was interrupted: wait for it
	}
	if err != abi.EINPROGRESS || !block {
		return interrupted(err, timeout)
	}
	err = wait.Until(ctx.Sleeper, s.WaitQueue(), wait.Out|wait.Err|wait.Hup, deadline, func() bool {
		return s.Poll()&(wait.Out|wait.Err|wait.Hup) != 0
	})
	if err == abi.ETIMEDOUT {
		return abi.EINPROGRESS
	}
	if err != nil {
		return interrupted(err, timeout)
	}
	// Connecting again tells the outcome: the pending error, or EISCONN for success.
	if err = c.Connect(ctx, addr); err == abi.EISCONN {
		return nil
	}
	return err
}
