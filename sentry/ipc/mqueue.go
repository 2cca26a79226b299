package ipc

import (
	"fmt"
	"sync"
	"time"

	"lazaret/sentry/auth"
	"lazaret/sentry/memfile"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// MqAttr is what mq_open and mq_getattr say about a queue.
type MqAttr struct {
	Flags   int64 // O_NONBLOCK, of the description
	MaxMsg  int64
	MsgSize int64
	CurMsgs int64
}

var defaultAttr = MqAttr{MaxMsg: 10, MsgSize: 8192}

// Limits of fs.mqueue; the hard ones are for CAP_SYS_RESOURCE.
const (
	mqMsgMax      = 10
	mqSizeMax     = 8192
	mqHardMsgMax  = 65536
	mqHardSizeMax = 16 << 20
	mqPrioMax     = 32768
	mqCost        = 64 // charged for a message beside its bytes
)

type mqMessage struct {
	prio uint32
	data []byte
	acct *memfile.Account
}

func (m *mqMessage) free() {
	if m.acct != nil {
		m.acct.Uncharge(uint64(len(m.data)) + mqCost)
	}
}

// MqNotifier is told, once and without locks, that a message came to an empty queue
// (mq_notify(3)). sender is of whom.
type MqNotifier interface {
	MessageArrived(sender MqSender)
}

// MqSender identifies a sender for the siginfo of a notification.
type MqSender struct {
	PID int32
	UID auth.KUID
}

// Mqueue is a POSIX message queue, the inode of its file.
type Mqueue struct {
	vfs.InodeState
	root *mqRoot
	ino  uint64
	max  int64
	size int64

	queue wait.Queue

	mu        sync.Mutex
	mode      uint32
	uid       auth.KUID
	gid       auth.KGID
	ctime     abi.Timespec
	unlinked  bool
	opens     int
	messages  []*mqMessage // by priority, then age
	bytes     uint64
	waiting   int // blocked receivers: they go before a notification
	notify    MqNotifier
	notifyPID int32
	signo     int32
}

// openMq is the open file of a queue.
type openMq struct{ q *Mqueue }

// MqOpen is mq_open(2); name is without its leading slash. attr may be nil.
func (ns *Namespace) MqOpen(ctx *vfs.Context, name string, flags, mode uint32, attr *MqAttr) (*vfs.File, error) {
	if attr != nil && flags&abi.O_CREAT != 0 {
		maxMsg, maxSize := int64(mqMsgMax), int64(mqSizeMax)
		if ctx.Creds.HasCapIn(abi.CAP_SYS_RESOURCE, ns.user) {
			maxMsg, maxSize = mqHardMsgMax, mqHardSizeMax
		}
		if attr.MaxMsg <= 0 || attr.MsgSize <= 0 || attr.MaxMsg > maxMsg || attr.MsgSize > maxSize {
			return nil, abi.EINVAL
		}
	}
	for i := range len(name) {
		if name[i] == '/' {
			return nil, abi.EACCES
		}
	}
	fs := ns.mq
	fs.openMu.Lock()
	defer fs.openMu.Unlock()
	fs.newAttr = attr
	defer func() { fs.newAttr = nil }()
	const keep = abi.O_ACCMODE | abi.O_CREAT | abi.O_EXCL | abi.O_NONBLOCK | abi.O_CLOEXEC
	return vfs.OpenAt(ctx, fs.path(), name, vfs.OpenHow{Flags: flags&keep | abi.O_NOFOLLOW, Mode: mode & 0o777})
}

// MqUnlink is mq_unlink(2).
func (ns *Namespace) MqUnlink(ctx *vfs.Context, name string) error {
	return vfs.UnlinkAt(ctx, ns.mq.path(), name)
}

// MqueueOf returns the queue behind f: EBADF if it is none.
func MqueueOf(f *vfs.File) (*Mqueue, error) {
	if o, ok := f.Ops.(*openMq); ok {
		return o.q, nil
	}
	return nil, abi.EBADF
}

// GetAttr is mq_getattr through f.
func (q *Mqueue) GetAttr(f *vfs.File) MqAttr {
	q.mu.Lock()
	defer q.mu.Unlock()
	return MqAttr{int64(f.Flags() & abi.O_NONBLOCK), q.max, q.size, int64(len(q.messages))}
}

// Send is mq_timedsend(2); deadline zero is never.
func (q *Mqueue) Send(ctx *vfs.Context, f *vfs.File, data []byte, prio uint32, deadline time.Time) error {
	if f.Mode&vfs.ModeWrite == 0 {
		return abi.EBADF
	}
	if prio >= mqPrioMax {
		return abi.EINVAL
	}
	if int64(len(data)) > q.size {
		return abi.EMSGSIZE
	}
	err := q.send(ctx, data, prio)
	if err != abi.EAGAIN || f.NonBlocking() || ctx.Sleeper == nil {
		return err
	}
	werr := wait.Until(ctx.Sleeper, &q.queue, wait.Out, deadline, func() bool {
		err = q.send(ctx, data, prio)
		return err != abi.EAGAIN
	})
	if werr != nil {
		return werr
	}
	return err
}

func (q *Mqueue) send(ctx *vfs.Context, data []byte, prio uint32) error {
	q.mu.Lock()
	if int64(len(q.messages)) >= q.max {
		q.mu.Unlock()
		return abi.EAGAIN
	}
	if ctx.Account != nil {
		if err := ctx.Account.Charge(uint64(len(data)) + mqCost); err != nil {
			q.mu.Unlock()
			return err
		}
	}
	at := len(q.messages)
	for at > 0 && q.messages[at-1].prio < prio {
		at--
	}
	m := &mqMessage{prio, append([]byte(nil), data...), ctx.Account}
	q.messages = append(q.messages, nil)
	copy(q.messages[at+1:], q.messages[at:])
	q.messages[at] = m
	q.bytes += uint64(len(data))
	var tell MqNotifier
	if len(q.messages) == 1 && q.waiting == 0 && q.notify != nil {
		tell, q.notify = q.notify, nil
	}
	q.mu.Unlock()
	q.queue.Notify(wait.In | abi.POLLRDNORM)
	if tell != nil {
		tell.MessageArrived(MqSender{ctx.PID, ctx.Creds.RUID})
	}
	return nil
}

// Receive is mq_timedreceive(2): size is the room of the caller, EMSGSIZE if it is less than
// the size of a message may be.
func (q *Mqueue) Receive(ctx *vfs.Context, f *vfs.File, size uint64, deadline time.Time) (data []byte, prio uint32, err error) {
	if f.Mode&vfs.ModeRead == 0 {
		return nil, 0, abi.EBADF
	}
	if size < uint64(q.size) {
		return nil, 0, abi.EMSGSIZE
	}
	m := q.take()
	if m == nil && (f.NonBlocking() || ctx.Sleeper == nil) {
		return nil, 0, abi.EAGAIN
	}
	if m == nil {
		q.wait(1)
		err := wait.Until(ctx.Sleeper, &q.queue, wait.In, deadline, func() bool {
			m = q.take()
			return m != nil
		})
		q.wait(-1)
		if err != nil {
			return nil, 0, err
		}
	}
	return m.data, m.prio, nil
}

func (q *Mqueue) wait(n int) {
	q.mu.Lock()
	q.waiting += n
	q.mu.Unlock()
}

func (q *Mqueue) take() *mqMessage {
	q.mu.Lock()
	if len(q.messages) == 0 {
		q.mu.Unlock()
		return nil
	}
	m := q.messages[0]
	q.messages = append(q.messages[:0], q.messages[1:]...)
	q.bytes -= uint64(len(m.data))
	q.mu.Unlock()
	m.free()
	q.queue.Notify(wait.Out | abi.POLLWRNORM)
	return m
}

// Notify is mq_notify(2): n is told of the next message, nil takes the caller's
// registration back. EBUSY if somebody is registered.
func (q *Mqueue) Notify(ctx *vfs.Context, n MqNotifier, signo int32) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if n == nil {
		if q.notifyPID == ctx.PID {
			q.notify, q.notifyPID = nil, 0
		}
		return nil
	}
	if q.notify != nil {
		return abi.EBUSY
	}
	q.notify, q.notifyPID, q.signo = n, ctx.PID, signo
	return nil
}

