package syscalls

import (
	"lazaret/sentry/kernel"
	"lazaret/syscalls/abi"
)

var pidfdRows = []Row{
	full(abi.SYS_PIDFD_OPEN, "pidfd_open", PidfdOpen, Int, Hex),
	partial(abi.SYS_PIDFD_SEND_SIGNAL, "pidfd_send_signal", PidfdSendSignal, "no flags", FD, Sig, Buf, Hex),
	full(abi.SYS_PIDFD_GETFD, "pidfd_getfd", PidfdGetfd, FD, Int, Hex),
	partial(abi.SYS_KCMP, "kcmp", Kcmp, "signal handlers and I/O contexts are compared by process", Int, Int, Int, Hex, Hex),
}

// PidfdOpen is pidfd_open(2).
func PidfdOpen(t *kernel.Task, a *abi.Args) (uint64, error) {
	flags := a.Uint(1)
	if flags&^(abi.PIDFD_NONBLOCK|abi.PIDFD_THREAD) != 0 {
		return 0, abi.EINVAL
	}
	f, err := t.PidFDOpen(a.Int(0), flags&abi.PIDFD_NONBLOCK != 0, flags&abi.PIDFD_THREAD != 0)
	if err != nil {
		return 0, err
	}
	return install(t, f, true)
}

// getPidFD returns the pidfd behind fd: EBADF if it is something else.
func getPidFD(t *kernel.Task, fd int32) (*kernel.PidFD, error) {
	f, err := getIOFile(t, fd)
	if err != nil {
		return nil, err
	}
	defer f.DecRef()
	p, ok := f.Ops.(*kernel.PidFD)
	if !ok {
		return nil, abi.EBADF
	}
	return p, nil
}

// processDir is the inode of a directory /proc/PID.
type processDir interface {
	Process() *kernel.Task // nil when it is gone
}

// getSignalPidFD is getPidFD for pidfd_send_signal(2), which takes a directory of proc too.
func getSignalPidFD(t *kernel.Task, fd int32) (*kernel.PidFD, error) {
	p, err := getPidFD(t, fd)
	if err != abi.EBADF {
		return p, err
	}
	f, ferr := getIOFile(t, fd)
	if ferr != nil {
		return nil, ferr
	}
	defer f.DecRef()
	d, ok := f.Inode.(processDir)
	if !ok {
		return nil, err
	}
	if o := d.Process(); o != nil {
		return o.PidFD(), nil
	}
	return nil, abi.ESRCH
}

// PidfdSendSignal is pidfd_send_signal(2).
func PidfdSendSignal(t *kernel.Task, a *abi.Args) (uint64, error) {
	if a.Uint(3) != 0 {
		return 0, abi.EINVAL
	}
	p, err := getSignalPidFD(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	var info *abi.Siginfo
	if addr := a.Addr(2); addr != 0 {
		var b [abi.SiginfoSize]byte
		if err := t.MM().CopyIn(addr, b[:]); err != nil {
			return 0, err
		}
		i := abi.SiginfoFrom(b[:])
		info = &i
	}
	return done0(t.PidFDSendSignal(p, int(a.Int(1)), info))
}

// PidfdGetfd is pidfd_getfd(2).
func PidfdGetfd(t *kernel.Task, a *abi.Args) (uint64, error) {
	if a.Uint(2) != 0 {
		return 0, abi.EINVAL
	}
	p, err := getPidFD(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	o := p.Task()
	if o == nil {
		return 0, abi.ESRCH
	}
	if err := t.MayAccess(o, kernel.AccessReal); err != nil {
		return 0, err
	}
	files := o.Files()
	if files == nil {
		return 0, abi.ESRCH
	}
	f := files.Get(a.Int(1))
	if f == nil {
		return 0, abi.EBADF
	}
	return install(t, f, true)
}

// Kcmp is kcmp(2): 0 for the same, 1 and 2 for an order that means nothing.
func Kcmp(t *kernel.Task, a *abi.Args) (uint64, error) {
	k, ns := t.Kernel(), t.PIDNS()
	x, y := k.TaskByID(ns, a.Int(0)), k.TaskByID(ns, a.Int(1))
	if x == nil || y == nil {
		return 0, abi.ESRCH
	}
	if t.MayAccess(x, kernel.AccessReal) != nil || t.MayAccess(y, kernel.AccessReal) != nil {
		return 0, abi.EPERM
	}
	var p, q any
	switch a.Int(2) {
	case abi.KCMP_FILE:
		return kcmpFile(x, y, a.Size(3), a.Size(4))
	case abi.KCMP_VM:
		p, q = x.MM(), y.MM()
	case abi.KCMP_FILES:
		p, q = x.Files(), y.Files()
	case abi.KCMP_FS:
		p, q = x.FS(), y.FS()
	case abi.KCMP_SIGHAND, abi.KCMP_IO, abi.KCMP_SYSVSEM:
		p, q = x.ThreadGroup(), y.ThreadGroup()
	default:
		return 0, abi.EINVAL
	}
	return kcmpOrder(p == q, a.Int(0), a.Int(1)), nil
}

func kcmpFile(x, y *kernel.Task, i, j uint64) (uint64, error) {
	fx, fy := x.Files(), y.Files()
	if fx == nil || fy == nil || i > 1<<31-1 || j > 1<<31-1 {
		return 0, abi.EBADF
	}
	f := fx.Get(int32(i))
	if f == nil {
		return 0, abi.EBADF
	}
	defer f.DecRef()
	g := fy.Get(int32(j))
	if g == nil {
		return 0, abi.EBADF
	}
	defer g.DecRef()
	return kcmpOrder(f == g, int32(min(i, 1<<31-1)), int32(min(j, 1<<31-1))), nil
}

// kcmpOrder orders by what the caller asked with: addresses are not given away.
func kcmpOrder(same bool, i, j int32) uint64 {
	switch {
	case same:
		return 0
	case i < j:
		return 1
	}
	return 2
}
