package vfs

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// maxLocks is the most locks on one inode: ENOLCK beyond.
const maxLocks = 1 << 16

// lockEnd is the end of a lock that reaches to the end of the file.
const lockEnd = int64(1<<63 - 1)

// fileLocks is the advisory locks on one inode.
type fileLocks struct {
	used   atomic.Bool // a lock was ever taken
	queue  wait.Queue  // notified when locks go
	mu     sync.Mutex
	flocks []flock
	posix  []RecordLock // sorted by owner's first range; at most one for each byte and owner
}

type flock struct {
	owner     *File
	exclusive bool
}

// RecordLock is a POSIX or OFD lock on bytes [Start, End] (fcntl(2)).
type RecordLock struct {
	Owner      any   // *FDTable for POSIX locks, *File for OFD locks
	PID        int32 // of the owner, -1 for OFD locks
	Type       int16 // F_RDLCK, F_WRLCK, F_UNLCK
	Start, End int64 // inclusive; End is MaxInt64 for the end of the file
}

func locksOf(f *File) *fileLocks { return &f.Path.Dentry.state.extension().locks }

// Flock is flock(2); op is LOCK_SH, LOCK_EX or LOCK_UN, with LOCK_NB.
func (f *File) Flock(ctx *Context, op uint32) error {
	if f.Mode&ModePath != 0 {
		return abi.EBADF
	}
	if op&abi.LOCK_MAND != 0 {
		return nil // mandatory locks are gone; Linux ignores the request since 5.16
	}
	l := locksOf(f)
	var exclusive bool
	switch op &^ abi.LOCK_NB {
	case abi.LOCK_UN:
		l.unflock(f)
		return nil
	case abi.LOCK_SH:
	case abi.LOCK_EX:
		exclusive = true
	default:
		return abi.EINVAL
	}
	f.locked.Store(true)
	l.used.Store(true)
	if err := l.tryFlock(f, exclusive); err != abi.EAGAIN || op&abi.LOCK_NB != 0 || ctx.Sleeper == nil {
		return err
	}
	var err error
	werr := wait.Until(ctx.Sleeper, &l.queue, wait.In, time.Time{}, func() bool {
		err = l.tryFlock(f, exclusive)
		return err != abi.EAGAIN
	})
	if werr != nil {
		return werr
	}
	return err
}

// tryFlock takes the lock for f or gives EAGAIN. A lock that f has is converted, which
// loses it when that fails (flock(2)).
func (l *fileLocks) tryFlock(f *File, exclusive bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, k := range l.flocks {
		if k.owner == f {
			if k.exclusive == exclusive {
				return nil
			}
			l.flocks = slices.Delete(l.flocks, i, i+1)
			l.queue.Notify(wait.In)
			break
		}
	}
	for _, k := range l.flocks {
		if exclusive || k.exclusive {
			return abi.EAGAIN
		}
	}
	if len(l.flocks) >= maxLocks {
		return abi.ENOLCK
	}
	l.flocks = append(l.flocks, flock{f, exclusive})
	return nil
}

func (l *fileLocks) unflock(f *File) {
	l.mu.Lock()
	n := len(l.flocks)
	l.flocks = slices.DeleteFunc(l.flocks, func(k flock) bool { return k.owner == f })
	gone := len(l.flocks) < n
	l.mu.Unlock()
	if gone {
		l.queue.Notify(wait.In)
	}
}

// conflictLocked returns a lock that keeps k from being taken.
func (l *fileLocks) conflictLocked(k *RecordLock) *RecordLock {
	for i := range l.posix {
		o := &l.posix[i]
		if o.Owner != k.Owner && o.Start <= k.End && k.Start <= o.End && (o.Type == abi.F_WRLCK || k.Type == abi.F_WRLCK) {
			return o
		}
	}
	return nil
}

// TestLock is F_GETLK and F_OFD_GETLK: the first lock in the way of k, or k with type
// F_UNLCK.
func (f *File) TestLock(k RecordLock) RecordLock {
	l := locksOf(f)
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.conflictLocked(&k); c != nil {
		return *c
	}
	k.Type = abi.F_UNLCK
	return k
}

// LockWait is how SetLock treats a lock that is in the way.
type LockWait int

// Values of LockWait.
const (
	LockNoWait LockWait = iota // EAGAIN (F_SETLK)
	LockSleep                  // wait (F_SETLKW)
)

// SetLock is F_SETLK, F_SETLKW and their OFD kinds.
func (f *File) SetLock(ctx *Context, k RecordLock, how LockWait) error {
	if f.Mode&ModePath != 0 {
		return abi.EBADF
	}
	if k.Type == abi.F_RDLCK && f.Mode&ModeRead == 0 || k.Type == abi.F_WRLCK && f.Mode&ModeWrite == 0 {
		return abi.EBADF
	}
	if k.Start < 0 || k.End < k.Start {
		return abi.EINVAL
	}
	l := locksOf(f)
	l.used.Store(true)
	if k.Owner == any(f) {
		f.locked.Store(true)
	}
	blocker, err := l.trySet(&k)
	if err != abi.EAGAIN || how == LockNoWait || ctx.Sleeper == nil {
		return err
	}
	defer clearWaiting(k.Owner)
	werr := wait.Until(ctx.Sleeper, &l.queue, wait.In, time.Time{}, func() bool {
		if blocker, err = l.trySet(&k); err == abi.EAGAIN && setWaiting(&k, blocker) {
			err = abi.EDEADLK
		}
		return err != abi.EAGAIN
	})
	if werr != nil {
		return werr
	}
	return err
}

