package syscalls

import (
	"lazaret/sentry/auth"
	"lazaret/sentry/kernel"
	"lazaret/syscalls/abi"
)

var capRows = []Row{
	full(abi.SYS_CAPGET, "capget", Capget, Buf, Buf),
	full(abi.SYS_CAPSET, "capset", Capset, Buf, Buf),
}

// capHeader and capData are struct __user_cap_header_struct and __user_cap_data_struct.
type (
	capHeader struct {
		Version uint32
		PID     int32
	}
	capData struct{ Effective, Permitted, Inheritable uint32 }
)

// capVersion checks the version that the application speaks and returns how many data
// structures it has. An unknown version is answered with the preferred one and EINVAL.
func capVersion(t *kernel.Task, addr abi.Addr) (capHeader, int, error) {
	h, err := copyIn[capHeader](t, addr)
	if err != nil {
		return h, 0, err
	}
	switch h.Version {
	case abi.LINUX_CAPABILITY_VERSION_1:
		return h, 1, nil
	case abi.LINUX_CAPABILITY_VERSION_2, abi.LINUX_CAPABILITY_VERSION_3:
		return h, 2, nil
	}
	h.Version = abi.LINUX_CAPABILITY_VERSION_3
	if err := copyOut(t, addr, &h); err != nil {
		return h, 0, err
	}
	return h, 0, abi.EINVAL
}

// Capget is capget(2).
func Capget(t *kernel.Task, a *abi.Args) (uint64, error) {
	h, n, err := capVersion(t, a.Addr(0))
	if err != nil {
		if a.Addr(1) == 0 && err == abi.EINVAL {
			return 0, nil // asking for the version
		}
		return 0, err
	}
	if h.PID < 0 {
		return 0, abi.EINVAL
	}
	o, err := t.FindTask(h.PID)
	if err != nil {
		return 0, err
	}
	c := o.Creds()
	var d [2]capData
	for i := range d {
		d[i] = capData{uint32(c.Effective >> (32 * i)), uint32(c.Permitted >> (32 * i)), uint32(c.Inheritable >> (32 * i))}
	}
	return done0(t.MM().CopyOut(a.Addr(1), abi.SliceBytes(d[:n])))
}

// Capset is capset(2).
func Capset(t *kernel.Task, a *abi.Args) (uint64, error) {
	h, n, err := capVersion(t, a.Addr(0))
	if err != nil {
		return 0, err
	}
	if h.PID != 0 && h.PID != t.TID() {
		return 0, abi.EPERM
	}
	var d [2]capData
	if err := t.MM().CopyIn(a.Addr(1), abi.SliceBytes(d[:n])); err != nil {
		return 0, err
	}
	set := func(lo, hi uint32) auth.CapSet {
		return (auth.CapSet(lo) | auth.CapSet(hi)<<32) & (1<<(abi.CAP_LAST_CAP+1) - 1)
	}
	c, err := t.Creds().SetCaps(set(d[0].Effective, d[1].Effective), set(d[0].Permitted, d[1].Permitted), set(d[0].Inheritable, d[1].Inheritable))
	return setCreds(t, c, err)
}
