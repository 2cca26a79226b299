package kernel

import (
	"lazaret/sentry/auth"
	"lazaret/sentry/mm"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// ProcessArgs are what a process that nobody forks is made from: a container's init, or
// what `runsc exec` brings in. Everything that has references is taken over, also when
// StartProcess fails.
type ProcessArgs struct {
	Container  *Container
	Image      *Image
	FS         *vfs.FSInfo
	Files      *vfs.FDTable
	Namespaces *Namespaces // PIDChildren is the namespace that the process is in
	Limits     [abi.RLIM_NLIMITS]abi.Rlimit
	NoNewPrivs bool
	TTY        TTY // controlling terminal, or nil
	Umask      uint32
	OOMScore   int32
	Filters    []SeccompProgram // of the container's configuration, outermost first
}

// NewProcess makes a process with a session of its own; its goroutine does not run yet.
// Image may be nil: the caller loads the program with the task (SetImage) before Start.
func (k *Kernel) NewProcess(a *ProcessArgs) (*Task, error) {
	c := a.Container
	if err := c.chargeTask(); err != nil {
		return nil, err
	}
	t := k.newTask(c)
	tg := &ThreadGroup{k: k, container: c, leader: t, tasks: []*Task{t}, handlers: &SignalHandlers{}}
	t.tg = tg
	tg.live.Store(1)
	tg.limits.v = a.Limits
	tg.dumpable.Store(DumpUser)
	tg.oomAdj.Store(a.OOMScore)
	tg.initTimers()
	t.fs.Store(a.FS)
	t.files.Store(a.Files)
	t.ns.Store(a.Namespaces)
	t.noNewPrivs.Store(a.NoNewPrivs)
	t.exitSignal = abi.SIGCHLD
	empty := ""
	t.comm.Store(&empty)
	t.pctx = k.Platform.NewContext()
	var creds *auth.Creds
	if a.Image != nil {
		creds = a.Image.Creds
	}
	if creds == nil {
		creds = &auth.Creds{UserNS: k.RootUserNS}
	}
	t.creds.Store(creds)
	c.user(creds.RUID).tasks.Add(1)
	if err := t.joinTree(a); err != nil {
		t.pctx.Release()
		a.Files.DecUsers(t.Ctx())
		a.FS.DecUsers()
		a.Namespaces.decRef()
		c.user(creds.RUID).tasks.Add(-1)
		c.unchargeTask()
		return nil, err
	}
	for _, p := range a.Filters {
		if err := t.addFilter(p); err != nil {
			return nil, err
		}
	}
	if a.Image != nil {
		t.SetImage(a.Image)
	}
	return t, nil
}

// joinTree gives the new process its pid, session and terminal.
func (t *Task) joinTree(a *ProcessArgs) error {
	k, tg := t.k, t.tg
	k.tasksMu.Lock()
	defer k.tasksMu.Unlock()
	ns := a.Namespaces.PIDChildren
	p, err := allocPIDLocked(ns, nil)
	if err != nil {
		return err
	}
	for _, s := range p.spaces {
		s.tasks++
	}
	t.pid.Store(p)
	tg.pid, p.task, p.group = p, t, tg
	t.ctx.PID, t.ctx.Process = p.numbers[0], p
	if ns.init == nil {
		ns.init, tg.unkillable = tg, true
	}
	tg.newSessionLocked()
	if a.TTY != nil && k.ttyLocked(a.TTY) == nil {
		k.attachLocked(a.TTY, tg.pgrp.session, tg.pgrp)
	}
	a.Container.mu.Lock()
	if a.Container.init == nil {
		a.Container.init = tg
	}
	a.Container.mu.Unlock()
	return nil
}

// SetImage gives a process that does not run yet its program.
func (t *Task) SetImage(img *Image) {
	t.mm.Store(img.MM)
	t.tg.exe.Store(img.File)
	if img.Creds != nil && img.Creds != t.Creds() {
		old := t.creds.Swap(img.Creds)
		t.dropAnswers()
		t.container.user(old.RUID).tasks.Add(-1)
		t.container.user(img.Creds.RUID).tasks.Add(1)
	}
	// What came before was no program: its identity says nothing about this one's.
	t.tg.dumpable.Store(DumpUser)
	if img.Secure || !img.Readable {
		t.tg.dumpable.Store(DumpDisable)
	}
	img.MM.SetLimits(t.tg.MemoryLimits())
	img.MM.SetBarrier(t.k)
	t.SetComm(baseName(img.Name))
	t.resetRegs(img.Entry, img.Stack)
	t.tg.execed = true
}

// SetFailure gives a process that does not run yet an end in place of a program that cannot be
// executed: once started it writes text to its standard error and exits with code.
func (t *Task) SetFailure(name, text string, code uint32) error {
	m, err := mm.New(t.k.Platform, t.k.MemFile, t.container.Account)
	if err != nil {
		return err
	}
	t.SetImage(&Image{MM: m, Name: name, Readable: true})
	t.failure, t.exitPending, t.exitStatus = text, true, int32(code&0xff)<<8
	return nil
}

// tellFailure writes what SetFailure was given; who takes no more now does not get it.
func (t *Task) tellFailure() {
	if t.failure == "" {
		return
	}
	if f := t.Files().Get(2); f != nil {
		_, _ = f.Write(t.Ctx(), uio.One([]byte(t.failure)))
		f.DecRef()
	}
}

// Start lets a new process run. It must have a program.
func (t *Task) Start() {
	t.k.forks.Add(1)
	t.start()
}

// Abandon releases a process that was made and never started.
func (t *Task) Abandon() {
	t.exitStatus = 127 << 8
	if t.mm.Load() == nil {
		m, err := mm.New(t.k.Platform, t.k.MemFile, t.container.Account)
		if err != nil {
			return
		}
		t.mm.Store(m)
	}
	t.lastUserNS = nowNS()
	t.doExit()
}

func peakRSS(m *mm.MM) uint64 {
	if m == nil {
		return 0
	}
	return m.Stats().VmHWM
}

func baseName(s string) string {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == '/' {
			return s[i+1:]
		}
	}
	return s
}
