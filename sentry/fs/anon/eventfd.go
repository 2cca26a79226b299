package anon

import (
	"encoding/binary"
	"sync"

	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// EventFD is a counter (eventfd(2)).
type EventFD struct {
	semaphore bool
	queue     wait.Queue

	mu    sync.Mutex
	count uint64 // at most ^0 - 1
}

// NewEventFD makes an eventfd (eventfd2(2)): flags are EFD_*; others EINVAL.
func NewEventFD(ctx *vfs.Context, initval uint32, flags uint32) (*vfs.File, error) {
	if flags&^(abi.EFD_SEMAPHORE|abi.EFD_NONBLOCK|abi.EFD_CLOEXEC) != 0 {
		return nil, abi.EINVAL
	}
	e := &EventFD{semaphore: flags&abi.EFD_SEMAPHORE != 0, count: uint64(initval)}
	return vfs.NewAnonFile(ctx, "[eventfd]", e, abi.O_RDWR|flags&abi.EFD_NONBLOCK,
		vfs.ModeRead|vfs.ModeWrite|vfs.ModeStream|vfs.ModeNoSeek)
}

// Read implements vfs.FileOps: EINVAL for less than 8 bytes.
func (e *EventFD) Read(_ *vfs.Context, _ *vfs.File, dst uio.Bufs, _ *int64) (int, error) {
	if dst.Len() < 8 {
		return 0, abi.EINVAL
	}
	e.mu.Lock()
	n := e.count
	if n == 0 {
		e.mu.Unlock()
		return 0, abi.EAGAIN
	}
	if e.semaphore {
		n = 1
	}
	e.count -= n
	e.mu.Unlock()
	e.queue.Notify(wait.Out | abi.POLLWRNORM)
	dst.CopyFrom(binary.LittleEndian.AppendUint64(nil, n))
	return 8, nil
}

// Write implements vfs.FileOps: EINVAL for other than 8 bytes and for ^0.
func (e *EventFD) Write(_ *vfs.Context, _ *vfs.File, src uio.Bufs, _ *int64) (int, error) {
	var b [8]byte
	if src.Len() != 8 {
		return 0, abi.EINVAL
	}
	src.CopyTo(b[:])
	n := binary.LittleEndian.Uint64(b[:])
	if n == ^uint64(0) {
		return 0, abi.EINVAL
	}
	e.mu.Lock()
	if ^uint64(0)-e.count <= n {
		e.mu.Unlock()
		return 0, abi.EAGAIN
	}
	e.count += n
	e.mu.Unlock()
	e.queue.Notify(wait.In | abi.POLLRDNORM)
	return 8, nil
}

// Poll implements vfs.Poller. Like Linux it does not report the RDNORM and WRNORM forms.
func (e *EventFD) Poll(*vfs.File) wait.Mask {
	e.mu.Lock()
	defer e.mu.Unlock()
	var m wait.Mask
	if e.count > 0 {
		m |= wait.In
	}
	if e.count < ^uint64(0)-1 {
		m |= wait.Out
	}
	return m
}

// WaitQueue implements vfs.Poller.
func (e *EventFD) WaitQueue(*vfs.File) *wait.Queue { return &e.queue }

// Release implements vfs.FileOps.
func (e *EventFD) Release(*vfs.File) {}

// Count returns the counter, for /proc/PID/fdinfo.
func (e *EventFD) Count() uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.count
}
