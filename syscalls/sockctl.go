package syscalls

import (
	"encoding/binary"

	"lazaret/sentry/kernel"
	"lazaret/sentry/socket"
	"lazaret/syscalls/abi"
)

// maxControl bounds the ancillary data of a message (net.core.optmem_max).
const maxControl = 128 << 10

// ucred is struct ucred.
type ucred struct {
	PID      int32
	UID, GID uint32
}

// processNumber returns the process id of u as t sees it, also when the process has ended.
func processNumber(t *kernel.Task, u *socket.Ucred) int32 {
	if p, ok := u.Process.(*kernel.PID); ok {
		return p.In(t.PIDNS())
	}
	return pidFromRoot(t, u.PID)
}

// controlIn reads the ancillary data of a message that is to be sent. The files in the
// result carry references.
func controlIn(t *kernel.Task, addr abi.Addr, n uint64) (socket.Control, error) {
	var c socket.Control
	if n > maxControl {
		return c, abi.ENOBUFS
	}
	if n == 0 {
		return c, nil
	}
	raw := make([]byte, n)
	if err := t.MM().CopyIn(addr, raw); err != nil {
		return c, err
	}
	list, err := socket.ParseControl(raw)
	if err != nil {
		return c, err
	}
	for _, m := range list {
		if m.Level != abi.SOL_SOCKET {
			c.Cmsgs = append(c.Cmsgs, m)
			continue
		}
		switch m.Type {
		case abi.SCM_RIGHTS:
			err = rightsIn(t, &c, m.Data)
		case abi.SCM_CREDENTIALS:
			c.Creds, err = ucredIn(t, m.Data)
		default:
			err = abi.EINVAL
		}
		if err != nil {
			c.Release()
			return socket.Control{}, err
		}
	}
	return c, nil
}

// rightsIn adds the files behind an SCM_RIGHTS to c.
func rightsIn(t *kernel.Task, c *socket.Control, data []byte) error {
	fds, err := socket.Descriptors(data)
	if err != nil {
		return err
	}
	if len(c.Files)+len(fds) > socket.MaxRights {
		return abi.EINVAL
	}
	for _, fd := range fds {
		f, err := getFile(t, fd)
		if err != nil {
			return err
		}
		c.Files = append(c.Files, f)
	}
	return nil
}

// ucredIn checks the credentials that a sender claims (unix(7), SCM_CREDENTIALS): those of
// others need a capability.
func ucredIn(t *kernel.Task, data []byte) (*socket.Ucred, error) {
	var u ucred
	if len(data) != len(abi.Bytes(&u)) {
		return nil, abi.EINVAL
	}
	copy(abi.Bytes(&u), data)
	k, c, ns := t.Kernel(), t.Creds(), t.PIDNS()
	uid, okU := c.UserNS.KUID(u.UID)
	gid, okG := c.UserNS.KGID(u.GID)
	if !okU || !okG {
		return nil, abi.EINVAL
	}
	g := t.ThreadGroup()
	if u.PID != g.PIDIn(ns) {
		if !c.HasCapIn(abi.CAP_SYS_ADMIN, ns.UserNS) {
			return nil, abi.EPERM
		}
		if g = k.GroupByID(ns, u.PID); g == nil {
			return nil, abi.ESRCH
		}
	}
	if uid != c.RUID && uid != c.EUID && uid != c.SUID && !c.HasCap(abi.CAP_SETUID) ||
		gid != c.RGID && gid != c.EGID && gid != c.SGID && !c.HasCap(abi.CAP_SETGID) {
		return nil, abi.EPERM
	}
	return &socket.Ucred{PID: g.PIDIn(k.RootPIDNS), Process: g.ID(), UID: uid, GID: gid}, nil
}

// controlOut gives the received ancillary data the form that the application sees, within
// limit bytes, and the files descriptors, which are returned. The control is empty after it.
func controlOut(t *kernel.Task, c *socket.Control, limit int, cloexec bool) (out []byte, fds []int32, flags int) {
	defer c.Release()
	whole := true
	for _, m := range c.Cmsgs {
		fit := false
		out, fit = socket.AppendCmsg(out, limit, m.Level, m.Type, m.Data)
		whole = whole && fit
	}
	if c.Creds != nil {
		ns := t.UserNS()
		u := ucred{processNumber(t, c.Creds), ns.UID(c.Creds.UID), ns.GID(c.Creds.GID)}
		out, whole = socket.AppendCmsg(out, limit, abi.SOL_SOCKET, abi.SCM_CREDENTIALS, abi.Bytes(&u))
	}
	if len(c.Files) > 0 {
		room := min(socket.RightsRoom(out, limit), len(c.Files))
		var data []byte
		for len(fds) < room {
			f := c.Files[0]
			fd, err := t.Files().Alloc(0, f, cloexec, nofile(t))
			if err != nil {
				break
			}
			c.Files = c.Files[1:]
			fds = append(fds, fd)
			data = binary.LittleEndian.AppendUint32(data, uint32(fd))
		}
		if len(fds) > 0 {
			out, _ = socket.AppendCmsg(out, limit, abi.SOL_SOCKET, abi.SCM_RIGHTS, data)
		}
		whole = whole && len(c.Files) == 0
	}
	for len(out)%8 != 0 && len(out) < limit { // CMSG_SPACE counts, also for the last one
		out = append(out, 0)
	}
	if !whole {
		flags = abi.MSG_CTRUNC
	}
	return out, fds, flags
}

// closeAll takes back descriptors that the application was not told of.
func closeAll(t *kernel.Task, fds []int32) {
	for _, fd := range fds {
		_ = t.Files().Close(t.Ctx(), fd)
	}
}
