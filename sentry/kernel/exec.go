package kernel

import (
	"path"

	"lazaret/sentry/auth"
	"lazaret/sentry/mm"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// Image is a loaded program: what package loader hands to Exec and StartProcess.
type Image struct {
	MM    *mm.MM    // one user reference, taken over
	Entry abi.Addr  // of the interpreter, if there is one
	Stack abi.Addr  // stack pointer: argc
	Name  string    // command name: the last part of the path executed
	File  *vfs.File // the executable (/proc/PID/exe); a reference, taken over; may be nil

	Creds    *auth.Creds // as ExecCreds computed them for the file
	Secure   bool        // AT_SECURE
	Readable bool        // the caller may read the file: the process may be dumped
	FS, GS   uint64      // initial TLS registers, usually 0
}

// ExecFile is what the rights of a program file depend on; see auth.ExecFile.
type ExecFile = auth.ExecFile

// ExecCreds computes the credentials that executing f gives to the calling task, and
// AT_SECURE. The loader calls it before it builds the stack.
func (t *Task) ExecCreds(f *ExecFile) (*auth.Creds, bool, error) {
	o := auth.ExecOptions{NoNewPrivs: t.noNewPrivs.Load(), Limited: t.execLimited()}
	return auth.ExecCreds(t.Creds(), f, o)
}

// execLimited reports whether a set-id program gains nothing because somebody who may not
// have its rights watches or shares (LSM_UNSAFE_*).
func (t *Task) execLimited() bool {
	t.k.tasksMu.RLock()
	tr := t.tracer
	t.k.tasksMu.RUnlock()
	if tr != nil && !tr.Creds().HasCapIn(abi.CAP_SYS_PTRACE, t.UserNS()) {
		return true
	}
	fs := t.fs.Load()
	return fs.Users() > t.tg.fsUsers(fs)
}

// fsUsers counts the group's tasks that share fs.
func (tg *ThreadGroup) fsUsers(fs *vfs.FSInfo) int {
	n := 0
	for _, o := range tg.Tasks() {
		if o.fs.Load() == fs {
			n++
		}
	}
	return n
}

// Exec replaces the program of the calling task's process by img. An error leaves the old
// program as it was, and img is released; the only ones are EAGAIN and the death of the
// task. The registers are the new program's: the handler returns (0, nil).
func (t *Task) Exec(img *Image) error {
	tg := t.tg
	tg.credGuard.Lock()
	oldTID := t.TIDIn(t.tracerNS())
	if err := t.killOtherThreads(); err != nil {
		tg.credGuard.Unlock()
		img.release(t)
		return err
	}
	t.becomeProgram(img)
	t.inSyscall, t.restart = false, nil
	t.resetRegs(img.Entry, img.Stack)
	t.k.tasksMu.Lock()
	tg.execed = true
	t.selfExecID++
	t.k.tasksMu.Unlock()
	tg.credGuard.Unlock() // before the tracer's stop: it may attach others
	t.traceExec(uint64(oldTID))
	return nil
}

func (img *Image) release(t *Task) {
	img.MM.DecUsers()
	if img.File != nil {
		img.File.DecRef()
	}
}

// becomeProgram makes everything new that an exec makes new, after the point of no
// return.
func (t *Task) becomeProgram(img *Image) {
	tg := t.tg
	t.exitRobustList()
	t.clearTIDOnExec()
	old := t.mm.Swap(img.MM)
	t.robustHead, t.rseq, t.clearTID = 0, RSeq{}, 0
	t.vforkDone()
	old.DecUsers()
	if exe := tg.exe.Swap(img.File); exe != nil {
		exe.DecRef()
	}
	_ = t.pctx.SetFPState(nil)
	t.watch = watchState{}
	t.altStack = abi.SigStack{Flags: abi.SS_DISABLE}
	// Handlers become private, then default.
	tg.sigMu.Lock()
	tg.handlers = tg.handlers.fork()
	tg.handlers.clear()
	tg.sigMu.Unlock()
	tg.clearPosixTimers()
	files := t.files.Load()
	if files.Users() > 1 {
		t.files.Store(files.Fork())
		files.DecUsers(t.Ctx())
		files = t.files.Load()
	}
	files.CloseOnExec(t.Ctx())
	t.SetComm(path.Base(img.Name))
	t.execCreds(img)
	img.MM.SetLimits(tg.MemoryLimits())
	img.MM.SetBarrier(t.k)
}

// execCreds publishes the new program's credentials and what follows from them.
func (t *Task) execCreds(img *Image) {
	tg := t.tg
	old := t.Creds()
	t.SetCreds(img.Creds)
	tg.dumpable.Store(DumpUser)
	if img.Secure || !img.Readable || old.EUID != img.Creds.EUID || old.EGID != img.Creds.EGID {
		tg.dumpable.Store(DumpDisable)
	}
	if img.Secure {
		t.pdeathSig.Store(0)
		t.personality.And(^uint32(abi.PER_CLEAR_ON_SETID))
	}
	t.k.tasksMu.Lock()
	t.exitSignal = abi.SIGCHLD
	t.k.tasksMu.Unlock()
}

// killOtherThreads ends the other threads of the process and makes the caller its leader
// (de_thread).
func (t *Task) killOtherThreads() error {
	tg := t.tg
	tg.sigMu.Lock()
	if tg.groupExit || tg.execing != nil {
		tg.sigMu.Unlock()
		return abi.EAGAIN
	}
	if len(tg.tasks) == 1 {
		tg.sigMu.Unlock()
		return nil
	}
	tg.execing = t
	for _, o := range tg.tasks {
		if o != t {
			o.jobctl &^= jobPendingMask
			o.pending.set |= abi.SigBit(abi.SIGKILL)
			o.wakeKilledLocked()
		}
	}
	tg.sigMu.Unlock()
	err := t.waitKillable(&tg.execQ, t.othersGone)
	if err == nil {
		t.takeLeadership()
	}
	tg.sigMu.Lock()
	tg.execing = nil
	tg.sigMu.Unlock()
	return err
}

// othersGone reports whether all other threads are gone, or only a zombie leader is left.
func (t *Task) othersGone() bool {
	t.k.tasksMu.RLock()
	defer t.k.tasksMu.RUnlock()
	for _, o := range t.tg.tasks {
		if o != t && !(o == t.tg.leader && o.zombie) {
			return false
		}
	}
	return true
}

// takeLeadership gives the caller the leader's id and place.
func (t *Task) takeLeadership() {
	tg := t.tg
	t.k.tasksMu.Lock()
	defer t.k.tasksMu.Unlock()
	l := tg.leader
	if l == t {
		return
	}
	own, lead := t.pid.Load(), l.pid.Load()
	t.pid.Store(lead)
	l.pid.Store(own)
	lead.task, own.task = t, l
	t.exitSignal, l.exitSignal = l.exitSignal, -1
	t.startNS, t.startBoot = l.startNS, l.startBoot
	tg.leader = t
	for _, c := range tg.children {
		if c.parentTask == l {
			c.parentTask = t
		}
	}
	t.inheritTraceLocked(l)
	l.releaseLocked()
	lead.pollQ.Notify(wait.In)
}

// Executable returns the file that the process runs, with a reference, or nil.
func (tg *ThreadGroup) Executable() *vfs.File {
	f := tg.exe.Load()
	if f != nil && f.TryIncRef() {
		return f
	}
	return nil
}

// SetExecutable makes another file the one that the process runs, and takes its reference over.
func (tg *ThreadGroup) SetExecutable(f *vfs.File) {
	if old := tg.exe.Swap(f); old != nil {
		old.DecRef()
	}
}

// dropExecutable gives the file up: the process has no memory any more.
func (tg *ThreadGroup) dropExecutable() {
	if f := tg.exe.Swap(nil); f != nil {
		f.DecRef()
	}
}

// clearTIDOnExec is the wake-up of CLONE_CHILD_CLEARTID for the memory that is left.
func (t *Task) clearTIDOnExec() {
	if t.clearTID == 0 || t.mm.Load().Users() <= 1 {
		return
	}
	var zero [4]byte
	_ = t.mm.Load().CopyOut(t.clearTID, zero[:])
	t.wakeClearTID()
}
