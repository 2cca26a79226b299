package vfs

import (
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"

	"lazaret/sentry/auth"
	"lazaret/sentry/uio"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// Limits of inotify(7) (/proc/sys/fs/inotify).
const (
	InotifyMaxQueued    = 16384 // events in one instance
	InotifyMaxWatches   = 65536 // watches of one user
	InotifyMaxInstances = 128   // instances of one user
)

// mark is a watch of one instance on one inode.
type mark struct {
	inst   *Inotify
	wd     int32
	list   *markList
	dentry *Dentry       // through which it was put
	mask   atomic.Uint32 // IN_* events, IN_ONESHOT, IN_EXCL_UNLINK
}

// markList is the marks on one inode.
type markList struct {
	count atomic.Int32

	mu    sync.RWMutex
	marks []*mark
}

// Inotify is an inotify instance: the FileOps of its file.
type Inotify struct {
	user auth.KUID
	wq   wait.Queue

	mu     sync.Mutex
	marks  map[int32]*mark
	lastWD int32
	queue  []inotifyEvent
}

type inotifyEvent struct {
	wd           int32
	mask, cookie uint32
	name         string
}

// inotifyUsers counts what users have, for the limits.
var inotifyUsers struct {
	sync.Mutex
	instances, watches map[auth.KUID]int
}

func chargeInotify(m *map[auth.KUID]int, u auth.KUID, n, limit int) bool {
	inotifyUsers.Lock()
	defer inotifyUsers.Unlock()
	if *m == nil {
		*m = make(map[auth.KUID]int)
	}
	c := (*m)[u] + n
	if n > 0 && c > limit {
		return false
	}
	if (*m)[u] = c; c == 0 {
		delete(*m, u)
	}
	return true
}

// NewInotify returns a new instance (inotify_init1(2)); flags are IN_NONBLOCK. EMFILE:
// the user has too many.
func NewInotify(ctx *Context, flags uint32) (*File, error) {
	u := ctx.Creds.RUID
	if !chargeInotify(&inotifyUsers.instances, u, 1, InotifyMaxInstances) {
		return nil, abi.EMFILE
	}
	in := &Inotify{user: u, marks: make(map[int32]*mark)}
	f, err := NewAnonFile(ctx, "inotify", in, abi.O_RDONLY|flags&abi.O_NONBLOCK, ModeRead|ModeStream|ModeNoSeek|ModeAsync)
	if err != nil {
		chargeInotify(&inotifyUsers.instances, u, -1, InotifyMaxInstances)
		return nil, err
	}
	return f, nil
}

// inotifyBits are the bits of which one is enough to make a watch (ALL_INOTIFY_BITS).
const inotifyBits = abi.IN_ALL_EVENTS | inUnmount | abi.IN_Q_OVERFLOW | inIgnored | abi.IN_ONLYDIR | abi.IN_DONT_FOLLOW |
	abi.IN_EXCL_UNLINK | abi.IN_MASK_ADD | inIsDir | abi.IN_ONESHOT

// AddWatch watches the inode at p (inotify_add_watch(2)) and returns the descriptor.
func (in *Inotify) AddWatch(ctx *Context, p Path, mask uint32) (int32, error) {
	if mask&inotifyBits == 0 || mask&abi.IN_MASK_ADD != 0 && mask&abi.IN_MASK_CREATE != 0 {
		return -1, abi.EINVAL
	}
	if mask&abi.IN_ONLYDIR != 0 && !p.Dentry.IsDir() {
		return -1, abi.ENOTDIR
	}
	if err := Permission(ctx, p, MayRead); err != nil {
		return -1, err
	}
	if !p.Dentry.TryIncRef() {
		return -1, abi.ENOENT
	}
	defer p.Dentry.DecRef()
	list := &p.Dentry.state.extension().marks
	keep := mask & (abi.IN_ALL_EVENTS | abi.IN_ONESHOT | abi.IN_EXCL_UNLINK)
	list.mu.Lock()
	defer list.mu.Unlock()
	for _, m := range list.marks {
		if m.inst != in {
			continue
		}
		if mask&abi.IN_MASK_CREATE != 0 {
			return -1, abi.EEXIST
		}
		if mask&abi.IN_MASK_ADD != 0 {
			keep |= m.mask.Load()
		}
		m.mask.Store(keep)
		return m.wd, nil
	}
	if !chargeInotify(&inotifyUsers.watches, in.user, 1, InotifyMaxWatches) {
		return -1, abi.ENOSPC
	}
	m := &mark{inst: in, list: list, dentry: p.Dentry}
	m.mask.Store(keep)
	in.mu.Lock()
	in.lastWD++
	m.wd = in.lastWD
	in.marks[m.wd] = m
	in.mu.Unlock()
	p.Dentry.setFlag(dWatched)
	list.marks = append(list.marks, m)
	list.count.Add(1)
	watches.Add(1)
	return m.wd, nil
}

// RemoveWatch is inotify_rm_watch(2).
func (in *Inotify) RemoveWatch(wd int32) error {
	in.mu.Lock()
	m := in.marks[wd]
	in.mu.Unlock()
	if m == nil || !m.list.remove(m) {
		return abi.EINVAL
	}
	m.dropped()
	return nil
}

// remove takes m off the list; false if it was not there any more.
func (l *markList) remove(m *mark) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.marks, m)
	if i < 0 {
		return false
	}
	l.marks = slices.Delete(l.marks, i, i+1)
	l.count.Add(-1)
	if len(l.marks) == 0 {
		m.dentry.flags.And(^uint32(dWatched))
	}
	return true
}

