package syscalls

import (
	"encoding/binary"

	"lazaret/sentry/kernel"
	"lazaret/sentry/mm"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// mmMap is struct prctl_mm_map.
type mmMap struct {
	StartCode, EndCode, StartData, EndData, StartBrk, Brk, StartStack uint64
	ArgStart, ArgEnd, EnvStart, EnvEnd, Auxv                          uint64
	AuxvSize, ExeFD                                                   uint32
}

const (
	mmMapSize  = 12*8 + 2*4
	maxAuxv    = 52 * 8  // sizeof(mm->saved_auxv)
	mmapMin    = 1 << 16 // vm.mmap_min_addr
	noExe      = ^uint32(0)
	auxvRecord = 16
)

// prctlMM is PR_SET_MM, which changes what /proc shows of the address space.
func prctlMM(t *kernel.Task, a *abi.Args) error {
	opt := a.Int(1)
	if a[4] != 0 || a[3] != 0 && opt != abi.PR_SET_MM_AUXV && opt != abi.PR_SET_MM_MAP && opt != abi.PR_SET_MM_MAP_SIZE {
		return abi.EINVAL
	}
	switch opt {
	case abi.PR_SET_MM_MAP_SIZE:
		size := uint32(mmMapSize)
		return copyOut(t, a.Addr(2), &size)
	case abi.PR_SET_MM_MAP:
		return prctlMMMap(t, a)
	}
	if !t.Creds().HasCap(abi.CAP_SYS_RESOURCE) {
		return abi.EPERM
	}
	switch opt {
	case abi.PR_SET_MM_EXE_FILE:
		return setExe(t, a.Int(2))
	case abi.PR_SET_MM_AUXV:
		auxv, err := copyAuxv(t, a.Size(2), a.Size(3))
		if err != nil {
			return err
		}
		t.MM().SetAuxv(auxv)
		return nil
	}
	m := currentMap(t.MM())
	v := a.Size(2)
	field := m.field(opt)
	if field == nil || v < mmapMin || v >= uint64(t.Kernel().Platform.UserRange().End) {
		return abi.EINVAL
	}
	*field = v
	if err := m.check(t); err != nil {
		return err
	}
	switch opt {
	case abi.PR_SET_MM_START_STACK, abi.PR_SET_MM_ARG_START, abi.PR_SET_MM_ARG_END, abi.PR_SET_MM_ENV_START, abi.PR_SET_MM_ENV_END:
		if !t.MM().MappedAbove(abi.Addr(v)) {
			return abi.EFAULT
		}
	}
	m.apply(t.MM(), t.MM().Ranges().Auxv)
	return nil
}

// prctlMMMap is PR_SET_MM_MAP: all fields, for which no capability is needed.
func prctlMMMap(t *kernel.Task, a *abi.Args) error {
	if a.Size(3) != mmMapSize {
		return abi.EINVAL
	}
	m, err := copyIn[mmMap](t, a.Addr(2))
	if err != nil {
		return err
	}
	if err := m.check(t); err != nil {
		return err
	}
	auxv := t.MM().Ranges().Auxv
	if m.AuxvSize != 0 {
		if m.Auxv == 0 {
			return abi.EINVAL
		}
		if auxv, err = copyAuxv(t, m.Auxv, uint64(m.AuxvSize)); err != nil {
			return err
		}
	}
	if m.ExeFD != noExe {
		if c := t.Creds(); !c.HasCap(abi.CAP_SYS_ADMIN) && !c.HasCap(abi.CAP_CHECKPOINT_RESTORE) {
			return abi.EPERM
		}
		if err := setExe(t, int32(m.ExeFD)); err != nil {
			return err
		}
	}
	m.apply(t.MM(), auxv)
	return nil
}

func currentMap(m *mm.MM) mmMap {
	r, s := m.Ranges(), m.Stats()
	return mmMap{
		StartCode: uint64(r.Code.Start), EndCode: uint64(r.Code.End), StartData: uint64(r.Data.Start), EndData: uint64(r.Data.End),
		StartBrk: uint64(s.BrkStart), Brk: uint64(s.Brk), StartStack: uint64(r.StackStart),
		ArgStart: uint64(r.Args.Start), ArgEnd: uint64(r.Args.End), EnvStart: uint64(r.Env.Start), EnvEnd: uint64(r.Env.End),
	}
}

// field is what an option that sets one address sets; nil: there is no such option.
func (m *mmMap) field(opt int32) *uint64 {
	switch opt {
	case abi.PR_SET_MM_START_CODE:
		return &m.StartCode
	case abi.PR_SET_MM_END_CODE:
		return &m.EndCode
	case abi.PR_SET_MM_START_DATA:
		return &m.StartData
	case abi.PR_SET_MM_END_DATA:
		return &m.EndData
	case abi.PR_SET_MM_START_BRK:
		return &m.StartBrk
	case abi.PR_SET_MM_BRK:
		return &m.Brk
	case abi.PR_SET_MM_START_STACK:
		return &m.StartStack
	case abi.PR_SET_MM_ARG_START:
		return &m.ArgStart
	case abi.PR_SET_MM_ARG_END:
		return &m.ArgEnd
	case abi.PR_SET_MM_ENV_START:
		return &m.EnvStart
	case abi.PR_SET_MM_ENV_END:
		return &m.EnvEnd
	}
	return nil
}

// check is what prctl(2) says of the addresses: each where an application may map something,
// ends not before their starts, and the heap within its limit.
func (m *mmMap) check(t *kernel.Task) error {
	end := uint64(t.Kernel().Platform.UserRange().End)
	for _, v := range [...]uint64{m.StartCode, m.EndCode, m.StartData, m.EndData, m.StartBrk, m.Brk, m.StartStack,
		m.ArgStart, m.ArgEnd, m.EnvStart, m.EnvEnd} {
		if v < mmapMin || v >= end {
			return abi.EINVAL
		}
	}
	if m.StartCode >= m.EndCode || m.StartData > m.EndData || m.StartBrk > m.Brk || m.ArgStart > m.ArgEnd || m.EnvStart > m.EnvEnd {
		return abi.EINVAL
	}
	if l := t.ThreadGroup().Limit(abi.RLIMIT_DATA).Cur; m.Brk-m.StartBrk+m.EndData-m.StartData > l {
		return abi.EINVAL
	}
	return nil
}

func (m *mmMap) apply(to *mm.MM, auxv []byte) {
	span := func(from, to uint64) abi.AddrRange { return abi.AddrRange{Start: abi.Addr(from), End: abi.Addr(to)} }
	to.SetRanges(mm.Ranges{
		Code: span(m.StartCode, m.EndCode), Data: span(m.StartData, m.EndData), Args: span(m.ArgStart, m.ArgEnd),
		Env: span(m.EnvStart, m.EnvEnd), StackStart: abi.Addr(m.StartStack), Auxv: auxv,
	})
	to.SetBrk(abi.Addr(m.StartBrk), abi.Addr(m.Brk))
}

// copyAuxv copies an auxiliary vector in, up to the record that ends it.
func copyAuxv(t *kernel.Task, addr, size uint64) ([]byte, error) {
	if size > maxAuxv {
		return nil, abi.EINVAL
	}
	auxv := make([]byte, maxAuxv)
	if err := t.MM().CopyIn(abi.Addr(addr), auxv[:size]); err != nil {
		return nil, err
	}
	clear(auxv[maxAuxv-auxvRecord:])
	n := auxvRecord
	for binary.LittleEndian.Uint64(auxv[n-auxvRecord:]) != abi.AT_NULL {
		n += auxvRecord
	}
	return auxv[:n:n], nil
}

// setExe is PR_SET_MM_EXE_FILE: another program file, once nothing of the old one is mapped.
func setExe(t *kernel.Task, fd int32) error {
	f, err := getFile(t, fd)
	if err != nil {
		return err
	}
	defer f.DecRef()
	exe, err := vfs.OpenExec(t.Ctx(), f.Path)
	if err != nil {
		return err
	}
	if old := t.ThreadGroup().Executable(); old != nil {
		dev, ino := old.MapIDs()
		old.DecRef()
		used := false
		t.MM().Maps(func(v *mm.VMAInfo) { used = used || v.Ino == ino && v.Dev == dev && ino != 0 })
		if used {
			exe.DecRef()
			return abi.EBUSY
		}
	}
	t.ThreadGroup().SetExecutable(exe)
	return nil
}
