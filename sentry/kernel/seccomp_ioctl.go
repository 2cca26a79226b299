package kernel

import (
	"encoding/binary"

	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// Requests of a listener's file (linux/seccomp.h), and the sizes of what they carry.
const (
	notifRecv       = 0xc0502100
	notifSend       = 0xc0182101
	notifIDValid    = 0x40082102
	notifIDValidOld = 0x80082102 // with the direction wrong, as the first kernels had it
	notifAddFD      = 0x40182103 // its size may be another
	notifSetFlags   = 0x40082104

	notifSize = 80
	respSize  = 24
	addFDSize = 24

	notifSyncWakeUp = 1
)

// Read is vfs.FileOps.
func (*SeccompListener) Read(*vfs.Context, *vfs.File, uio.Bufs, *int64) (int, error) {
	return 0, abi.EINVAL
}

// Write is vfs.FileOps.
func (*SeccompListener) Write(*vfs.Context, *vfs.File, uio.Bufs, *int64) (int, error) {
	return 0, abi.EINVAL
}

// Release is vfs.FileOps: calls that wait, and all later ones, fail with ENOSYS.
func (l *SeccompListener) Release(*vfs.File) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, c := range l.calls {
		if c.state != callReplied {
			c.state, c.val, c.errno, c.flags = callReplied, 0, -int32(abi.ENOSYS), 0
			c.q.Notify(wait.All)
		}
	}
}

// Poll is vfs.Poller: readable when a call waits to be received, writable when one waits
// to be answered.
func (l *SeccompListener) Poll(*vfs.File) wait.Mask {
	l.mu.Lock()
	defer l.mu.Unlock()
	var m wait.Mask
	for _, c := range l.calls {
		switch c.state {
		case callNew:
			m |= wait.In | abi.POLLRDNORM
		case callSent:
			m |= wait.Out | abi.POLLWRNORM
		}
	}
	if l.unusedLocked() {
		m |= wait.Hup
	}
	return m
}

// WaitQueue is vfs.Poller.
func (l *SeccompListener) WaitQueue(*vfs.File) *wait.Queue { return &l.q }

func (l *SeccompListener) unusedLocked() bool {
	return l.filter != nil && l.filter.users.Load() == 0
}

