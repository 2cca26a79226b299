package syscalls

import (
	"lazaret/sentry/kernel"
	"lazaret/sentry/mm"
	"lazaret/syscalls/abi"
)

var procVMRows = []Row{
	full(abi.SYS_PROCESS_VM_READV, "process_vm_readv", ProcessVMReadv, Int, Buf, Int, Buf, Int, Hex),
	full(abi.SYS_PROCESS_VM_WRITEV, "process_vm_writev", ProcessVMWritev, Int, Buf, Int, Buf, Int, Hex),
	full(abi.SYS_PROCESS_MADVISE, "process_madvise", ProcessMadvise, FD, Buf, Int, Int, Hex),
	full(abi.SYS_PROCESS_MRELEASE, "process_mrelease", ProcessMrelease, FD, Hex),
}

// ProcessVMReadv is process_vm_readv(2).
func ProcessVMReadv(t *kernel.Task, a *abi.Args) (uint64, error) { return processVM(t, a, false) }

// ProcessVMWritev is process_vm_writev(2).
func ProcessVMWritev(t *kernel.Task, a *abi.Args) (uint64, error) { return processVM(t, a, true) }

func processVM(t *kernel.Task, a *abi.Args, write bool) (uint64, error) {
	if a.Size(5) != 0 {
		return 0, abi.EINVAL
	}
	local, err := copyInIovecs(t, a.Addr(1), a.Size(2))
	if err != nil {
		return 0, err
	}
	remote, err := copyInForeignIovecs(t, a.Addr(3), a.Size(4))
	if err != nil {
		return 0, err
	}
	remote = limitIovecs(remote)
	if iovTotal(local) == 0 {
		return 0, nil
	}
	o := t.Kernel().TaskByID(t.PIDNS(), a.Int(0))
	if o == nil {
		return 0, abi.ESRCH
	}
	if err := t.MayAccess(o, kernel.AccessReal); err != nil {
		return 0, err
	}
	m, err := useMM(o)
	if err != nil {
		return 0, err
	}
	defer m.DecUsers()
	return copyBetween(t, m, local, remote, write)
}

// useMM returns the address space of o with a user reference.
func useMM(o *kernel.Task) (*mm.MM, error) {
	m := o.MM()
	if m == nil || !m.TryIncUsers() {
		return nil, abi.ESRCH
	}
	return m, nil
}

// copyBetween copies page by page, so that the count is right when a page is missing.
func copyBetween(t *kernel.Task, m *mm.MM, local, remote []mm.IOVec, write bool) (uint64, error) {
	src, dst, from, to := remote, local, m, t.MM()
	if write {
		src, dst, from, to = local, remote, t.MM(), m
	}
	var page [abi.PageSize]byte
	done := uint64(0)
	for {
		src, dst = dropEmpty(src), dropEmpty(dst)
		if len(src) == 0 || len(dst) == 0 {
			return done, nil
		}
		s, d := &src[0], &dst[0]
		n := min(s.Len, d.Len, abi.PageSize-s.Addr.PageOffset(), abi.PageSize-d.Addr.PageOffset())
		err := from.CopyIn(s.Addr, page[:n])
		if err == nil {
			err = to.CopyOut(d.Addr, page[:n])
		}
		if err != nil {
			if done > 0 {
				return done, nil
			}
			return 0, err
		}
		s.Addr, s.Len = s.Addr+abi.Addr(n), s.Len-n
		d.Addr, d.Len = d.Addr+abi.Addr(n), d.Len-n
		if done += n; t.KillPending() {
			return done, nil
		}
	}
}

func dropEmpty(v []mm.IOVec) []mm.IOVec {
	for len(v) > 0 && v[0].Len == 0 {
		v = v[1:]
	}
	return v
}

// Advice of process_madvise(2) that others may give.
const (
	madvWillneed = 3
	madvCold     = 20
	madvPageout  = 21
	madvCollapse = 25
)

// ProcessMadvise is process_madvise(2).
func ProcessMadvise(t *kernel.Task, a *abi.Args) (uint64, error) {
	if a.Uint(4) != 0 {
		return 0, abi.EINVAL
	}
	iovs, err := copyInIovecs(t, a.Addr(1), a.Size(2))
	if err != nil {
		return 0, err
	}
	p, err := getPidFD(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	o := p.Task()
	if o == nil {
		return 0, abi.ESRCH
	}
	advice := int(a.Int(3))
	switch advice {
	case madvWillneed, madvCold, madvPageout, madvCollapse:
	default:
		return 0, abi.EINVAL
	}
	if err := t.MayAccess(o, kernel.AccessFS); err != nil {
		return 0, err
	}
	if o.ThreadGroup() != t.ThreadGroup() && !t.Creds().HasCap(abi.CAP_SYS_NICE) {
		return 0, abi.EPERM
	}
	m, err := useMM(o)
	if err != nil {
		return 0, err
	}
	defer m.DecUsers()
	done := uint64(0)
	for _, v := range iovs {
		if err := m.Madvise(v.Addr, v.Len, advice); err != nil {
			if done > 0 {
				return done, nil
			}
			return 0, err
		}
		done += v.Len
	}
	return done, nil
}

// ProcessMrelease is process_mrelease(2): the memory of a process that dies goes by
// itself, so that there is nothing left to do.
func ProcessMrelease(t *kernel.Task, a *abi.Args) (uint64, error) {
	if a.Uint(1) != 0 {
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
	return 0, inval(!o.KillPending() && !o.Zombie())
}
