package vfs

import (
	"sync/atomic"

	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// AsyncSink is told of events of files that somebody wants signals for. AsyncReady runs
// under the lock of a wait queue: it records and returns, and calls AsyncWatch.Take later.
type AsyncSink interface {
	AsyncReady(w *AsyncWatch)
}

// AsyncWatch passes the events of one open file on to a sink: O_ASYNC, and SIGURG for
// whoever owns a socket (fcntl(2), F_SETOWN).
type AsyncWatch struct {
	File *File
	FD   int32 // the descriptor that it was asked through (si_fd)

	sink    AsyncSink
	queue   *wait.Queue
	entry   wait.Entry
	pending atomic.Uint32 // a wait.Mask; not 0: the sink has the watch
}

// Notify is wait.Waiter.
func (w *AsyncWatch) Notify(_ *wait.Entry, events wait.Mask) {
	if w.pending.Or(uint32(events)) == 0 {
		w.sink.AsyncReady(w)
	}
}

// Take returns the events since the last Take.
func (w *AsyncWatch) Take() wait.Mask { return wait.Mask(w.pending.Swap(0)) }

// asyncMask are the events that an open file's signals tell of.
func (f *File) asyncMask() wait.Mask {
	var m wait.Mask
	if f.flags.Load()&abi.O_ASYNC != 0 {
		m = wait.Err | wait.Hup
		if f.Mode&ModeRead != 0 {
			m |= wait.In | wait.RdHup | wait.Pri
		}
		if f.Mode&ModeWrite != 0 {
			m |= wait.Out | wait.Taken
		}
	}
	if f.owner.Target != nil && f.Mode&ModeUrgent != 0 {
		m |= wait.Pri
	}
	return m
}

// WatchAsync starts, changes or ends the watch of f after O_ASYNC or the owner has changed
// by the descriptor fd.
func (f *File) WatchAsync(sink AsyncSink, fd int32) {
	f.ownerMu.Lock()
	defer f.ownerMu.Unlock()
	mask := f.asyncMask()
	if f.async != nil && f.async.entry.Mask == mask {
		return
	}
	f.stopAsyncLocked()
	q := f.WaitQueue()
	if mask == 0 || q == nil {
		return
	}
	f.async = &AsyncWatch{File: f, FD: fd, sink: sink, queue: q}
	f.async.entry = wait.Entry{Waiter: f.async, Mask: mask}
	q.Add(&f.async.entry)
}

func (f *File) stopAsyncLocked() {
	if w := f.async; w != nil {
		w.queue.Remove(&w.entry)
		f.async = nil
	}
}

// stopAsync ends the watch of a file that is closed.
func (f *File) stopAsync() {
	f.ownerMu.Lock()
	defer f.ownerMu.Unlock()
	f.stopAsyncLocked()
}