// Ioctl is vfs.Ioctler.
func (l *SeccompListener) Ioctl(ctx *vfs.Context, _ *vfs.File, cmd uint32, arg uint64, mem uio.Memory) (uint64, error) {
	t, ok := ctx.Sleeper.(*Task)
	if !ok {
		return 0, abi.EINVAL
	}
	at := abi.Addr(arg)
	switch cmd {
	case notifRecv:
		return 0, l.receive(t, at, mem)
	case notifSend:
		return 0, l.answer(at, mem)
	case notifIDValid, notifIDValidOld:
		id, err := readU64(mem, at)
		if err != nil {
			return 0, err
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if _, err := l.findLocked(id); err != nil {
			return 0, abi.ENOENT
		}
		return 0, nil
	case notifSetFlags:
		// A wake-up goes to where the waiter was anyway: the flag is a hint. The request
		// carries its flags as the argument.
		if arg&^notifSyncWakeUp != 0 {
			return 0, abi.EINVAL
		}
		return 0, nil
	}
	const sizeMask = 0x3fff << 16
	if cmd&^sizeMask == notifAddFD&^sizeMask {
		fd, err := l.addFD(t, at, uint64(cmd&sizeMask>>16), mem)
		return uint64(fd), err
	}
	return 0, abi.EINVAL
}

func readU64(mem uio.Memory, at abi.Addr) (uint64, error) {
	var b [8]byte
	err := mem.CopyIn(at, b[:])
	return binary.LittleEndian.Uint64(b[:]), err
}

// receive is SECCOMP_IOCTL_NOTIF_RECV. Like Linux's it waits whatever O_NONBLOCK says.
func (l *SeccompListener) receive(t *Task, at abi.Addr, mem uio.Memory) error {
	var b [notifSize]byte
	if err := mem.CopyIn(at, b[:]); err != nil {
		return err
	}
	if b != [notifSize]byte{} {
		return abi.EINVAL
	}
	var c *seccompCall
	unused := false
	err := wait.Until(t, &l.q, wait.All, noDeadline, func() bool {
		c, unused = l.takeNew()
		return c != nil || unused
	})
	if err != nil {
		return err
	}
	if c == nil {
		return abi.ENOENT
	}
	l.q.Notify(wait.Out | abi.POLLWRNORM)
	le := binary.LittleEndian
	le.PutUint64(b[:], c.id)
	le.PutUint32(b[8:], uint32(c.t.pid.Load().in(t.PIDNS())))
	for i, w := range c.data {
		le.PutUint32(b[16+4*i:], w)
	}
	if err := mem.CopyOut(at, b[:]); err != nil {
		l.mu.Lock()
		if c.state == callSent {
			c.state = callNew
		}
		l.mu.Unlock()
		l.q.Notify(wait.In | abi.POLLRDNORM)
		return err
	}
	return nil
}

// takeNew returns the oldest call that nobody has received, as received.
func (l *SeccompListener) takeNew() (c *seccompCall, unused bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.calls {
		if c.state == callNew {
			c.state = callSent
			return c, false
		}
	}
	return nil, l.unusedLocked()
}

// answer is SECCOMP_IOCTL_NOTIF_SEND.
func (l *SeccompListener) answer(at abi.Addr, mem uio.Memory) error {
	var b [respSize]byte
	if err := mem.CopyIn(at, b[:]); err != nil {
		return err
	}
	le := binary.LittleEndian
	id, val, errno, flags := le.Uint64(b[:]), int64(le.Uint64(b[8:])), int32(le.Uint32(b[16:])), le.Uint32(b[20:])
	const goOn = abi.SECCOMP_USER_NOTIF_FLAG_CONTINUE
	if flags&^goOn != 0 || flags&goOn != 0 && (errno != 0 || val != 0) {
		return abi.EINVAL
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c, err := l.findLocked(id)
	if err != nil {
		return err
	}
	c.state, c.val, c.errno, c.flags = callReplied, val, errno, flags
	c.q.Notify(wait.All)
	return nil
}

// addFD is SECCOMP_IOCTL_NOTIF_ADDFD with an argument of size bytes.
func (l *SeccompListener) addFD(t *Task, at abi.Addr, size uint64, mem uio.Memory) (int32, error) {
	if size < addFDSize || size >= abi.PageSize {
		return 0, abi.EINVAL
	}
	b := make([]byte, size)
	if err := mem.CopyIn(at, b); err != nil {
		return 0, err
	}
	for _, c := range b[addFDSize:] {
		if c != 0 {
			return 0, abi.E2BIG
		}
	}
	le := binary.LittleEndian
	flags, newFlags := le.Uint32(b[8:]), le.Uint32(b[20:])
	a := &seccompAddFD{
		at: int32(le.Uint32(b[16:])), set: flags&abi.SECCOMP_ADDFD_FLAG_SETFD != 0,
		cloexec: newFlags&abi.O_CLOEXEC != 0, send: flags&abi.SECCOMP_ADDFD_FLAG_SEND != 0,
	}
	if newFlags&^abi.O_CLOEXEC != 0 || flags&^(abi.SECCOMP_ADDFD_FLAG_SETFD|abi.SECCOMP_ADDFD_FLAG_SEND) != 0 ||
		a.at != 0 && !a.set {
		return 0, abi.EINVAL
	}
	if a.file = t.files.Load().Get(int32(le.Uint32(b[12:]))); a.file == nil {
		return 0, abi.EBADF
	}
	defer a.file.DecRef()
	c, err := l.offer(le.Uint64(b[:]), a)
	if err != nil {
		return 0, err
	}
	err = wait.Until(t, &a.q, wait.All, noDeadline, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return a.done
	})
	return l.outcome(c, a, err)
}

// offer gives a to the task of call id.
func (l *SeccompListener) offer(id uint64, a *seccompAddFD) (*seccompCall, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, err := l.findLocked(id)
	if err != nil {
		return nil, err
	}
	if a.send {
		if len(c.add) > 0 {
			return nil, abi.EBUSY
		}
		c.state = callReplied
	}
	c.add = append(c.add, a)
	c.q.Notify(wait.All)
	return c, nil
}

// outcome returns what became of a; err is set if the wait for it was interrupted.
func (l *SeccompListener) outcome(c *seccompCall, a *seccompAddFD, err error) (int32, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, o := range c.add {
		if o == a {
			c.add = append(c.add[:i], c.add[i+1:]...)
			if a.send && c.state == callReplied {
				c.state = callSent
			}
			return 0, err
		}
	}
	if !a.done {
		return 0, err
	}
	return a.fd, a.err
}
