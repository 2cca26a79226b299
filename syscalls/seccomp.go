package syscalls

import (
	"lazaret/sentry/kernel"
	"lazaret/sentry/kernel/bpf"
	"lazaret/syscalls/abi"
)

var seccompRows = []Row{
	full(abi.SYS_SECCOMP, "seccomp", Seccomp, Int, Hex, Buf),
}

// maxFilter is BPF_MAXINSNS.
const maxFilter = 4096

// sockFprog is struct sock_fprog.
type sockFprog struct {
	Len    uint16
	_      [3]uint16
	Filter abi.Addr
}

// Seccomp is seccomp(2).
func Seccomp(t *kernel.Task, a *abi.Args) (uint64, error) {
	flags, addr := a.Uint(1), a.Addr(2)
	switch a.Uint(0) {
	case abi.SECCOMP_SET_MODE_STRICT:
		if flags != 0 || addr != 0 {
			return 0, abi.EINVAL
		}
		return done0(t.SetSeccompStrict())
	case abi.SECCOMP_SET_MODE_FILTER:
		return seccompFilter(t, flags, addr)
	case abi.SECCOMP_GET_ACTION_AVAIL:
		if flags != 0 {
			return 0, abi.EINVAL
		}
		action, err := copyIn[uint32](t, addr)
		if err != nil {
			return 0, err
		}
		switch action {
		case abi.SECCOMP_RET_KILL_PROCESS, abi.SECCOMP_RET_KILL_THREAD, abi.SECCOMP_RET_TRAP, abi.SECCOMP_RET_ERRNO,
			abi.SECCOMP_RET_TRACE, abi.SECCOMP_RET_USER_NOTIF, abi.SECCOMP_RET_LOG, abi.SECCOMP_RET_ALLOW:
			return 0, nil
		}
		return 0, abi.EOPNOTSUPP
	case abi.SECCOMP_GET_NOTIF_SIZES:
		if flags != 0 {
			return 0, abi.EINVAL
		}
		sizes := [3]uint16{abi.SECCOMP_NOTIF_SIZE, abi.SECCOMP_NOTIF_RESP_SIZE, abi.SECCOMP_DATA_SIZE}
		return done0(copyOut(t, addr, &sizes))
	}
	return 0, abi.EINVAL
}

// prctlSeccomp is prctl(PR_SET_SECCOMP).
func prctlSeccomp(t *kernel.Task, a *abi.Args) (uint64, error) {
	switch a.Size(1) {
	case abi.SECCOMP_MODE_STRICT:
		return done0(t.SetSeccompStrict())
	case abi.SECCOMP_MODE_FILTER:
		return seccompFilter(t, 0, a.Addr(2))
	}
	return 0, abi.EINVAL
}

// Flags of SECCOMP_SET_MODE_FILTER.
const (
	filterTSync    = abi.SECCOMP_FILTER_FLAG_TSYNC
	filterESRCH    = abi.SECCOMP_FILTER_FLAG_TSYNC_ESRCH
	filterListener = abi.SECCOMP_FILTER_FLAG_NEW_LISTENER
	filterKillable = abi.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	filterKnown    = filterTSync | filterESRCH | filterListener | filterKillable |
		abi.SECCOMP_FILTER_FLAG_LOG | abi.SECCOMP_FILTER_FLAG_SPEC_ALLOW
)

func seccompFilter(t *kernel.Task, flags uint32, addr abi.Addr) (uint64, error) {
	const both = filterTSync | filterListener
	if flags&^filterKnown != 0 || flags&filterKillable != 0 && flags&filterListener == 0 ||
		flags&both == both && flags&filterESRCH == 0 { // a thread's id or a descriptor: which?
		return 0, abi.EINVAL
	}
	p, err := compileFilter(t, addr)
	if err != nil {
		return 0, err
	}
	sp := kernel.SeccompProgram{Program: p, Log: flags&abi.SECCOMP_FILTER_FLAG_LOG != 0}
	if flags&filterListener != 0 {
		return addListener(t, sp, flags)
	}
	tid, err := t.AddSeccompFilter(sp, flags&filterTSync != 0)
	if err == nil && tid != 0 && flags&filterESRCH != 0 {
		return 0, abi.ESRCH
	}
	return uint64(tid), err
}

// compileFilter reads a struct sock_fprog and checks the program.
func compileFilter(t *kernel.Task, addr abi.Addr) (*bpf.Program, error) {
	prog, err := copyIn[sockFprog](t, addr)
	if err != nil {
		return nil, err
	}
	if prog.Len == 0 || prog.Len > maxFilter {
		return nil, abi.EINVAL
	}
	if !t.NoNewPrivs() && !t.Creds().HasCap(abi.CAP_SYS_ADMIN) {
		return nil, abi.EACCES
	}
	insns, err := prog.copyIn(t)
	if err != nil {
		return nil, err
	}
	return bpf.Compile(insns)
}

// copyIn reads the instructions of a program.
func (p *sockFprog) copyIn(t *kernel.Task) ([]bpf.Insn, error) {
	insns := make([]bpf.Insn, p.Len) // the layout of struct sock_filter
	return insns, t.MM().CopyIn(p.Filter, abi.SliceBytes(insns))
}

// addListener adds a filter whose listener is a new descriptor, and returns that.
func addListener(t *kernel.Task, p kernel.SeccompProgram, flags uint32) (uint64, error) {
	l, f, err := t.NewSeccompListener(flags&filterKillable != 0)
	if err != nil {
		return 0, err
	}
	fd, err := install(t, f, true)
	if err != nil {
		return 0, err
	}
	p.Listener = l
	tid, err := t.AddSeccompFilter(p, flags&filterTSync != 0)
	if err == nil && tid != 0 {
		err = abi.ESRCH
	}
	if err != nil {
		_ = t.Files().Close(t.Ctx(), int32(fd))
		return 0, err
	}
	return fd, nil
}
