package kernel

import (
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// PidFD is an open pidfd (pidfd_open(2)).
type PidFD struct {
	k      *Kernel
	pid    *PID
	thread bool // PIDFD_THREAD
}

// Read is vfs.FileOps: a pidfd has nothing to read.
func (*PidFD) Read(*vfs.Context, *vfs.File, uio.Bufs, *int64) (int, error) { return 0, abi.EINVAL }

// Write is vfs.FileOps.
func (*PidFD) Write(*vfs.Context, *vfs.File, uio.Bufs, *int64) (int, error) { return 0, abi.EINVAL }

// Release is vfs.FileOps.
func (*PidFD) Release(*vfs.File) {}

// Poll is vfs.Poller: readable once the process has ended.
func (p *PidFD) Poll(*vfs.File) wait.Mask {
	p.k.tasksMu.RLock()
	defer p.k.tasksMu.RUnlock()
	if p.thread {
		switch t := p.pid.task; {
		case t == nil:
			return wait.In | wait.Hup
		case t.zombie:
			return wait.In
		}
		return 0
	}
	switch g := p.pid.group; {
	case g == nil:
		return wait.In | wait.Hup
	case g.deadLeaderLocked():
		return wait.In
	}
	return 0
}

// WaitQueue is vfs.Poller.
func (p *PidFD) WaitQueue(*vfs.File) *wait.Queue { return &p.pid.pollQ }

// Group returns the process, nil when it is gone.
func (p *PidFD) Group() *ThreadGroup {
	p.k.tasksMu.RLock()
	defer p.k.tasksMu.RUnlock()
	return p.pid.group
}

// Task returns the task, the leader for a process; nil when it is gone.
func (p *PidFD) Task() *Task {
	p.k.tasksMu.RLock()
	defer p.k.tasksMu.RUnlock()
	return p.pid.task
}

// NumberIn returns the id in ns for fdinfo: -1 when it is gone, 0 when not visible.
func (p *PidFD) NumberIn(ns *PIDNamespace) int32 {
	p.k.tasksMu.RLock()
	defer p.k.tasksMu.RUnlock()
	if p.pid.task == nil {
		return -1
	}
	return p.pid.in(ns)
}

func (t *Task) newPidFile(p *PID, thread bool, flags uint32) (*vfs.File, error) {
	return vfs.NewAnonFile(t.Ctx(), "[pidfd]", &PidFD{k: t.k, pid: p, thread: thread}, abi.O_RDWR|flags,
		vfs.ModeRead|vfs.ModeWrite|vfs.ModeStream)
}

// PidFD returns what a pidfd for the task's process would be.
func (t *Task) PidFD() *PidFD { return &PidFD{k: t.k, pid: t.tg.pid} }

// PidFDOpen is pidfd_open(2) for a process; it returns an open file.
func (t *Task) PidFDOpen(pid int32, nonblock, thread bool) (*vfs.File, error) {
	if pid <= 0 {
		return nil, abi.EINVAL
	}
	t.k.tasksMu.RLock()
	p := t.pid.Load().ns().byNumber[pid]
	var err error
	switch {
	case p == nil || p.task == nil:
		err = abi.ESRCH
	case !thread && p.group == nil:
		err = abi.EINVAL
	}
	t.k.tasksMu.RUnlock()
	if err != nil {
		return nil, err
	}
	flags := uint32(0)
	if nonblock {
		flags = abi.O_NONBLOCK
	}
	return t.newPidFile(p, thread, flags)
}

// PidFDSendSignal is pidfd_send_signal(2); info nil is what kill(2) sends.
func (t *Task) PidFDSendSignal(p *PidFD, sig int, info *abi.Siginfo) error {
	if badSignal(sig) {
		return abi.EINVAL
	}
	t.k.tasksMu.RLock()
	defer t.k.tasksMu.RUnlock()
	o := p.pid.task
	if o == nil || p.pid.in(t.pid.Load().ns()) == 0 {
		if o == nil {
			return abi.ESRCH
		}
		return abi.EINVAL
	}
	i := abi.Siginfo{Signo: int32(sig), Code: abi.SI_USER}
	if info != nil {
		if int(info.Signo) != sig {
			return abi.EINVAL
		}
		if i = *info; o.tg != t.tg && forgedInfo(&i) {
			return abi.EPERM
		}
	}
	to := toGroup
	if p.thread {
		to = toThread
	}
	return t.killOneLocked(o, sig, &i, to)
}

// installPidFD makes the descriptor of CLONE_PIDFD and stores its number.
func (t *Task) installPidFD(p *PID, thread bool, addr abi.Addr) (int32, error) {
	f, err := t.newPidFile(p, thread, 0)
	if err != nil {
		return -1, err
	}
	fd, err := t.files.Load().Alloc(0, f, true, t.tg.Limit(abi.RLIMIT_NOFILE).Cur)
	if err != nil {
		f.DecRef()
		return -1, err
	}
	var b [4]byte
	putU32(b[:], uint32(fd))
	if err := t.mm.Load().CopyOut(addr, b[:]); err != nil {
		t.removeFD(fd)
		return -1, err
	}
	return fd, nil
}

func (t *Task) removeFD(fd int32) {
	if f := t.files.Load().Remove(fd); f != nil {
		f.DecRef()
	}
}

// PidFDGroup returns the process that f, a pidfd, refers to: EBADF if f is not one, ESRCH
// when the process is gone.
func PidFDGroup(f *vfs.File) (*ThreadGroup, error) {
	p, ok := f.Ops.(*PidFD)
	if !ok {
		return nil, abi.EBADF
	}
	if g := p.Group(); g != nil {
		return g, nil
	}
	return nil, abi.ESRCH
}
