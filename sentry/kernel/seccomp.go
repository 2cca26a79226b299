package kernel

import (
	"sync/atomic"

	"lazaret/sentry/kernel/bpf"
	"lazaret/syscalls/abi"
)

// SeccompProgram is a filter to add.
type SeccompProgram struct {
	Program *bpf.Program
	Log     bool // SECCOMP_FILTER_FLAG_LOG

	Listener *SeccompListener // nil without SECCOMP_FILTER_FLAG_NEW_LISTENER
}

// seccompFilter is one filter of a task; prev are those that were added before it. The
// chain is immutable: tasks share its tail.
type seccompFilter struct {
	prev     *seccompFilter
	prog     *bpf.Program
	log      bool
	total    int // instructions of the chain, with Linux's penalty
	listener *SeccompListener
	users    atomic.Int64 // tasks whose newest filter it is, and used filters added to it
}

// maxSeccompInsns is MAX_INSNS_PER_PATH.
const maxSeccompInsns = 1 << 15

// SeccompMode returns PR_GET_SECCOMP's value.
func (t *Task) SeccompMode() int32 { return t.seccompMode.Load() }

// SeccompFilters returns how many filters apply (/proc/PID/status).
func (t *Task) SeccompFilters() int {
	n := 0
	for f := t.seccomp.Load(); f != nil; f = f.prev {
		n++
	}
	return n
}

// SetSeccompStrict is SECCOMP_SET_MODE_STRICT.
func (t *Task) SetSeccompStrict() error {
	if t.seccompMode.Load() == abi.SECCOMP_MODE_FILTER {
		return abi.EINVAL
	}
	t.setSeccompMode(abi.SECCOMP_MODE_STRICT)
	return nil
}

// AddSeccompFilter is SECCOMP_SET_MODE_FILTER. With tsync all threads of the process get
// the filter; tid is then the id of one that cannot.
func (t *Task) AddSeccompFilter(p SeccompProgram, tsync bool) (tid int32, err error) {
	if !t.NoNewPrivs() && !t.Creds().HasCap(abi.CAP_SYS_ADMIN) {
		return 0, abi.EACCES
	}
	if t.seccompMode.Load() == abi.SECCOMP_MODE_STRICT {
		return 0, abi.EINVAL
	}
	if !tsync {
		t.tg.sigMu.Lock()
		defer t.tg.sigMu.Unlock()
		return 0, t.addFilter(p)
	}
	t.tg.credGuard.Lock()
	defer t.tg.credGuard.Unlock()
	t.k.tasksMu.RLock()
	defer t.k.tasksMu.RUnlock()
	t.tg.sigMu.Lock()
	defer t.tg.sigMu.Unlock()
	for _, o := range t.tg.tasks {
		if o != t && !o.exiting.Load() && !o.canSync(t) {
			return o.pid.Load().in(t.pid.Load().ns()), nil
		}
	}
	if err := t.addFilter(p); err != nil {
		return 0, err
	}
	for _, o := range t.tg.tasks {
		if o == t || o.exiting.Load() {
			continue
		}
		f := t.seccomp.Load()
		f.users.Add(1)
		dropFilter(o.seccomp.Swap(f))
		o.setSeccompMode(abi.SECCOMP_MODE_FILTER)
		if t.noNewPrivs.Load() {
			o.noNewPrivs.Store(true)
		}
	}
	return 0, nil
}

// canSync reports whether o's filters are an ancestor of t's.
func (o *Task) canSync(t *Task) bool {
	switch o.seccompMode.Load() {
	case abi.SECCOMP_MODE_DISABLED:
		return true
	case abi.SECCOMP_MODE_STRICT:
		return false
	}
	for f := t.seccomp.Load(); f != nil; f = f.prev {
		if f == o.seccomp.Load() {
			return true
		}
	}
	return false
}

func (t *Task) addFilter(p SeccompProgram) error {
	prev := t.seccomp.Load()
	f := &seccompFilter{prev: prev, prog: p.Program, log: p.Log, total: p.Program.Len(), listener: p.Listener}
	f.users.Store(1) // the task's use of prev becomes f's
	for o := prev; o != nil && p.Listener != nil; o = o.prev {
		if o.listener != nil {
			return abi.EBUSY
		}
	}
	if prev != nil {
		f.total += prev.total + 4
	}
	if f.total > maxSeccompInsns {
		return abi.ENOMEM
	}
	if l := p.Listener; l != nil {
		l.mu.Lock()
		l.filter = f
		l.mu.Unlock()
	}
	t.seccomp.Store(f)
	t.setSeccompMode(abi.SECCOMP_MODE_FILTER)
	return nil
}

