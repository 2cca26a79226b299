package syscalls

import (
	"encoding/binary"

	"lazaret/sentry/ipc"
	"lazaret/sentry/kernel"
	"lazaret/syscalls/abi"
)

var msgRows = []Row{
	full(abi.SYS_MSGGET, "msgget", Msgget, Hex, Hex),
	full(abi.SYS_MSGSND, "msgsnd", Msgsnd, Int, Buf, Int, Hex),
	full(abi.SYS_MSGRCV, "msgrcv", Msgrcv, Int, Buf, Int, Int, Hex),
	full(abi.SYS_MSGCTL, "msgctl", Msgctl, Int, Int, Buf),
}

// maxMsg bounds the message that is copied in; kernel.msgmax is below.
const maxMsg = 64 << 10

// Msgget is msgget(2).
func Msgget(t *kernel.Task, a *abi.Args) (uint64, error) {
	ns, err := ipcNS(t)
	if err != nil {
		return 0, err
	}
	return ret32(ns.Msgget(t.Ctx(), a.Int(0), a.Uint(1)))
}

// Msgsnd is msgsnd(2): a message is its type and then the bytes.
func Msgsnd(t *kernel.Task, a *abi.Args) (uint64, error) {
	ns, err := ipcNS(t)
	if err != nil {
		return 0, err
	}
	typ, err := copyIn[int64](t, a.Addr(1))
	if err != nil {
		return 0, err
	}
	if a.Size(2) > maxMsg || a.Int(0) < 0 || typ < 1 {
		return 0, abi.EINVAL
	}
	data := make([]byte, a.Size(2))
	if err := t.MM().CopyIn(a.Addr(1)+8, data); err != nil {
		return 0, err
	}
	err = ns.Msgsnd(t.Ctx(), a.Int(0), typ, data, a.Uint(3))
	if err == abi.ERESTARTSYS {
		err = abi.ERESTARTNOHAND // never restarted after a handler (signal(7))
	}
	return 0, err
}

// Msgrcv is msgrcv(2).
func Msgrcv(t *kernel.Task, a *abi.Args) (uint64, error) {
	ns, err := ipcNS(t)
	if err != nil {
		return 0, err
	}
	if a.Int(0) < 0 || a.Long(2) < 0 {
		return 0, abi.EINVAL
	}
	typ, data, err := ns.Msgrcv(t.Ctx(), a.Int(0), a.Size(2), a.Long(3), a.Uint(4))
	if err == abi.ERESTARTSYS {
		err = abi.ERESTARTNOHAND
	}
	if err != nil {
		return 0, err
	}
	if err := copyOut(t, a.Addr(1), &typ); err != nil {
		return 0, err
	}
	return uint64(len(data)), t.MM().CopyOut(a.Addr(1)+8, data)
}

// Msgctl is msgctl(2).
func Msgctl(t *kernel.Task, a *abi.Args) (uint64, error) {
	ns, err := ipcNS(t)
	if err != nil {
		return 0, err
	}
	id, cmd, addr, ctx := a.Int(0), a.Int(1), a.Addr(2), t.Ctx()
	if id < 0 || cmd < 0 {
		return 0, abi.EINVAL
	}
	switch cmd {
	case abi.IPC_RMID:
		return done0(ns.MsgRemove(ctx, id))
	case abi.IPC_SET:
		to, err := copyPerm(t, addr)
		if err != nil {
			return 0, err
		}
		var b [8]byte
		if err := t.MM().CopyIn(addr+msgQbytes, b[:]); err != nil {
			return 0, err
		}
		return done0(ns.MsgSet(ctx, id, to, binary.LittleEndian.Uint64(b[:])))
	case abi.IPC_INFO, abi.MSG_INFO:
		b, top := ns.MsgInfo(cmd == abi.MSG_INFO)
		return infoOut(t, addr, b, top)
	case abi.IPC_STAT, abi.MSG_STAT, abi.MSG_STAT_ANY:
		return msgStat(t, ns, id, cmd, addr)
	}
	return 0, abi.EINVAL
}

// msgQbytes is the offset of msg_qbytes in struct msqid64_ds.
const msgQbytes = 88

func msgStat(t *kernel.Task, ns *ipc.Namespace, id, cmd int32, addr abi.Addr) (uint64, error) {
	var st ipc.MsgStat
	var err error
	result := uint64(0)
	if cmd == abi.IPC_STAT {
		st, err = ns.MsgStat(t.Ctx(), id)
	} else {
		st, err = ns.MsgStatIndex(t.Ctx(), id, cmd == abi.MSG_STAT_ANY)
		result = uint64(st.ID)
	}
	if err != nil {
		return 0, err
	}
	st.Lspid, st.Lrpid = pidFromRoot(t, st.Lspid), pidFromRoot(t, st.Lrpid)
	return result, t.MM().CopyOut(addr, st.Encode(t.UserNS()))
}
