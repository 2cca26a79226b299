package kernel

import (
	"sync/atomic"

	"lazaret/platform"
	"lazaret/sentry/auth"
	"lazaret/sentry/kernel/futex"
	"lazaret/sentry/mm"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// Task is one thread of an application.
type Task struct {
	k         *Kernel
	tg        *ThreadGroup
	container *Container
	startNS   int64 // CLOCK_MONOTONIC
	startBoot int64 // CLOCK_BOOTTIME

	// Owned by the task's goroutine.
	regs        platform.Regs
	pctx        platform.Context
	ctx         vfs.Context
	initFP      []byte   // floating point state to start with, from clone
	inSyscall   bool     // the registers are those of a system call's end
	syscallNr   uint64   // its number; meaningful while inSyscall
	args        abi.Args // of the system call that is being carried out
	restartCode abi.Errno
	restart     RestartBlock
	savedMask   abi.SigSet // to restore after the handler (sigsuspend, ppoll)
	haveSaved   bool
	altStack    abi.SigStack
	clearTID    abi.Addr // set_tid_address(2)
	robustHead  abi.Addr // set_robust_list(2)
	rseq        RSeq
	semUndo     *semUndo // nil: nothing to take back
	exitPending bool
	exitStatus  int32
	failure     string // see SetFailure
	lastUserNS  int64  // accounting: when the goroutine left application code
	sleepNS     int64  // time asleep since then

	// Changed by the task's goroutine, read by others.
	mm          atomic.Pointer[mm.MM]
	fs          atomic.Pointer[vfs.FSInfo]
	files       atomic.Pointer[vfs.FDTable]
	ns          atomic.Pointer[Namespaces]
	creds       atomic.Pointer[auth.Creds]
	comm        atomic.Pointer[string]
	seccomp     atomic.Pointer[seccompFilter]
	seccompMode atomic.Int32
	answerGen   atomic.Uint32 // see answers.go
	noNewPrivs  atomic.Bool
	blocked     atomic.Uint64 // abi.SigSet; written under sigMu
	inUser      atomic.Bool   // in Switch, or about to be
	acct        cpuAccount

	// Sleeping: see task_sleep.go.
	notified   atomic.Bool
	sigpending atomic.Bool // attention wanted: signals, stops, the end
	parker     parker
	state      atomic.Int32 // TaskState for /proc

	// Guarded by Kernel.tasksMu.
	pid                      atomic.Pointer[PID] // read without the lock too
	exitSignal               int32               // to the parent; -1 for threads that are not leaders
	zombie                   bool
	released                 bool
	parentExecID, selfExecID uint64
	pdeathSig                atomic.Int32
	traceLinks

	// Guarded by tg.sigMu.
	pending     sigQueue
	realBlocked abi.SigSet // what sigtimedwait waits for
	jobctl      jobctl
	exiting     atomic.Bool // written under sigMu
	stop        stopState
	traceState

	cpuLeft bool // guarded by container.mu: acct is in container.gone

	sched       schedState
	futexWait   futex.Waiter
	vfork       vforkState
	timerSlack  atomic.Uint64
	personality atomic.Uint32
	ioPrio      atomic.Int32
	exitQ       wait.Queue // the goroutine has ended
}

// RSeq is what rseq(2) registered.
type RSeq struct {
	Addr abi.Addr
	Len  uint32
	Sig  uint32
}

// RestartBlock resumes a call after a stop or an ignored signal (restart_syscall(2)). An
// implementation is data: what is left to do.
type RestartBlock interface {
	Restart(t *Task) (uint64, error)
}

// Kernel returns the kernel.
func (t *Task) Kernel() *Kernel { return t.k }

// Container returns the container that the task belongs to.
func (t *Task) Container() *Container { return t.container }

// ThreadGroup returns the task's process.
func (t *Task) ThreadGroup() *ThreadGroup { return t.tg }

// Regs returns the registers. They are the goroutine's own.
func (t *Task) Regs() *platform.Regs { return &t.regs }

// Machine returns the platform context, for its floating point state.
func (t *Task) Machine() platform.Context { return t.pctx }

// MM returns the address space; nil once the task has exited.
func (t *Task) MM() *mm.MM { return t.mm.Load() }

// FS returns root, working directory and umask; nil once the task has exited.
func (t *Task) FS() *vfs.FSInfo { return t.fs.Load() }

// Files returns the descriptor table; nil once the task has exited.
func (t *Task) Files() *vfs.FDTable { return t.files.Load() }

// Namespaces returns the namespaces that the task is in; nil once it has exited.
func (t *Task) Namespaces() *Namespaces { return t.ns.Load() }

// Creds returns the credentials.
func (t *Task) Creds() *auth.Creds { return t.creds.Load() }

// UserNS returns the user namespace.
func (t *Task) UserNS() *auth.UserNamespace { return t.creds.Load().UserNS }

// SetCreds publishes new credentials of the calling task.
func (t *Task) SetCreds(c *auth.Creds) {
	old := t.creds.Swap(c)
	t.dropAnswers()
	if old.RUID != c.RUID {
		t.container.user(old.RUID).tasks.Add(-1)
		t.container.user(c.RUID).tasks.Add(1)
	}
	if old.EUID != c.EUID || old.EGID != c.EGID || old.FSUID != c.FSUID || old.FSGID != c.FSGID ||
		c.Permitted&^old.Permitted != 0 {
		t.tg.dumpable.Store(DumpRoot)
		t.pdeathSig.Store(0)
	}
	t.ctx.Creds = c
	if old.Effective.Has(abi.CAP_IPC_LOCK) != c.Effective.Has(abi.CAP_IPC_LOCK) {
		t.tg.limitChanged(abi.RLIMIT_MEMLOCK)
	}
}

// Ctx returns the context for file operations, up to date, for the task's goroutine.
func (t *Task) Ctx() *vfs.Context {
	t.ctx.Creds = t.creds.Load()
	t.ctx.FS = t.fs.Load()
	t.ctx.MaxFileSize = t.tg.Limit(abi.RLIMIT_FSIZE).Cur
	t.ctx.Links = 0
	if n := t.ns.Load(); n != nil && n.Mnt != nil {
		t.ctx.MountNS = n.Mnt.Mounts
	}
	return &t.ctx
}

// TID returns the thread id as the task itself sees it.
func (t *Task) TID() int32 { return t.pid.Load().own() }

// TIDIn returns the thread id in ns, 0 if it is not visible there.
func (t *Task) TIDIn(ns *PIDNamespace) int32 { return t.pid.Load().in(ns) }

// PIDNS returns the pid namespace that the task is in.
func (t *Task) PIDNS() *PIDNamespace { return t.pid.Load().ns() }

// Comm returns the command name (at most 15 bytes).
func (t *Task) Comm() string { return *t.comm.Load() }

// SetComm sets the command name, cut to 15 bytes.
func (t *Task) SetComm(s string) {
	if len(s) > 15 {
		s = s[:15]
	}
	t.comm.Store(&s)
}

// StartNS returns CLOCK_MONOTONIC and CLOCK_BOOTTIME when the task was made.
func (t *Task) StartNS() (mono, boot int64) { return t.startNS, t.startBoot }

// NoNewPrivs reports PR_GET_NO_NEW_PRIVS.
func (t *Task) NoNewPrivs() bool { return t.noNewPrivs.Load() }

// SetNoNewPrivs sets it, for good.
func (t *Task) SetNoNewPrivs() { t.noNewPrivs.Store(true) }

// SetClearTID is set_tid_address(2).
func (t *Task) SetClearTID(a abi.Addr) { t.clearTID = a }

// ClearTID returns what SetClearTID set (PR_GET_TID_ADDRESS).
func (t *Task) ClearTID() abi.Addr { return t.clearTID }

// SetRobustList is set_robust_list(2); the caller has checked the length.
func (t *Task) SetRobustList(a abi.Addr) { t.robustHead = a }

// RobustList returns the robust list head of the calling task.
func (t *Task) RobustList() abi.Addr { return t.robustHead }

// RSeqState returns the rseq(2) registration for the handler to change.
func (t *Task) RSeqState() *RSeq { return &t.rseq }

// PDeathSig returns PR_GET_PDEATHSIG.
func (t *Task) PDeathSig() int32 { return t.pdeathSig.Load() }

// SetPDeathSig sets PR_SET_PDEATHSIG.
func (t *Task) SetPDeathSig(sig int32) error {
	if sig < 0 || sig > abi.NSIG {
		return abi.EINVAL
	}
	t.pdeathSig.Store(sig)
	return nil
}

// TimerSlackNS is PR_GET_TIMERSLACK's value, stored only.
func (t *Task) TimerSlackNS() uint64 { return t.timerSlack.Load() }

// SetTimerSlackNS stores it; 0 is the default.
func (t *Task) SetTimerSlackNS(n uint64) {
	if n == 0 {
		n = defaultSlackNS
	}
	t.timerSlack.Store(n)
}

const defaultSlackNS = 50_000

// Personality returns personality(2)'s value.
func (t *Task) Personality() uint32 { return t.personality.Load() }

// SetPersonality stores it.
func (t *Task) SetPersonality(p uint32) { t.personality.Store(p) }

// IOPrio and SetIOPrio are ioprio_get(2)'s value, stored only.
func (t *Task) IOPrio() int32     { return t.ioPrio.Load() }
func (t *Task) SetIOPrio(p int32) { t.ioPrio.Store(p) }

// Zombie reports whether the task has ended and waits to be reaped.
func (t *Task) Zombie() bool {
	t.k.tasksMu.RLock()
	defer t.k.tasksMu.RUnlock()
	return t.zombie || t.released
}