// trySet takes the lock, or gives EAGAIN and the owner of the one in the way.
func (l *fileLocks) trySet(k *RecordLock) (blocker any, err error) {
	l.mu.Lock()
	if k.Type != abi.F_UNLCK {
		if c := l.conflictLocked(k); c != nil {
			blocker = c.Owner
			l.mu.Unlock()
			return blocker, abi.EAGAIN
		}
	}
	if len(l.posix) >= maxLocks && k.Type != abi.F_UNLCK {
		l.mu.Unlock()
		return nil, abi.ENOLCK
	}
	loosened := l.applyLocked(*k)
	l.mu.Unlock()
	if loosened {
		l.queue.Notify(wait.In)
	}
	return nil, nil
}

// applyLocked puts k in place of its owner's locks on the same bytes and joins it with
// neighbours of its type. It reports whether waiters may have a chance.
func (l *fileLocks) applyLocked(k RecordLock) (loosened bool) {
	out := make([]RecordLock, 0, len(l.posix)+2)
	for _, o := range l.posix {
		touches := o.Start <= k.End && k.Start <= o.End
		adjacent := o.Type == k.Type && (k.Start > 0 && o.End == k.Start-1 || o.Start > 0 && k.End == o.Start-1)
		if o.Owner != k.Owner || !touches && !adjacent {
			out = append(out, o)
			continue
		}
		if o.Type == k.Type {
			k.Start, k.End = min(k.Start, o.Start), max(k.End, o.End)
			continue
		}
		loosened = true
		if o.Start < k.Start {
			left := o
			left.End = k.Start - 1
			out = append(out, left)
		}
		if o.End > k.End {
			right := o
			right.Start = k.End + 1
			out = append(out, right)
		}
	}
	if k.Type != abi.F_UNLCK {
		out = append(out, k)
	}
	l.posix = out
	return loosened
}

// waiting says which owner waits for which, to find deadlocks between POSIX locks.
var waiting struct {
	sync.Mutex
	on map[any]any
}

// setWaiting records that k's owner waits for blocker. It reports a deadlock instead if
// blocker waits for k's owner, by whatever chain. OFD locks are not checked (fcntl(2)).
func setWaiting(k *RecordLock, blocker any) (deadlock bool) {
	if _, ofd := k.Owner.(*File); ofd {
		return false
	}
	waiting.Lock()
	defer waiting.Unlock()
	for o, hops := blocker, 0; o != nil && hops < 1000; o, hops = waiting.on[o], hops+1 {
		if o == k.Owner {
			return true
		}
	}
	if waiting.on == nil {
		waiting.on = make(map[any]any)
	}
	waiting.on[k.Owner] = blocker
	return false
}

func clearWaiting(owner any) {
	waiting.Lock()
	delete(waiting.on, owner)
	waiting.Unlock()
}

// dropOwner removes all locks of an owner.
func (l *fileLocks) dropOwner(owner any) {
	l.mu.Lock()
	n := len(l.posix)
	l.posix = slices.DeleteFunc(l.posix, func(k RecordLock) bool { return k.Owner == owner })
	gone := len(l.posix) < n
	l.mu.Unlock()
	if gone {
		l.queue.Notify(wait.In)
	}
}

// dropPosixLocks removes t's POSIX locks on f's inode: any close of any descriptor of
// the file does that (fcntl(2)).
func dropPosixLocks(f *File, t *FDTable) {
	if f.Mode&ModePath != 0 {
		return
	}
	if e := f.Path.Dentry.state.ext.Load(); e != nil && e.locks.used.Load() {
		e.locks.dropOwner(t)
	}
}

// dropFileLocks removes flock and OFD locks of a file that is closed.
func dropFileLocks(f *File) {
	l := locksOf(f)
	l.unflock(f)
	l.dropOwner(f)
}

// SetLease is F_SETLEASE: leases are not granted, as on a file that others have open.
func (f *File) SetLease(_ *Context, typ int32) error {
	switch typ {
	case abi.F_UNLCK:
		return abi.EAGAIN
	case abi.F_RDLCK, abi.F_WRLCK:
		if f.Path.Dentry.typ != abi.S_IFREG {
			return abi.EINVAL
		}
		return abi.EAGAIN
	}
	return abi.EINVAL
}

// EachLock calls fn for the locks on f's inode, for /proc/locks and fdinfo.
func (f *File) EachLock(fn func(kind string, k RecordLock)) {
	e := f.Path.Dentry.state.ext.Load()
	if e == nil {
		return
	}
	e.locks.mu.Lock()
	defer e.locks.mu.Unlock()
	for _, k := range e.locks.flocks {
		r := RecordLock{Owner: k.owner, Type: abi.F_RDLCK, End: lockEnd, PID: -1}
		if k.exclusive {
			r.Type = abi.F_WRLCK
		}
		fn("FLOCK", r)
	}
	for _, k := range e.locks.posix {
		kind := "POSIX"
		if _, ofd := k.Owner.(*File); ofd {
			kind = "OFDLCK"
		}
		fn(kind, k)
	}
}
