package tty

import (
	"time"

	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// file is an open file of the terminal itself.
type file struct{ t *TTY }

// Of returns the terminal that f is an open file of, nil if f is something else. Of a
// Master it is the other end.
func Of(f *vfs.File) *TTY {
	switch o := f.Ops.(type) {
	case *file:
		return o.t
	case *Master:
		return o.t
	}
	return nil
}

// Open opens the terminal: EIO when the other side is gone or the pseudoterminal locked,
// EBUSY with TIOCEXCL.
func (t *TTY) Open(ctx *vfs.Context, flags uint32) (vfs.FileOps, error) {
	t.mu.Lock()
	switch {
	case t.hung || t.ptLocked || !t.masterOpen:
		t.mu.Unlock()
		return nil, abi.EIO
	case t.excl && (ctx.Creds == nil || !ctx.Creds.HasCap(abi.CAP_SYS_ADMIN)):
		t.mu.Unlock()
		return nil, abi.EBUSY
	}
	t.opens++
	t.opened = true
	t.mu.Unlock()
	t.masterQueue.Notify(wait.Out | abi.POLLWRNORM)
	t.adopt(ctx, flags)
	return &file{t}, nil
}

// Release implements vfs.FileOps.
func (o *file) Release(*vfs.File) {
	t := o.t
	t.mu.Lock()
	t.opens--
	last := t.opens == 0
	if last {
		t.excl = false
	}
	t.mu.Unlock()
	if last {
		t.masterQueue.Notify(wait.All)
	}
}

// Read implements vfs.FileOps.
func (o *file) Read(ctx *vfs.Context, f *vfs.File, dst uio.Bufs, _ *int64) (int, error) {
	t := o.t
	if dst.Len() == 0 {
		return 0, nil
	}
	if err := t.checkBackground(ctx, abi.SIGTTIN); err != nil {
		return 0, err
	}
	block := f != nil && f.Flags()&abi.O_NONBLOCK == 0 && ctx != nil && ctx.Sleeper != nil
	n, err := t.read(dst, block)
	if err != abi.EAGAIN || !block {
		return n, err
	}
	limit := t.readTimeout()
	if limit == 0 {
		return n, err
	}
	// VTIME: this read ends by itself, which the caller's waiting does not know.
	deadline := time.Now().Add(limit)
	werr := wait.Until(ctx.Sleeper, &t.queue, wait.In|wait.Hup, deadline, func() bool {
		n, err = t.read(dst, true)
		return err != abi.EAGAIN
	})
	if werr == abi.ETIMEDOUT {
		if n, err = t.read(dst, false); err == abi.EAGAIN {
			return 0, nil
		}
		return n, err
	}
	if werr != nil {
		return 0, werr
	}
	return n, err
}

// readTimeout returns after how long a read ends that has nothing, 0 for never: VTIME with
// VMIN 0; with VMIN, VTIME counts from the first byte.
func (t *TTY) readTimeout() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &t.termios
	if s.canon() || s.CC[abi.VTIME] == 0 || s.CC[abi.VMIN] != 0 && len(t.in.buf) == 0 {
		return 0
	}
	return time.Duration(s.CC[abi.VTIME]) * 100 * time.Millisecond
}

// read takes input. block: the caller would wait for VMIN bytes.
func (t *TTY) read(dst uio.Bufs, block bool) (int, error) {
	var e effects
	t.mu.Lock()
	n, err := t.readLocked(dst, block)
	if n > 0 || err == nil {
		t.processLocked(&e)
	}
	t.mu.Unlock()
	t.tell(&e)
	return n, err
}

func (t *TTY) readLocked(dst uio.Bufs, block bool) (int, error) {
	if t.hung {
		return 0, nil
	}
	if t.termios.canon() {
		return t.readLineLocked(dst)
	}
	have, want := len(t.in.buf), dst.Len()
	vmin := int(t.termios.CC[abi.VMIN])
	if have == 0 {
		if vmin == 0 && t.termios.CC[abi.VTIME] == 0 {
			return 0, nil
		}
		return 0, abi.EAGAIN
	}
	if block && have < min(vmin, want) {
		return 0, abi.EAGAIN
	}
	n := dst.CopyFrom(t.in.buf)
	t.in.cut(n)
	return n, nil
}

// readLineLocked takes one line, or a part of it that fits.
func (t *TTY) readLineLocked(dst uio.Bufs) (int, error) {
	if t.in.committed == 0 {
		return 0, abi.EAGAIN
	}
	want := dst.Len()
	n, cut := 0, 0
	end := noEnd
	for n < want && cut < t.in.committed {
		end = t.in.ends[cut]
		cut++
		if end == eof {
			break
		}
		n++
		if end != noEnd {
			break
		}
	}
	if n == want && end == noEnd && cut < t.in.committed && t.in.ends[cut] == eof {
		cut++ // an end of file right behind a full buffer would look like another one
	}
	dst.CopyFrom(t.in.buf[:n])
	t.in.cut(cut)
	return n, nil
}

// readableLocked is input_available for poll: in raw mode VMIN bytes if there is no VTIME.
func (t *TTY) readableLocked() bool {
	if t.termios.canon() {
		return t.in.committed > 0
	}
	need := 1
	if t.termios.CC[abi.VTIME] == 0 && t.termios.CC[abi.VMIN] > 0 {
		need = int(t.termios.CC[abi.VMIN])
	}
	return len(t.in.buf) >= need
}

// Write implements vfs.FileOps.
func (o *file) Write(ctx *vfs.Context, _ *vfs.File, src uio.Bufs, _ *int64) (int, error) {
	t := o.t
	t.mu.Lock()
	tostop := t.termios.Lflag&abi.TOSTOP != 0
	t.mu.Unlock()
	if tostop {
		if err := t.checkBackground(ctx, abi.SIGTTOU); err != nil {
			return 0, err
		}
	}
	var e effects
	t.mu.Lock()
	if t.hung {
		t.mu.Unlock()
		return 0, abi.EIO
	}
	n, want := 0, 0
	for _, b := range src {
		want += len(b)
		if n += t.writeLocked(b, &e); n < want {
			break
		}
	}
	t.mu.Unlock()
	t.tell(&e)
	if n == 0 && want > 0 {
		return 0, abi.EAGAIN
	}
	return n, nil
}

// Poll implements vfs.Poller.
func (o *file) Poll(*vfs.File) wait.Mask {
	t := o.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.hung {
		return wait.In | wait.Out | wait.Err | wait.Hup | abi.POLLRDNORM | abi.POLLWRNORM
	}
	var m wait.Mask
	if t.readableLocked() {
		m |= wait.In | abi.POLLRDNORM
	}
	if t.roomLocked() > 0 && len(t.out.buf) < outputSize/2 {
		m |= wait.Out | abi.POLLWRNORM
	}
	return m
}

// WaitQueue implements vfs.Poller.
func (o *file) WaitQueue(*vfs.File) *wait.Queue { return &o.t.queue }