// Attr implements vfs.Inode.
func (q *Mqueue) Attr(*vfs.Context, int) (vfs.Attr, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	a := vfs.Attr{
		Ino: q.ino, Mode: q.mode, Nlink: 1, UID: q.uid, GID: q.gid, Size: 80, BlkSize: abi.PageSize,
		Atime: q.ctime, Mtime: q.ctime, Ctime: q.ctime,
	}
	if q.unlinked {
		a.Nlink = 0
	}
	return a, nil
}

// SetAttr implements vfs.Inode.
func (q *Mqueue) SetAttr(_ *vfs.Context, set *vfs.SetAttr) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	setOwner(set, &q.mode, &q.uid, &q.gid)
	return nil
}

// Super implements vfs.Inode.
func (q *Mqueue) Super() *vfs.Super { return q.root.fs.super }

// Open implements vfs.Inode.
func (q *Mqueue) Open(*vfs.Context, *vfs.File) (vfs.FileOps, error) {
	q.mu.Lock()
	q.opens++
	q.mu.Unlock()
	return &openMq{q}, nil
}

func (q *Mqueue) unlink() {
	q.mu.Lock()
	q.unlinked = true
	unused := q.opens == 0
	q.mu.Unlock()
	if unused {
		q.clear()
	}
}

func (q *Mqueue) clear() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.messages {
		m.free()
	}
	q.messages, q.bytes = nil, 0
}