// dropped ends a mark that was taken off its list.
func (m *mark) dropped() {
	watches.Add(-1)
	chargeInotify(&inotifyUsers.watches, m.inst.user, -1, 0)
	m.inst.add(inotifyEvent{wd: m.wd, mask: inIgnored})
	m.inst.mu.Lock()
	delete(m.inst.marks, m.wd)
	m.inst.mu.Unlock()
}

// send queues an event to the marks that want it. name is set for events on entries of
// a directory; gone says that the entry has been removed.
func (l *markList) send(event, cookie uint32, name string, gone bool) {
	if l == nil {
		return
	}
	var once []*mark
	l.mu.RLock()
	for _, m := range l.marks {
		mask := m.mask.Load()
		if mask&event&abi.IN_ALL_EVENTS == 0 || gone && name != "" && mask&abi.IN_EXCL_UNLINK != 0 && event&(inDelete|inMovedFrom) == 0 {
			continue
		}
		m.inst.add(inotifyEvent{m.wd, event, cookie, name})
		if mask&abi.IN_ONESHOT != 0 {
			once = append(once, m)
		}
	}
	l.mu.RUnlock()
	for _, m := range once {
		if l.remove(m) {
			m.dropped()
		}
	}
}

// inodeGone ends all marks: the inode was removed or its file system unmounted.
func (l *markList) inodeGone(inode Inode, unmounted bool) {
	if l.count.Load() == 0 {
		return
	}
	event := uint32(inUnmount)
	if !unmounted {
		event = inDeleteSelf
		if a, err := inode.Attr(&Context{}, abi.AT_STATX_DONT_SYNC); err == nil && a.Nlink > 0 && a.Type() != abi.S_IFDIR {
			event = 0 // another name of it is left, which is not cached
		}
	}
	l.mu.Lock()
	marks := l.marks
	l.marks = nil
	l.count.Store(0)
	l.mu.Unlock()
	for _, m := range marks {
		switch {
		case event == inUnmount:
			m.inst.add(inotifyEvent{wd: m.wd, mask: event | dirBit(m.dentry)})
		case m.mask.Load()&event != 0:
			m.inst.add(inotifyEvent{wd: m.wd, mask: event})
		}
		m.dropped()
	}
}

