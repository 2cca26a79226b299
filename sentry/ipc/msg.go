package ipc

import (
	"sync"
	"time"

	"lazaret/sentry/auth"
	"lazaret/sentry/memfile"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// Limits: kernel.msgmax and kernel.msgmnb.
const (
	msgMax  = abi.MSGMAX
	msgMNB  = abi.MSGMNB
	msgCost = 64 // charged for a message beside its bytes
)

type sysvMessage struct {
	typ  int64
	data []byte
	acct *memfile.Account
}

func (m *sysvMessage) free() {
	if m.acct != nil {
		m.acct.Uncharge(uint64(len(m.data)) + msgCost)
	}
}

// MsgQueue is a System V message queue.
type MsgQueue struct {
	ns        *Namespace
	readers   wait.Queue
	writers   wait.Queue
	p         Perm // under registry.mu
	mu        sync.Mutex
	messages  []*sysvMessage
	bytes     uint64
	qbytes    uint64
	stime     int64
	rtime     int64
	ctime     int64
	lspid     int32
	lrpid     int32
	destroyed bool
}

func (q *MsgQueue) perm() *Perm { return &q.p }

// Msgget is msgget(2).
func (ns *Namespace) Msgget(ctx *vfs.Context, key int32, flags uint32) (int32, error) {
	create := func(p Perm) (*MsgQueue, error) {
		return &MsgQueue{ns: ns, p: p, qbytes: msgMNB, ctime: now(ctx)}, nil
	}
	return ns.msg.get(ctx, ns.user, key, flags, create, func(*MsgQueue) error { return nil })
}

// Msgsnd is msgsnd(2).
func (ns *Namespace) Msgsnd(ctx *vfs.Context, id int32, typ int64, data []byte, flags uint32) error {
	if len(data) > msgMax || id < 0 || typ < 1 {
		return abi.EINVAL
	}
	q, err := ns.msg.use(ctx, id, 0o222)
	if err != nil {
		return err
	}
	err = q.send(ctx, typ, data)
	if err != abi.EAGAIN || flags&abi.IPC_NOWAIT != 0 || ctx.Sleeper == nil {
		return err
	}
	werr := wait.Until(ctx.Sleeper, &q.writers, wait.Out, time.Time{}, func() bool {
		err = q.send(ctx, typ, data)
		return err != abi.EAGAIN
	})
	if werr != nil {
		return abi.ERESTARTNOHAND
	}
	return err
}

func (q *MsgQueue) send(ctx *vfs.Context, typ int64, data []byte) error {
	q.mu.Lock()
	if q.destroyed {
		q.mu.Unlock()
		return abi.EIDRM
	}
	n := uint64(len(data))
	if q.bytes+n > q.qbytes || uint64(len(q.messages))+1 > q.qbytes {
		q.mu.Unlock()
		return abi.EAGAIN
	}
	if ctx.Account != nil {
		if err := ctx.Account.Charge(n + msgCost); err != nil {
			q.mu.Unlock()
			return err
		}
	}
	q.messages = append(q.messages, &sysvMessage{typ, append([]byte(nil), data...), ctx.Account})
	q.bytes += n
	q.lspid, q.stime = ctx.PID, now(ctx)
	q.mu.Unlock()
	q.readers.Notify(wait.In)
	return nil
}

// Msgrcv is msgrcv(2): the type and the bytes, at most size, of the message that typ picks.
func (ns *Namespace) Msgrcv(ctx *vfs.Context, id int32, size uint64, typ int64, flags uint32) (int64, []byte, error) {
	if id < 0 || size > 1<<63-1 {
		return 0, nil, abi.EINVAL
	}
	if flags&abi.MSG_COPY != 0 && (flags&abi.MSG_EXCEPT != 0 || flags&abi.IPC_NOWAIT == 0) {
		return 0, nil, abi.EINVAL
	}
	q, err := ns.msg.use(ctx, id, 0o444)
	if err != nil {
		return 0, nil, err
	}
	m, err := q.receive(ctx, size, typ, flags)
	if err == abi.EAGAIN && flags&abi.IPC_NOWAIT != 0 || err == abi.EAGAIN && ctx.Sleeper == nil {
		return 0, nil, abi.ENOMSG
	}
	if err == abi.EAGAIN {
		werr := wait.Until(ctx.Sleeper, &q.readers, wait.In, time.Time{}, func() bool {
			m, err = q.receive(ctx, size, typ, flags)
			return err != abi.EAGAIN
		})
		if werr != nil {
			return 0, nil, abi.ERESTARTNOHAND
		}
	}
	if err != nil {
		return 0, nil, err
	}
	return m.typ, m.data[:min(uint64(len(m.data)), size)], nil
}

// pickLocked returns the index of the message that typ means, -1 if there is none.
func (q *MsgQueue) pickLocked(typ int64, flags uint32) int {
	best := -1
	for i, m := range q.messages {
		switch {
		case flags&abi.MSG_COPY != 0:
			if int64(i) == typ {
				return i
			}
		case typ == 0, typ > 0 && (m.typ == typ) != (flags&abi.MSG_EXCEPT != 0):
			return i
		case typ < 0 && m.typ <= -max(typ, -1<<63+1) && (best < 0 || m.typ < q.messages[best].typ):
			best = i
		}
	}
	return best
}

func (q *MsgQueue) receive(ctx *vfs.Context, size uint64, typ int64, flags uint32) (*sysvMessage, error) {
	q.mu.Lock()
	if q.destroyed {
		q.mu.Unlock()
		return nil, abi.EIDRM
	}
	i := q.pickLocked(typ, flags)
	if i < 0 {
		q.mu.Unlock()
		return nil, abi.EAGAIN
	}
	m := q.messages[i]
	if uint64(len(m.data)) > size && flags&abi.MSG_NOERROR == 0 {
		q.mu.Unlock()
		return nil, abi.E2BIG
	}
	if flags&abi.MSG_COPY != 0 {
		q.mu.Unlock()
		return m, nil
	}
	q.messages = append(q.messages[:i], q.messages[i+1:]...)
	q.bytes -= uint64(len(m.data))
	q.lrpid, q.rtime = ctx.PID, now(ctx)
	q.mu.Unlock()
	m.free()
	q.writers.Notify(wait.Out)
	return m, nil
}

func (q *MsgQueue) die() {
	q.mu.Lock()
	q.destroyed = true
	for _, m := range q.messages {
		m.free()
	}
	q.messages, q.bytes = nil, 0
	q.mu.Unlock()
	q.readers.Notify(wait.In)
	q.writers.Notify(wait.Out)
}

// MsgRemove is IPC_RMID.
func (ns *Namespace) MsgRemove(ctx *vfs.Context, id int32) error {
	q, err := ns.msg.remove(ctx, id)
	if err != nil {
		return err
	}
	q.die()
	return nil
}

// MsgSet is IPC_SET. More than kernel.msgmnb needs CAP_SYS_RESOURCE.
func (ns *Namespace) MsgSet(ctx *vfs.Context, id int32, to SetPerm, qbytes uint64) error {
	if qbytes > msgMNB && !ctx.Creds.HasCapIn(abi.CAP_SYS_RESOURCE, ns.user) {
		return abi.EPERM
	}
	q, err := ns.msg.set(ctx, id, to)
	if err != nil {
		return err
	}
	q.mu.Lock()
	q.qbytes, q.ctime = min(qbytes, 1<<20), now(ctx)
	q.mu.Unlock()
	q.readers.Notify(wait.In)
	q.writers.Notify(wait.Out)
	return nil
}

// MsgStat is a copy of a queue's state.
type MsgStat struct {
	Perm
	Stime, Rtime, Ctime int64
	Bytes, Num, Qbytes  uint64
	Lspid, Lrpid        int32
}

func (q *MsgQueue) stat() MsgStat {
	q.ns.msg.mu.Lock()
	p := q.p
	q.ns.msg.mu.Unlock()
	q.mu.Lock()
	defer q.mu.Unlock()
	return MsgStat{p, q.stime, q.rtime, q.ctime, q.bytes, uint64(len(q.messages)), q.qbytes, q.lspid, q.lrpid}
}

// MsgStat is IPC_STAT.
func (ns *Namespace) MsgStat(ctx *vfs.Context, id int32) (MsgStat, error) {
	q, err := ns.msg.use(ctx, id, 0o444)
	if err != nil {
		return MsgStat{}, err
	}
	return q.stat(), nil
}

// MsgStatIndex is MSG_STAT, or for anyone MSG_STAT_ANY.
func (ns *Namespace) MsgStatIndex(ctx *vfs.Context, idx int32, anyone bool) (MsgStat, error) {
	q, err := ns.msg.at(ctx, idx, anyone)
	if err != nil {
		return MsgStat{}, err
	}
	return q.stat(), nil
}

// MsgAll returns all queues (/proc/sysvipc/msg).
func (ns *Namespace) MsgAll() []MsgStat {
	var out []MsgStat
	for _, q := range ns.msg.all() {
		out = append(out, q.stat())
	}
	return out
}

// Encode is struct msqid64_ds.
func (s *MsgStat) Encode(ns *auth.UserNamespace) []byte {
	b := s.Perm.encode(ns)
	for _, v := range []uint64{uint64(s.Stime), uint64(s.Rtime), uint64(s.Ctime), s.Bytes, s.Num, s.Qbytes} {
		b = u64(b, v)
	}
	b = u32(u32(b, uint32(s.Lspid)), uint32(s.Lrpid))
	return u64(u64(b, 0), 0)
}

// MsgInfo is IPC_INFO, with usage MSG_INFO: struct msginfo and the highest index in use.
func (ns *Namespace) MsgInfo(usage bool) ([]byte, int32) {
	n, high := ns.msg.highest()
	pool, msgs, segs := uint32(abi.MSGMNI*msgMNB/1024), uint32(msgMNB), uint32(0xffff)
	if usage {
		pool, msgs, segs = uint32(n), 0, 0
		for _, s := range ns.MsgAll() {
			msgs += uint32(s.Num)
			segs += uint32(s.Bytes)
		}
	}
	// msgpool, msgmap, msgmax, msgmnb, msgmni, msgssz, msgtql; msgseg is 16 bits.
	b := []byte(nil)
	first := []uint32{pool, msgMNB, msgMax, msgMNB, abi.MSGMNI, 16, msgMNB}
	if usage {
		first[1], first[6] = msgs, segs
	}
	for _, v := range first {
		b = u32(b, v)
	}
	return u32(b, 0xffff), max(high, 0)
}