// Read implements vfs.FileOps: the line about the queue's state (mq_overview(7)).
func (o *openMq) Read(_ *vfs.Context, _ *vfs.File, dst uio.Bufs, pos *int64) (int, error) {
	q := o.q
	q.mu.Lock()
	pid, signo := int32(0), int32(0)
	if q.notify != nil {
		pid, signo = q.notifyPID, q.signo
	}
	s := fmt.Sprintf("QSIZE:%-10d NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n", q.bytes, 0, signo, pid)
	q.mu.Unlock()
	if *pos < 0 || *pos >= int64(len(s)) {
		return 0, nil
	}
	n := dst.CopyFrom([]byte(s)[*pos:])
	*pos += int64(n)
	return n, nil
}

// Write implements vfs.FileOps.
func (o *openMq) Write(*vfs.Context, *vfs.File, uio.Bufs, *int64) (int, error) {
	return 0, abi.EINVAL
}

// Poll implements vfs.Poller.
func (o *openMq) Poll(*vfs.File) wait.Mask {
	q := o.q
	q.mu.Lock()
	defer q.mu.Unlock()
	var m wait.Mask
	if len(q.messages) > 0 {
		m |= wait.In | abi.POLLRDNORM
	}
	if int64(len(q.messages)) < q.max {
		m |= wait.Out | abi.POLLWRNORM
	}
	return m
}

// WaitQueue implements vfs.Poller.
func (o *openMq) WaitQueue(*vfs.File) *wait.Queue { return &o.q.queue }

// Flush implements vfs.Flusher: a process that closes any descriptor of the queue is
// notified no more.
func (o *openMq) Flush(ctx *vfs.Context, _ *vfs.File) error {
	return o.q.Notify(ctx, nil, 0)
}

// Release implements vfs.FileOps.
func (o *openMq) Release(*vfs.File) {
	q := o.q
	q.mu.Lock()
	q.opens--
	gone := q.opens == 0 && q.unlinked
	q.mu.Unlock()
	if gone {
		q.clear()
	}
}
