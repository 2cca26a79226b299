package syscalls

import (
	"time"

	"lazaret/sentry/ipc"
	"lazaret/sentry/kernel"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

var mqueueRows = []Row{
	full(abi.SYS_MQ_OPEN, "mq_open", MqOpen, Path, Hex, Octal, Buf),
	full(abi.SYS_MQ_UNLINK, "mq_unlink", MqUnlink, Path),
	full(abi.SYS_MQ_TIMEDSEND, "mq_timedsend", MqTimedsend, FD, Buf, Hex, Int, Buf),
	full(abi.SYS_MQ_TIMEDRECEIVE, "mq_timedreceive", MqTimedreceive, FD, Buf, Hex, Buf, Buf),
	partial(abi.SYS_MQ_NOTIFY, "mq_notify", MqNotify, "by signal; SIGEV_THREAD needs a netlink socket", FD, Buf),
	full(abi.SYS_MQ_GETSETATTR, "mq_getsetattr", MqGetsetattr, FD, Buf, Buf),
}

// mqAttr is struct mq_attr.
type mqAttr struct {
	ipc.MqAttr
	_ [4]int64
}

// MqOpen is mq_open(2).
func MqOpen(t *kernel.Task, a *abi.Args) (uint64, error) {
	ns, err := ipcNS(t)
	if err != nil {
		return 0, err
	}
	name, err := copyPath(t, a.Addr(0))
	if err != nil {
		return 0, err
	}
	flags := a.Uint(1)
	var attr *ipc.MqAttr
	if addr := a.Addr(3); addr != 0 && flags&abi.O_CREAT != 0 {
		at, err := copyIn[mqAttr](t, addr)
		if err != nil {
			return 0, err
		}
		attr = &at.MqAttr
	}
	f, err := ns.MqOpen(t.Ctx(), name, flags, a.Uint(2)&0o7777, attr)
	if err != nil {
		return 0, err
	}
	return install(t, f, true)
}

// MqUnlink is mq_unlink(2).
func MqUnlink(t *kernel.Task, a *abi.Args) (uint64, error) {
	ns, err := ipcNS(t)
	if err != nil {
		return 0, err
	}
	name, err := copyPath(t, a.Addr(0))
	if err != nil {
		return 0, err
	}
	return done0(ns.MqUnlink(t.Ctx(), name))
}

// getMqueue returns the queue behind fd: EBADF if it is something else.
func getMqueue(t *kernel.Task, fd int32) (*vfs.File, *ipc.Mqueue, error) {
	f, err := getIOFile(t, fd)
	if err != nil {
		return nil, nil, err
	}
	q, err := ipc.MqueueOf(f)
	if err != nil {
		f.DecRef()
		return nil, nil, err
	}
	return f, q, nil
}

// mqDeadline reads the absolute timeout, which is on the real time clock.
func mqDeadline(t *kernel.Task, addr abi.Addr) (time.Time, error) {
	return futexDeadline(t, addr, true)
}

// MqTimedsend is mq_timedsend(2).
func MqTimedsend(t *kernel.Task, a *abi.Args) (uint64, error) {
	deadline, err := mqDeadline(t, a.Addr(4))
	if err != nil {
		return 0, err
	}
	if a.Uint(3) >= abi.MQ_PRIO_MAX {
		return 0, abi.EINVAL
	}
	f, q, err := getMqueue(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	if f.Mode&vfs.ModeWrite == 0 {
		return 0, abi.EBADF
	}
	if a.Size(2) > uint64(q.GetAttr(f).MsgSize) {
		return 0, abi.EMSGSIZE
	}
	data := make([]byte, a.Size(2))
	if err := t.MM().CopyIn(a.Addr(1), data); err != nil {
		return 0, err
	}
	return done0(q.Send(t.Ctx(), f, data, a.Uint(3), deadline))
}

// MqTimedreceive is mq_timedreceive(2).
func MqTimedreceive(t *kernel.Task, a *abi.Args) (uint64, error) {
	deadline, err := mqDeadline(t, a.Addr(4))
	if err != nil {
		return 0, err
	}
	f, q, err := getMqueue(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	data, prio, err := q.Receive(t.Ctx(), f, a.Size(2), deadline)
	if err != nil {
		return 0, err
	}
	if addr := a.Addr(3); addr != 0 {
		if err := copyOut(t, addr, &prio); err != nil {
			return 0, err
		}
	}
	return uint64(len(data)), t.MM().CopyOut(a.Addr(1), data)
}

// mqNotifier sends the signal that a process asked for: ipc.MqNotifier.
type mqNotifier struct {
	group *kernel.ThreadGroup
	signo int32
	value uint64
}

// MessageArrived implements ipc.MqNotifier.
func (n *mqNotifier) MessageArrived(sender ipc.MqSender) {
	if n.signo == 0 {
		return // SIGEV_NONE
	}
	info := abi.Siginfo{Signo: n.signo, Code: abi.SI_MESGQ}
	k, leader := n.group.Kernel(), n.group.Leader()
	if g := k.GroupByID(k.RootPIDNS, sender.PID); g != nil && leader != nil {
		info.SetPID(g.PIDIn(leader.PIDNS()))
		info.SetUID(leader.UserNS().UID(sender.UID))
	}
	info.SetValue(n.value)
	_ = n.group.SendInfo(&info)
}

// MqNotify is mq_notify(2).
func MqNotify(t *kernel.Task, a *abi.Args) (uint64, error) {
	var n ipc.MqNotifier
	signo := int32(0)
	if addr := a.Addr(1); addr != 0 {
		e, err := copyIn[sigevent](t, addr)
		if err != nil {
			return 0, err
		}
		switch e.Notify {
		case abi.SIGEV_NONE:
		case abi.SIGEV_SIGNAL:
			if signo = e.Signo; signo <= 0 || signo > abi.NSIG {
				return 0, abi.EINVAL
			}
		default:
			return 0, abi.EINVAL
		}
		n = &mqNotifier{group: t.ThreadGroup(), signo: signo, value: e.Value}
	}
	f, q, err := getMqueue(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	return done0(q.Notify(t.Ctx(), n, signo))
}

// MqGetsetattr is mq_getsetattr(2): only O_NONBLOCK can be set.
func MqGetsetattr(t *kernel.Task, a *abi.Args) (uint64, error) {
	var to mqAttr
	if addr := a.Addr(1); addr != 0 {
		var err error
		if to, err = copyIn[mqAttr](t, addr); err != nil {
			return 0, err
		}
		if to.Flags&^abi.O_NONBLOCK != 0 {
			return 0, abi.EINVAL
		}
	}
	f, q, err := getMqueue(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	old := mqAttr{MqAttr: q.GetAttr(f)}
	if a.Addr(1) != 0 {
		f.SetNonBlocking(to.Flags&abi.O_NONBLOCK != 0)
	}
	if addr := a.Addr(2); addr != 0 {
		return done0(copyOut(t, addr, &old))
	}
	return 0, nil
}