// seccompData returns what filters see of the system call.
func (t *Task) seccompData(nr uint64, args *[6]uint64) bpf.Data {
	ip := uint64(t.regs.IP())
	d := bpf.Data{uint32(nr), auditArch, uint32(ip), uint32(ip >> 32)}
	for i, a := range args {
		d[4+2*i], d[5+2*i] = uint32(a), uint32(a>>32)
	}
	return d
}

// runFilters returns the strictest answer of all filters, and the filter that gave it.
func (t *Task) runFilters(d *bpf.Data) (uint32, *seccompFilter) {
	ret, match := uint32(abi.SECCOMP_RET_ALLOW), (*seccompFilter)(nil)
	for f := t.seccomp.Load(); f != nil; f = f.prev {
		if r := f.prog.Run(d); int32(r&abi.SECCOMP_RET_ACTION_FULL) < int32(ret&abi.SECCOMP_RET_ACTION_FULL) {
			ret, match = r, f
		}
	}
	return ret, match
}

// seccompCheck decides about a system call; false: it must not run, its result is set.
func (t *Task) seccompCheck(nr uint64, args *[6]uint64) bool {
	if t.seccompMode.Load() == abi.SECCOMP_MODE_STRICT {
		switch nr {
		case abi.SYS_READ, abi.SYS_WRITE, abi.SYS_EXIT, abi.SYS_RT_SIGRETURN:
			return true
		}
		t.setResult(0, abi.ENOSYS)
		t.seccompKill(abi.SIGKILL, false)
		return false
	}
	d := t.seccompData(nr, args)
	ret, match := t.runFilters(&d)
	data := ret & abi.SECCOMP_RET_DATA
	switch ret & abi.SECCOMP_RET_ACTION_FULL {
	case abi.SECCOMP_RET_ALLOW, abi.SECCOMP_RET_LOG:
		return true
	case abi.SECCOMP_RET_ERRNO:
		t.regs.SetReturn(negErrno(abi.Errno(min(data, 4095))))
		return false
	case abi.SECCOMP_RET_TRAP:
		t.regs.SetReturn(nr)
		info := abi.Siginfo{Signo: abi.SIGSYS, Code: abi.SYS_SECCOMP_SIG, Errno: int32(data)}
		info.SetAddr(t.regs.IP())
		info.SetSyscall(int32(nr))
		info.SetArch(auditArch)
		t.forceSignal(&info)
		return false
	case abi.SECCOMP_RET_TRACE:
		return t.seccompTrace(nr, args, data)
	case abi.SECCOMP_RET_USER_NOTIF:
		return t.notifyListener(match, &d)
	case abi.SECCOMP_RET_KILL_THREAD:
		t.seccompKill(abi.SIGSYS, true)
	default:
		t.seccompKill(abi.SIGSYS, false)
	}
	return false
}

// seccompKill ends the thread, or the process, as by sig.
func (t *Task) seccompKill(sig int, threadOnly bool) {
	if threadOnly && t.tg.live.Load() > 1 {
		t.endSelf(int32(sig))
		return
	}
	if sig == abi.SIGSYS && t.k.Observer != nil {
		t.k.Observer.Killed(t, sig, "seccomp")
	}
	t.kernelKill(sig)
}

// describe says for a log what ended the task.
func (t *Task) describe(info *abi.Siginfo) string {
	switch info.Signo {
	case abi.SIGSEGV, abi.SIGBUS, abi.SIGILL, abi.SIGFPE, abi.SIGTRAP:
		return "at address " + hex(uint64(info.Addr())) + ", instruction " + hex(uint64(t.regs.IP()))
	}
	return ""
}

func hex(v uint64) string {
	const digits = "0123456789abcdef"
	b := [18]byte{0: '0', 1: 'x'}
	for i := 17; i > 1; i-- {
		b[i], v = digits[v&15], v>>4
	}
	return string(b[:])
}