// add queues an event, once if it is the same as the last one.
func (in *Inotify) add(e inotifyEvent) {
	in.mu.Lock()
	if in.marks[e.wd] == nil {
		in.mu.Unlock()
		return
	}
	if n := len(in.queue); n >= InotifyMaxQueued {
		e = inotifyEvent{wd: -1, mask: abi.IN_Q_OVERFLOW}
		if in.queue[n-1].mask == abi.IN_Q_OVERFLOW {
			in.mu.Unlock()
			return
		}
	} else if n > 0 && in.queue[n-1] == e && e.mask&inIgnored == 0 {
		in.mu.Unlock()
		return
	}
	in.queue = append(in.queue, e)
	in.mu.Unlock()
	in.wq.Notify(wait.In | abi.POLLRDNORM)
}

// size is the length of e in a read: the name is padded to a multiple of 16.
func (e *inotifyEvent) size() int {
	if e.name == "" {
		return 16
	}
	return 16 + (len(e.name)+1+15)&^15
}

func (e *inotifyEvent) encode(b []byte) {
	binary.NativeEndian.PutUint32(b, uint32(e.wd))
	binary.NativeEndian.PutUint32(b[4:], e.mask)
	binary.NativeEndian.PutUint32(b[8:], e.cookie)
	binary.NativeEndian.PutUint32(b[12:], uint32(len(b)-16))
	copy(b[16:], e.name)
}

// Read gives whole events (inotify(7)).
func (in *Inotify) Read(_ *Context, _ *File, dst uio.Bufs, _ *int64) (int, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.queue) == 0 {
		return 0, abi.EAGAIN
	}
	room, n, done := dst.Len(), 0, 0
	for i := range in.queue {
		s := in.queue[i].size()
		if n+s > room {
			break
		}
		b := make([]byte, s)
		in.queue[i].encode(b)
		dst.CopyFrom(b)
		dst = dst.Skip(s)
		n += s
		done++
	}
	if done == 0 {
		return 0, abi.EINVAL
	}
	if in.queue = in.queue[done:]; len(in.queue) == 0 {
		in.queue = nil
	}
	return n, nil
}

// Write fails: the file is read-only.
func (in *Inotify) Write(*Context, *File, uio.Bufs, *int64) (int, error) { return 0, abi.EBADF }

// Poll reports queued events.
func (in *Inotify) Poll(*File) wait.Mask {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.queue) > 0 {
		return wait.In | abi.POLLRDNORM
	}
	return 0
}

// WaitQueue is notified when events are queued.
func (in *Inotify) WaitQueue(*File) *wait.Queue { return &in.wq }

// Ioctl implements FIONREAD.
func (in *Inotify) Ioctl(_ *Context, _ *File, cmd uint32, arg uint64, mem uio.Memory) (uint64, error) {
	if cmd != abi.FIONREAD {
		return 0, abi.ENOTTY
	}
	n := 0
	in.mu.Lock()
	for i := range in.queue {
		n += in.queue[i].size()
	}
	in.mu.Unlock()
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], uint32(n))
	return 0, mem.CopyOut(abi.Addr(arg), b[:])
}

// Release ends all watches.
func (in *Inotify) Release(*File) {
	in.mu.Lock()
	all := make([]*mark, 0, len(in.marks))
	for _, m := range in.marks {
		all = append(all, m)
	}
	in.mu.Unlock()
	for _, m := range all {
		if m.list.remove(m) {
			m.dropped()
		}
	}
	chargeInotify(&inotifyUsers.instances, in.user, -1, 0)
}

// EachWatch calls fn for every watch in the order of the descriptors
// (/proc/PID/fdinfo).
func (in *Inotify) EachWatch(fn func(wd int32, ino, dev uint64, mask uint32)) {
	type watch struct {
		wd   int32
		d    *Dentry
		mask uint32
	}
	in.mu.Lock()
	all := make([]watch, 0, len(in.marks))
	for wd, m := range in.marks {
		all = append(all, watch{wd, m.dentry, m.mask.Load()})
	}
	in.mu.Unlock()
	slices.SortFunc(all, func(a, b watch) int { return int(a.wd - b.wd) })
	for _, w := range all {
		inode := w.d.Inode()
		if inode == nil {
			continue
		}
		// Without the number there is nothing to tell.
		if a, err := inode.Attr(&Context{}, abi.AT_STATX_DONT_SYNC); err == nil {
			fn(w.wd, a.Ino, w.d.Dev(), w.mask)
		}
	}
}
