package kernel

import (
	"crypto/rand"
	"encoding/binary"
	"sync"

	"lazaret/sentry/kernel/bpf"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// SeccompListener is who decides about the calls of a filter that answers
// SECCOMP_RET_USER_NOTIF, and the operations of its file (seccomp_unotify(2)).
type SeccompListener struct {
	killable bool // SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	q        wait.Queue

	mu     sync.Mutex
	filter *seccompFilter // nil before it is added
	calls  []*seccompCall // oldest first; at most one a task
	nextID uint64
	closed bool
}

// callState is how far the decision about a call is.
type callState uint8

const (
	callNew     callState = iota // nobody has received it
	callSent                     // received, not answered
	callReplied                  // answered, the task has not seen it yet
)

// seccompCall is a system call that waits for the listener. Guarded by its mu.
type seccompCall struct {
	id    uint64
	t     *Task
	data  bpf.Data
	state callState
	val   int64
	errno int32 // negative, or 0
	flags uint32
	add   []*seccompAddFD
	q     wait.Queue // the task waits here
}

// seccompAddFD is a descriptor that the listener gives to the task (ADDFD). The file is
// the listener's, who waits. Guarded by the listener's mu.
type seccompAddFD struct {
	file    *vfs.File
	at      int32 // with set
	set     bool
	cloexec bool
	send    bool // the descriptor is the call's result
	done    bool
	fd      int32
	err     error
	q       wait.Queue
}

// NewSeccompListener returns a listener for a filter that is about to be added, and its
// file. killable: a call that was received waits on whatever signals come.
func (t *Task) NewSeccompListener(killable bool) (*SeccompListener, *vfs.File, error) {
	l := &SeccompListener{killable: killable}
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	l.nextID = binary.LittleEndian.Uint64(b[:])
	f, err := vfs.NewAnonFile(t.Ctx(), "seccomp notify", l, abi.O_RDWR, vfs.ModeRead|vfs.ModeWrite|vfs.ModeStream)
	return l, f, err
}

// dropFilter is a task that no longer uses f: who listens to filters that nobody uses
// hears of it.
func dropFilter(f *seccompFilter) {
	for f != nil && f.users.Add(-1) == 0 {
		if f.listener != nil {
			f.listener.q.Notify(wait.All)
		}
		f = f.prev
	}
}

// notifyListener asks the listener of f about a call; false: it must not run, its result
// is set.
func (t *Task) notifyListener(f *seccompFilter, d *bpf.Data) bool {
	l := f.listener
	if l == nil {
		t.setResult(0, abi.ENOSYS)
		return false
	}
	c := &seccompCall{t: t, data: *d}
	if !l.push(c) {
		t.setResult(0, abi.ENOSYS)
		return false
	}
	l.q.Notify(wait.In | abi.POLLRDNORM)
	err := l.await(c)
	switch {
	case err != nil:
		t.setResult(0, err)
	case c.flags&abi.SECCOMP_USER_NOTIF_FLAG_CONTINUE != 0:
		return true
	case c.errno != 0:
		t.regs.SetReturn(uint64(int64(c.errno)))
	default:
		t.regs.SetReturn(uint64(c.val))
	}
	return false
}

func (l *SeccompListener) push(c *seccompCall) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	c.id = l.nextID
	l.nextID++
	l.calls = append(l.calls, c)
	return true
}

// await waits for the answer and takes the descriptors that come meanwhile.
func (l *SeccompListener) await(c *seccompCall) error {
	for {
		firm := l.mustFinish(c)
		var s wait.Sleeper = c.t
		if firm {
			s = killable{c.t}
		}
		err := wait.Until(s, &c.q, wait.All, noDeadline, func() bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			return c.state == callReplied || len(c.add) > 0
		})
		if err != nil && !firm && l.mustFinish(c) {
			continue // received just now
		}
		if err == nil {
			l.takeFDs(c)
		}
		if l.finish(c, err != nil) {
			return err
		}
	}
}

func (l *SeccompListener) mustFinish(c *seccompCall) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.killable && c.state == callSent
}

// finish takes c out of the list if it is answered or interrupted.
func (l *SeccompListener) finish(c *seccompCall, interrupted bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.state != callReplied && !interrupted {
		return false
	}
	for i, o := range l.calls {
		if o == c {
			l.calls = append(l.calls[:i], l.calls[i+1:]...)
			break
		}
	}
	for _, a := range c.add {
		a.done, a.err = true, abi.ESRCH
		a.q.Notify(wait.All)
	}
	c.add = nil
	return true
}

// takeFDs installs the descriptors that wait for c's task, which calls this.
func (l *SeccompListener) takeFDs(c *seccompCall) {
	for {
		l.mu.Lock()
		if len(c.add) == 0 {
			l.mu.Unlock()
			return
		}
		a := c.add[0]
		c.add = c.add[1:]
		a.file.IncRef() // while its owner, who may give up, cannot see it gone
		l.mu.Unlock()
		fd, err := c.t.installAddFD(a)
		l.mu.Lock()
		a.done, a.fd, a.err = true, fd, err
		switch {
		case a.send && err != nil:
			c.state = callSent
		case a.send:
			c.val, c.errno, c.flags = int64(fd), 0, 0
		}
		l.mu.Unlock()
		a.q.Notify(wait.All)
	}
}

func (t *Task) installAddFD(a *seccompAddFD) (int32, error) {
	limit := t.tg.Limit(abi.RLIMIT_NOFILE).Cur
	files := t.files.Load()
	fd, err := a.at, error(nil)
	if a.set {
		err = files.AllocAt(t.Ctx(), fd, a.file, a.cloexec, limit)
	} else {
		fd, err = files.Alloc(0, a.file, a.cloexec, limit)
	}
	if err != nil {
		a.file.DecRef()
		return -1, err
	}
	return fd, nil
}

// findLocked returns the call with that id that a listener has received.
func (l *SeccompListener) findLocked(id uint64) (*seccompCall, error) {
	for _, c := range l.calls {
		if c.id == id {
			if c.state != callSent {
				return nil, abi.EINPROGRESS
			}
			return c, nil
		}
	}
	return nil, abi.ENOENT
}
