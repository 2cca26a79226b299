package syscalls

import (
	"lazaret/sentry/auth"
	"lazaret/sentry/kernel"
	"lazaret/syscalls/abi"
)

var credRows = []Row{
	full(abi.SYS_GETUID, "getuid", Getuid),
	full(abi.SYS_GETEUID, "geteuid", Geteuid),
	full(abi.SYS_GETGID, "getgid", Getgid),
	full(abi.SYS_GETEGID, "getegid", Getegid),
	full(abi.SYS_GETRESUID, "getresuid", Getresuid, Buf, Buf, Buf),
	full(abi.SYS_GETRESGID, "getresgid", Getresgid, Buf, Buf, Buf),
	full(abi.SYS_SETUID, "setuid", Setuid, Int),
	full(abi.SYS_SETGID, "setgid", Setgid, Int),
	full(abi.SYS_SETREUID, "setreuid", Setreuid, Int, Int),
	full(abi.SYS_SETREGID, "setregid", Setregid, Int, Int),
	full(abi.SYS_SETRESUID, "setresuid", Setresuid, Int, Int, Int),
	full(abi.SYS_SETRESGID, "setresgid", Setresgid, Int, Int, Int),
	full(abi.SYS_SETFSUID, "setfsuid", Setfsuid, Int),
	full(abi.SYS_SETFSGID, "setfsgid", Setfsgid, Int),
	full(abi.SYS_GETGROUPS, "getgroups", Getgroups, Int, Buf),
	full(abi.SYS_SETGROUPS, "setgroups", Setgroups, Int, Buf),
}

// Getuid is getuid(2).
func Getuid(t *kernel.Task, _ *abi.Args) (uint64, error) {
	return uint64(t.UserNS().UID(t.Creds().RUID)), nil
}

// Geteuid is geteuid(2).
func Geteuid(t *kernel.Task, _ *abi.Args) (uint64, error) {
	return uint64(t.UserNS().UID(t.Creds().EUID)), nil
}

// Getgid is getgid(2).
func Getgid(t *kernel.Task, _ *abi.Args) (uint64, error) {
	return uint64(t.UserNS().GID(t.Creds().RGID)), nil
}

// Getegid is getegid(2).
func Getegid(t *kernel.Task, _ *abi.Args) (uint64, error) {
	return uint64(t.UserNS().GID(t.Creds().EGID)), nil
}

func copyOut3(t *kernel.Task, a *abi.Args, v [3]uint32) (uint64, error) {
	for i := range v {
		if err := copyOut(t, a.Addr(i), &v[i]); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// Getresuid is getresuid(2).
func Getresuid(t *kernel.Task, a *abi.Args) (uint64, error) {
	c, ns := t.Creds(), t.UserNS()
	return copyOut3(t, a, [3]uint32{ns.UID(c.RUID), ns.UID(c.EUID), ns.UID(c.SUID)})
}

// Getresgid is getresgid(2).
func Getresgid(t *kernel.Task, a *abi.Args) (uint64, error) {
	c, ns := t.Creds(), t.UserNS()
	return copyOut3(t, a, [3]uint32{ns.GID(c.RGID), ns.GID(c.EGID), ns.GID(c.SGID)})
}

// setCreds publishes changed credentials.
func setCreds(t *kernel.Task, c *auth.Creds, err error) (uint64, error) {
	if err == nil {
		t.SetCreds(c)
	}
	return 0, err
}

// Setuid is setuid(2).
func Setuid(t *kernel.Task, a *abi.Args) (uint64, error) {
	c, err := t.Creds().SetUID(a.Uint(0))
	return setCreds(t, c, err)
}

// Setgid is setgid(2).
func Setgid(t *kernel.Task, a *abi.Args) (uint64, error) {
	c, err := t.Creds().SetGID(a.Uint(0))
	return setCreds(t, c, err)
}

// Setreuid is setreuid(2).
func Setreuid(t *kernel.Task, a *abi.Args) (uint64, error) {
	c, err := t.Creds().SetREUID(a.Uint(0), a.Uint(1))
	return setCreds(t, c, err)
}

// Setregid is setregid(2).
func Setregid(t *kernel.Task, a *abi.Args) (uint64, error) {
	c, err := t.Creds().SetREGID(a.Uint(0), a.Uint(1))
	return setCreds(t, c, err)
}

// Setresuid is setresuid(2).
func Setresuid(t *kernel.Task, a *abi.Args) (uint64, error) {
	c, err := t.Creds().SetRESUID(a.Uint(0), a.Uint(1), a.Uint(2))
	return setCreds(t, c, err)
}

// Setresgid is setresgid(2).
func Setresgid(t *kernel.Task, a *abi.Args) (uint64, error) {
	c, err := t.Creds().SetRESGID(a.Uint(0), a.Uint(1), a.Uint(2))
	return setCreds(t, c, err)
}

// Setfsuid is setfsuid(2): the old id, whether or not it changed.
func Setfsuid(t *kernel.Task, a *abi.Args) (uint64, error) {
	old := t.Creds()
	if c := old.SetFSUID(a.Uint(0)); c != nil {
		t.SetCreds(c)
	}
	return uint64(t.UserNS().UID(old.FSUID)), nil
}

// Setfsgid is setfsgid(2).
func Setfsgid(t *kernel.Task, a *abi.Args) (uint64, error) {
	old := t.Creds()
	if c := old.SetFSGID(a.Uint(0)); c != nil {
		t.SetCreds(c)
	}
	return uint64(t.UserNS().GID(old.FSGID)), nil
}

// Getgroups is getgroups(2).
func Getgroups(t *kernel.Task, a *abi.Args) (uint64, error) {
	groups := t.Creds().Groups
	n := a.Int(0)
	if n < 0 || n != 0 && int(n) < len(groups) {
		return 0, abi.EINVAL
	}
	if n == 0 {
		return uint64(len(groups)), nil
	}
	out := make([]uint32, len(groups))
	for i, g := range groups {
		out[i] = t.UserNS().GID(g)
	}
	return uint64(len(groups)), t.MM().CopyOut(a.Addr(1), abi.SliceBytes(out))
}

// Setgroups is setgroups(2).
func Setgroups(t *kernel.Task, a *abi.Args) (uint64, error) {
	n := a.Uint(0)
	if n > auth.MaxGroups {
		return 0, abi.EINVAL
	}
	ids := make([]uint32, n)
	if err := t.MM().CopyIn(a.Addr(1), abi.SliceBytes(ids)); err != nil {
		return 0, err
	}
	c, err := t.Creds().SetGroups(ids)
	return setCreds(t, c, err)
}
