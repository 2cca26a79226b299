package syscalls

import (
	"lazaret/sentry/kernel"
	"lazaret/sentry/mm"
	"lazaret/syscalls/abi"
)

var prctlRows = []Row{
	partial(abi.SYS_PRCTL, "prctl", Prctl, "huge pages, memory names, core scheduling and PR_SET_PTRACER are accepted and mean nothing; no PR_SET_MDWE, syscall user dispatch", Int, Hex, Hex, Hex, Hex),
}

// Prctl is prctl(2). Options that this file does not name fail with EINVAL, as those of
// another architecture or configuration do.
func Prctl(t *kernel.Task, a *abi.Args) (uint64, error) {
	if n, err, ok := prctlCreds(t, a); ok {
		return n, err
	}
	if n, err, ok := prctlProcess(t, a); ok {
		return n, err
	}
	return prctlMisc(t, a)
}

// zeros reports whether the arguments from i to 4 are zero, as newer options require.
func zeros(a *abi.Args, i int) bool {
	for ; i < 5; i++ {
		if a[i] != 0 {
			return false
		}
	}
	return true
}

func bit(on bool) uint64 {
	if on {
		return 1
	}
	return 0
}

// prctlCreds are the options that concern credentials; ok is false for others.
func prctlCreds(t *kernel.Task, a *abi.Args) (n uint64, err error, ok bool) {
	c, arg := t.Creds(), a.Size(1)
	switch a.Int(0) {
	case abi.PR_GET_KEEPCAPS:
		return bit(c.SecureBits&abi.SECBIT_KEEP_CAPS != 0), nil, true
	case abi.PR_SET_KEEPCAPS:
		if arg > 1 {
			return 0, abi.EINVAL, true
		}
		next, err := c.SetKeepCaps(arg == 1)
		n, err = setCreds(t, next, err)
		return n, err, true
	case abi.PR_GET_SECUREBITS:
		return uint64(c.SecureBits), nil, true
	case abi.PR_SET_SECUREBITS:
		if arg > 0xffffffff {
			return 0, abi.EPERM, true
		}
		next, err := c.SetSecureBits(uint32(arg))
		n, err = setCreds(t, next, err)
		return n, err, true
	case abi.PR_CAPBSET_READ:
		if arg > abi.CAP_LAST_CAP {
			return 0, abi.EINVAL, true
		}
		return bit(c.Bounding.Has(int(arg))), nil, true
	case abi.PR_CAPBSET_DROP:
		next, err := c.DropBounding(arg)
		n, err = setCreds(t, next, err)
		return n, err, true
	case abi.PR_CAP_AMBIENT:
		n, err = prctlAmbient(t, a)
		return n, err, true
	case abi.PR_GET_NO_NEW_PRIVS:
		if !zeros(a, 1) {
			return 0, abi.EINVAL, true
		}
		return bit(t.NoNewPrivs()), nil, true
	case abi.PR_SET_NO_NEW_PRIVS:
		if arg != 1 || !zeros(a, 2) {
			return 0, abi.EINVAL, true
		}
		t.SetNoNewPrivs()
		return 0, nil, true
	}
	return 0, nil, false
}

func prctlAmbient(t *kernel.Task, a *abi.Args) (uint64, error) {
	c, no := t.Creds(), a.Size(2)
	if a.Size(1) == abi.PR_CAP_AMBIENT_CLEAR_ALL {
		if !zeros(a, 2) {
			return 0, abi.EINVAL
		}
		n := c.Copy()
		n.Ambient = 0
		return setCreds(t, n, nil)
	}
	if a[3] != 0 || a[4] != 0 || no > abi.CAP_LAST_CAP {
		return 0, abi.EINVAL
	}
	switch a.Size(1) {
	case abi.PR_CAP_AMBIENT_IS_SET:
		return bit(c.Ambient.Has(int(no))), nil
	case abi.PR_CAP_AMBIENT_RAISE, abi.PR_CAP_AMBIENT_LOWER:
		n, err := c.SetAmbient(no, a.Size(1) == abi.PR_CAP_AMBIENT_RAISE)
		return setCreds(t, n, err)
	}
	return 0, abi.EINVAL
}

