package kernel

import (
	"time"

	"lazaret/platform"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

var zeroRegs platform.Regs

// CloneArgs are the arguments of clone(2), clone3(2), fork(2) and vfork(2), decoded.
type CloneArgs struct {
	Flags      uint64 // CLONE_*, without the exit signal
	ExitSignal int32
	StackTop   abi.Addr // 0: the parent's stack pointer
	TLS        uint64
	ParentTID  abi.Addr
	ChildTID   abi.Addr
	PidFD      abi.Addr // where the pidfd's number goes
	SetTID     []int32  // innermost namespace first
}

const (
	cloneNamespaces = abi.CLONE_NEWNS | abi.CLONE_NEWCGROUP | abi.CLONE_NEWUTS | abi.CLONE_NEWIPC |
		abi.CLONE_NEWPID | abi.CLONE_NEWNET | abi.CLONE_NEWTIME | abi.CLONE_NEWUSER
)

// check refuses the combinations that copy_process refuses.
func (a *CloneArgs) check(t *Task) error {
	f := a.Flags
	has := func(m uint64) bool { return f&m != 0 }
	switch {
	case has(abi.CLONE_INTO_CGROUP):
		return abi.EOPNOTSUPP
	case has(abi.CLONE_NEWNS) && has(abi.CLONE_FS),
		has(abi.CLONE_NEWUSER) && has(abi.CLONE_FS),
		has(abi.CLONE_THREAD) && !has(abi.CLONE_SIGHAND),
		has(abi.CLONE_SIGHAND) && !has(abi.CLONE_VM),
		has(abi.CLONE_SIGHAND) && has(abi.CLONE_CLEAR_SIGHAND),
		has(abi.CLONE_THREAD) && has(abi.CLONE_NEWUSER|abi.CLONE_NEWPID|abi.CLONE_NEWTIME),
		has(abi.CLONE_VM) && has(abi.CLONE_NEWTIME),
		has(abi.CLONE_NEWIPC) && has(abi.CLONE_SYSVSEM),
		has(abi.CLONE_PIDFD) && has(abi.CLONE_DETACHED),
		a.ExitSignal < 0 || a.ExitSignal > abi.NSIG,
		len(a.SetTID) > maxPIDLevel:
		return abi.EINVAL
	}
	if has(abi.CLONE_PARENT) {
		t.tg.sigMu.Lock()
		init := t.tg.unkillable
		t.tg.sigMu.Unlock()
		if init {
			return abi.EINVAL
		}
	}
	if has(abi.CLONE_THREAD) && t.ns.Load().PIDChildren != t.PIDNS() {
		return abi.EINVAL
	}
	if len(a.SetTID) > 0 && !t.Creds().HasCap(abi.CAP_SYS_ADMIN) && !t.Creds().HasCap(abi.CAP_CHECKPOINT_RESTORE) {
		return abi.EPERM
	}
	return nil
}

// Clone makes a task and starts it; it returns the new task's id as the caller sees it.
// With CLONE_VFORK it returns when the child has execed or exited.
func (t *Task) Clone(a *CloneArgs) (int32, error) {
	if err := a.check(t); err != nil {
		return 0, err
	}
	c, pidfd, err := t.makeChild(a)
	if err != nil {
		return 0, err
	}
	tid := c.TIDIn(t.PIDNS())
	var b [4]byte
	if a.Flags&abi.CLONE_PARENT_SETTID != 0 {
		putU32(b[:], uint32(tid))
		_ = t.mm.Load().CopyOut(a.ParentTID, b[:]) // Linux ignores a fault here too
	}
	_ = pidfd
	vfork := a.Flags&abi.CLONE_VFORK != 0
	event := t.traceCloneEvent(a)
	if event != 0 {
		t.traceChildLink(c)
	}
	t.k.forks.Add(1)
	c.start()
	if event != 0 {
		t.traceEvent(event, uint64(c.TIDIn(t.tracerNS())))
	}
	if vfork {
		if t.waitVfork(c) == nil {
			t.traceEvent(abi.PTRACE_EVENT_VFORK_DONE, uint64(c.TIDIn(t.tracerNS())))
		}
	}
	return tid, nil
}

func putU32(b []byte, v uint32) {
	b[0], b[1], b[2], b[3] = byte(v), byte(v>>8), byte(v>>16), byte(v>>24)
}

// vforkState is a child's side of CLONE_VFORK.
type vforkState struct {
	borrowed bool // runs on the parent's memory until vforkDone; guarded by tasksMu
	queue    wait.Queue
}

// waitVfork waits for the child to stop using our memory; only death ends it early.
func (t *Task) waitVfork(c *Task) error {
	return t.waitKillable(&c.vfork.queue, func() bool {
		t.k.tasksMu.RLock()
		defer t.k.tasksMu.RUnlock()
		return !c.vfork.borrowed
	})
}

// vforkDone releases a waiting parent.
func (t *Task) vforkDone() {
	t.k.tasksMu.Lock()
	was := t.vfork.borrowed
	t.vfork.borrowed = false
	t.k.tasksMu.Unlock()
	if was {
		t.vfork.queue.Notify(wait.In)
	}
}

// makeChild builds the new task with everything it shares or copies, and puts it into
// the tree.
func (t *Task) makeChild(a *CloneArgs) (c *Task, pidfd *vfs.File, err error) {
	if err := t.checkNproc(); err != nil {
		return nil, nil, err
	}
	if err := t.container.chargeTask(); err != nil {
		return nil, nil, err
	}
	c = t.k.newTask(t.container)
	undo := cloneUndo{t: t, c: c}
	defer func() {
		if err != nil {
			undo.run()
		}
	}()
	if err = t.copyCreds(c, a.Flags); err != nil {
		return nil, nil, err
	}
	if err = t.copyResources(c, a.Flags); err != nil {
		return nil, nil, err
	}
	if err = t.copyMachine(c, a); err != nil {
		return nil, nil, err
	}
	t.copyPlain(c, a)
	t.shareSemUndo(c, a.Flags)
	fd := int32(-1)
	if err = t.linkChild(c, a, &fd); err != nil {
		return nil, nil, err
	}
	return c, nil, nil
}

// cloneUndo takes back a half-made task.
type cloneUndo struct{ t, c *Task }

func (u *cloneUndo) run() {
	c := u.c
	if c.tg != nil && c.tg.leader == c {
		c.tg.dropExecutable()
	}
	if m := c.mm.Swap(nil); m != nil {
		m.DecUsers()
	}
	c.exitSem(u.t.Ctx())
	if f := c.files.Swap(nil); f != nil {
		f.DecUsers(u.t.Ctx())
	}
	if f := c.fs.Swap(nil); f != nil {
		f.DecUsers()
	}
	if n := c.ns.Swap(nil); n != nil {
		n.decRef()
	}
	dropFilter(c.seccomp.Swap(nil))
	if c.pctx != nil {
		c.pctx.Release()
	}
	if cr := c.creds.Load(); cr != nil {
		c.container.user(cr.RUID).tasks.Add(-1)
	}
	c.container.unchargeTask()
}

// newTask returns a task without anything shared yet.
func (k *Kernel) newTask(c *Container) *Task {
	t := &Task{k: k, container: c, parker: newParker(), exitSignal: -1}
	t.startNS, t.startBoot = k.Clock.MonotonicNS(), k.Clock.BoottimeNS()
	t.timerSlack.Store(defaultSlackNS)
	t.altStack.Flags = abi.SS_DISABLE
	t.sched.init(k.CPUs)
	t.ctx = vfs.Context{Account: c.Account, Clock: k.Clock, Sleeper: t}
	return t
}

// checkNproc is RLIMIT_NPROC (fork fails with EAGAIN).
func (t *Task) checkNproc() error {
	c := t.Creds()
	limit := t.tg.Limit(abi.RLIMIT_NPROC).Cur
	n := t.container.user(c.RUID).tasks.Load()
	if n >= 0 && uint64(n) >= limit && c.RUID != 0 && !c.HasCap(abi.CAP_SYS_RESOURCE) && !c.HasCap(abi.CAP_SYS_ADMIN) {
		return abi.EAGAIN
	}
	return nil
}

func (t *Task) copyCreds(c *Task, flags uint64) error {
	creds := t.Creds()
	if flags&abi.CLONE_NEWUSER != 0 {
		n, err := t.newUserNS(creds)
		if err != nil {
			return err
		}
		creds = n
	}
	c.creds.Store(creds)
	c.container.user(creds.RUID).tasks.Add(1)
	return nil
}

// copyResources shares or copies files, directories, namespaces and memory.
func (t *Task) copyResources(c *Task, flags uint64) error {
	if flags&abi.CLONE_FS != 0 {
		t.fs.Load().IncUsers()
		c.fs.Store(t.fs.Load())
	} else {
		c.fs.Store(t.fs.Load().Fork())
	}
	ns, err := t.childNamespaces(c.creds.Load(), flags, c.fs.Load())
	if err != nil {
		return err
	}
	c.ns.Store(ns)
	if flags&abi.CLONE_FILES != 0 {
		t.files.Load().IncUsers()
		c.files.Store(t.files.Load())
	} else {
		c.files.Store(t.files.Load().Fork())
	}
	if flags&abi.CLONE_VM != 0 {
		t.mm.Load().IncUsers()
		c.mm.Store(t.mm.Load())
		return nil
	}
	m, err := t.mm.Load().Fork()
	if err != nil {
		return err
	}
	c.acct.minflt.Add(m.Copied()) // Linux copies them in faults
	c.mm.Store(m)
	return nil
}

// copyMachine gives the child its registers.
func (t *Task) copyMachine(c *Task, a *CloneArgs) error {
	fp, err := t.pctx.FPState()
	if err != nil {
		return abi.ENOMEM
	}
	c.initFP = fp
	c.pctx = t.k.Platform.NewContext()
	c.regs = t.regs
	c.regs.SetReturn(0)
	if a.StackTop != 0 {
		c.regs.SetSP(a.StackTop)
	}
	if a.Flags&abi.CLONE_SETTLS != 0 {
		c.regs.SetTLS(a.TLS)
	}
	if c.singleStep() {
		c.setSingleStep(false)
	}
	if a.Flags&abi.CLONE_VM == 0 || a.Flags&abi.CLONE_VFORK != 0 {
		c.altStack = t.altStack
	}
	return nil
}

// copyPlain copies what is simply inherited.
func (t *Task) copyPlain(c *Task, a *CloneArgs) {
	c.comm.Store(t.comm.Load())
	c.noNewPrivs.Store(t.noNewPrivs.Load())
	c.personality.Store(t.personality.Load())
	c.timerSlack.Store(t.timerSlack.Load())
	c.ioPrio.Store(t.ioPrio.Load())
	c.sched.inherit(&t.sched)
	c.placeContext()
	c.blocked.Store(t.blocked.Load())
	c.savedMask, c.haveSaved = 0, false
	if t.haveSaved {
		c.blocked.Store(uint64(t.savedMask))
	}
	if a.Flags&abi.CLONE_CHILD_CLEARTID != 0 {
		c.clearTID = a.ChildTID
	}
	if a.Flags&abi.CLONE_VM == 0 {
		c.rseq = t.rseq
	}
}

// linkChild gives the child its thread group and pid and puts it into the tree; from
// then on others see it.
func (t *Task) linkChild(c *Task, a *CloneArgs, fd *int32) error {
	k := t.k
	thread := a.Flags&abi.CLONE_THREAD != 0
	if !thread {
		c.tg = t.forkGroup(c, a)
	}
	k.tasksMu.Lock()
	pid, err := allocPIDLocked(c.ns.Load().PIDChildren, a.SetTID)
	k.tasksMu.Unlock()
	if err != nil {
		return err
	}
	if a.Flags&abi.CLONE_PIDFD != 0 {
		if *fd, err = t.installPidFD(pid, thread, a.PidFD); err != nil {
			k.tasksMu.Lock()
			pid.freeIfUnusedLocked()
			k.tasksMu.Unlock()
			return err
		}
	}
	k.tasksMu.Lock()
	err = t.publishLocked(c, pid, a, thread)
	if err != nil {
		pid.freeIfUnusedLocked()
	}
	k.tasksMu.Unlock()
	if err != nil {
		if *fd >= 0 {
			t.removeFD(*fd)
		}
		return err
	}
	if a.Flags&abi.CLONE_CHILD_SETTID != 0 {
		var b [4]byte
		putU32(b[:], uint32(c.TID()))
		_ = c.mm.Load().CopyOut(a.ChildTID, b[:])
	}
	return nil
}

// publishLocked adds the child. A signal that came meanwhile makes the call start anew
// (ERESTARTNOINTR), so that a Ctrl-C to the group misses nobody.
func (t *Task) publishLocked(c *Task, pid *PID, a *CloneArgs, thread bool) error {
	tg := t.tg
	if pid.ns().dead {
		return abi.ENOMEM
	}
	tg.sigMu.Lock()
	t.recalcLocked()
	if t.sigpending.Load() {
		tg.sigMu.Unlock()
		return abi.ERESTARTNOINTR
	}
	// Under sigMu, so that a TSYNC of another thread and this copy see each other.
	if f := t.seccomp.Load(); f != nil {
		f.users.Add(1)
		c.seccomp.Store(f)
	}
	c.seccompMode.Store(t.seccompMode.Load())
	pid.task = c
	c.pid.Store(pid)
	for _, ns := range pid.spaces {
		ns.tasks++
	}
	c.parentExecID, c.selfExecID = t.selfExecID, t.selfExecID
	if thread {
		c.tg = tg
		tg.tasks = append(tg.tasks, c)
		tg.live.Add(1)
		c.ctx.PID, c.ctx.Process = t.ctx.PID, t.ctx.Process
		tg.sigMu.Unlock()
		return nil
	}
	tg.sigMu.Unlock()
	c.exitSignal = a.ExitSignal
	c.vfork.borrowed = a.Flags&abi.CLONE_VFORK != 0
	c.ctx.PID, c.ctx.Process = pid.numbers[0], pid
	t.publishGroupLocked(c, pid, a)
	return nil
}

func (t *Task) publishGroupLocked(c *Task, pid *PID, a *CloneArgs) {
	n := c.tg
	pid.group, n.pid = n, pid
	parent := t.tg
	n.parentTask = t
	if a.Flags&abi.CLONE_PARENT != 0 {
		n.parentTask, parent = t.tg.parentTask, t.tg.parent
		c.exitSignal = t.tg.leader.exitSignal
		c.parentExecID = t.parentExecID
	}
	n.parent = parent
	if parent != nil {
		parent.children = append(parent.children, n)
		n.hasReaper = parent.hasReaper || parent.reaper
	}
	ns := pid.ns()
	if ns.init == nil {
		ns.init = n
		n.unkillable = true
	}
	n.joinGroupLocked(t.tg.pgrp)
}

// forkGroup returns the thread group of a new process.
func (t *Task) forkGroup(c *Task, a *CloneArgs) *ThreadGroup {
	n := &ThreadGroup{k: t.k, container: t.container, leader: c, tasks: []*Task{c}}
	n.live.Store(1)
	t.tg.sigMu.Lock()
	h := t.tg.handlers
	t.tg.sigMu.Unlock()
	switch {
	case a.Flags&abi.CLONE_SIGHAND != 0:
		n.handlers = h
	default:
		n.handlers = h.fork()
		if a.Flags&abi.CLONE_CLEAR_SIGHAND != 0 {
			n.handlers.clear()
		}
	}
	n.limits.copyFrom(&t.tg.limits)
	n.dumpable.Store(t.tg.dumpable.Load())
	n.oomAdj.Store(t.tg.oomAdj.Load())
	n.exe.Store(t.tg.Executable())
	n.initTimers()
	return n
}

// Fork is fork(2).
func (t *Task) Fork() (int32, error) { return t.Clone(&CloneArgs{ExitSignal: abi.SIGCHLD}) }

// Vfork is vfork(2).
func (t *Task) Vfork() (int32, error) {
	return t.Clone(&CloneArgs{Flags: abi.CLONE_VFORK | abi.CLONE_VM, ExitSignal: abi.SIGCHLD})
}

// nowNS is the monotonic time of CPU accounting; its zero means nothing.
func nowNS() int64 { return int64(time.Since(processStart)) }

var processStart = time.Now()