// prctlProcess are the options that the kernel keeps for a task or process.
func prctlProcess(t *kernel.Task, a *abi.Args) (n uint64, err error, ok bool) {
	tg, arg := t.ThreadGroup(), a.Size(1)
	switch a.Int(0) {
	case abi.PR_SET_NAME:
		return 0, setName(t, a.Addr(1)), true
	case abi.PR_GET_NAME:
		var b [16]byte
		copy(b[:15], t.Comm())
		return 0, t.MM().CopyOut(a.Addr(1), b[:]), true
	case abi.PR_GET_DUMPABLE:
		return uint64(tg.Dumpable()), nil, true
	case abi.PR_SET_DUMPABLE:
		if arg != kernel.DumpDisable && arg != kernel.DumpUser {
			return 0, abi.EINVAL, true
		}
		tg.SetDumpable(int32(arg))
		return 0, nil, true
	case abi.PR_SET_PDEATHSIG:
		if arg > abi.NSIG {
			return 0, abi.EINVAL, true
		}
		return 0, t.SetPDeathSig(int32(arg)), true
	case abi.PR_GET_PDEATHSIG:
		sig := t.PDeathSig()
		return 0, copyOut(t, a.Addr(1), &sig), true
	case abi.PR_SET_CHILD_SUBREAPER:
		tg.SetSubReaper(arg != 0)
		return 0, nil, true
	case abi.PR_GET_CHILD_SUBREAPER:
		v := int32(bit(tg.SubReaper()))
		return 0, copyOut(t, a.Addr(1), &v), true
	case abi.PR_SET_TIMERSLACK:
		t.SetTimerSlackNS(uint64(max(a.Long(1), 0)))
		return 0, nil, true
	case abi.PR_GET_TIMERSLACK:
		return t.TimerSlackNS(), nil, true
	case abi.PR_GET_TID_ADDRESS:
		v := uint64(t.ClearTID())
		return 0, copyOut(t, a.Addr(1), &v), true
	case abi.PR_GET_SECCOMP:
		return uint64(t.SeccompMode()), nil, true
	case abi.PR_SET_SECCOMP:
		n, err = prctlSeccomp(t, a)
		return n, err, true
	case abi.PR_SET_MM:
		return 0, prctlMM(t, a), true
	case abi.PR_GET_AUXV:
		if a[3] != 0 || a[4] != 0 {
			return 0, abi.EINVAL, true
		}
		auxv := t.MM().Ranges().Auxv
		return uint64(len(auxv)), t.MM().CopyOut(a.Addr(1), auxv[:min(uint64(len(auxv)), a.Size(2))]), true
	}
	return 0, nil, false
}

// setName sets the command name: what is longer than 15 bytes is cut off.
func setName(t *kernel.Task, addr abi.Addr) error {
	var b [15]byte
	for i := range b {
		if err := t.MM().CopyIn(addr+abi.Addr(i), b[i:i+1]); err != nil {
			return err
		}
		if b[i] == 0 {
			t.SetComm(string(b[:i]))
			return nil
		}
	}
	t.SetComm(string(b[:]))
	return nil
}

// prctlMisc are options whose state nothing here depends on.
func prctlMisc(t *kernel.Task, a *abi.Args) (uint64, error) {
	arg := a.Size(1)
	switch a.Int(0) {
	case abi.PR_GET_TIMING, abi.PR_TASK_PERF_EVENTS_DISABLE, abi.PR_TASK_PERF_EVENTS_ENABLE:
		return 0, nil
	case abi.PR_SET_TIMING:
		return 0, inval(arg != abi.PR_TIMING_STATISTICAL)
	case abi.PR_SET_THP_DISABLE:
		if !zeros(a, 2) {
			return 0, abi.EINVAL
		}
		t.MM().SetMark(mm.NoTHP, arg != 0)
		return 0, nil
	case abi.PR_GET_THP_DISABLE:
		return bit(t.MM().HasMark(mm.NoTHP)), inval(!zeros(a, 1))
	case abi.PR_SET_VMA:
		return 0, inval(arg != abi.PR_SET_VMA_ANON_NAME)
	case abi.PR_SET_PTRACER:
		if arg != 0 && int64(arg) != -1 && t.Kernel().TaskByID(t.PIDNS(), int32(arg)) == nil {
			return 0, abi.EINVAL
		}
		return 0, nil
	case abi.PR_SET_MDWE, abi.PR_GET_MDWE:
		return 0, inval(!zeros(a, 1))
	case abi.PR_GET_SPECULATION_CTRL:
		if !zeros(a, 2) {
			return 0, abi.EINVAL
		}
		if arg > abi.PR_SPEC_L1D_FLUSH {
			return 0, abi.ENODEV
		}
		return abi.PR_SPEC_NOT_AFFECTED, nil
	case abi.PR_SET_SPECULATION_CTRL:
		if a[3] != 0 || a[4] != 0 {
			return 0, abi.EINVAL
		}
		if arg > abi.PR_SPEC_L1D_FLUSH {
			return 0, abi.ENODEV
		}
		return 0, abi.ENXIO
	case abi.PR_MCE_KILL:
		return 0, inval(arg > abi.PR_MCE_KILL_SET || a[3] != 0 || a[4] != 0)
	case abi.PR_MCE_KILL_GET:
		if !zeros(a, 1) {
			return 0, abi.EINVAL
		}
		return abi.PR_MCE_KILL_DEFAULT, nil
	case abi.PR_SET_IO_FLUSHER, abi.PR_GET_IO_FLUSHER:
		if !t.Creds().HasCap(abi.CAP_SYS_RESOURCE) {
			return 0, abi.EPERM
		}
		return 0, inval(arg > 1 || !zeros(a, 2))
	case abi.PR_SET_SYSCALL_USER_DISPATCH:
		return 0, inval(arg != abi.PR_SYS_DISPATCH_OFF || !zeros(a, 2))
	}
	return prctlArch(t, a)
}

// inval is EINVAL if bad.
func inval(bad bool) error {
	if bad {
		return abi.EINVAL
	}
	return nil
}
