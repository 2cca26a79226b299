package anon

import (
	"sync"

	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// SignalSource is a task's pending signals, its thread group's included. The kernel's
// task implements it; it is found in vfs.Context.Sleeper.
type SignalSource interface {
	// DequeueSignal takes a pending signal that is in set (bit n-1 for signal n) as
	// struct signalfd_siginfo, false if there is none.
	DequeueSignal(set uint64) (SigInfo, bool)
	// PendingSignals returns the pending signals.
	PendingSignals() uint64
	// SignalQueue is notified with wait.In when a signal becomes pending.
	SignalQueue() *wait.Queue
}

// SigInfo is struct signalfd_siginfo.
type SigInfo [128]byte

// SignalFD takes signals by reading (signalfd(2)).
type SignalFD struct {
	mu   sync.Mutex
	mask uint64
	// src is whose signals readiness is about. Linux difference: there it is the process
	// that polls; here the last one that read, or the one that made the file.
	src SignalSource
}

// unblockable are SIGKILL and SIGSTOP, which a mask never has.
const unblockable = 1<<(abi.SIGKILL-1) | 1<<(abi.SIGSTOP-1)

// NewSignalFD makes a signalfd for the signals of ctx's task.
func NewSignalFD(ctx *vfs.Context, mask uint64, flags uint32) (*vfs.File, error) {
	if flags&^(abi.SFD_NONBLOCK|abi.SFD_CLOEXEC) != 0 {
		return nil, abi.EINVAL
	}
	src, ok := ctx.Sleeper.(SignalSource)
	if !ok {
		return nil, abi.EINVAL
	}
	s := &SignalFD{mask: mask &^ unblockable, src: src}
	return vfs.NewAnonFile(ctx, "[signalfd]", s, abi.O_RDWR|flags&abi.SFD_NONBLOCK,
		vfs.ModeRead|vfs.ModeWrite|vfs.ModeStream|vfs.ModeNoSeek)
}

// SignalFDOf returns the signalfd behind f, nil if f is something else (EINVAL).
func SignalFDOf(f *vfs.File) *SignalFD {
	s, _ := f.Ops.(*SignalFD)
	return s
}

// SetMask is signalfd(2) on an existing descriptor.
func (s *SignalFD) SetMask(mask uint64) {
	s.mu.Lock()
	s.mask = mask &^ unblockable
	src := s.src
	s.mu.Unlock()
	src.SignalQueue().Notify(wait.In)
}

// Mask returns the mask, for /proc/PID/fdinfo.
func (s *SignalFD) Mask() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mask
}

// Read implements vfs.FileOps: as many structures as are pending and fit.
func (s *SignalFD) Read(ctx *vfs.Context, _ *vfs.File, dst uio.Bufs, _ *int64) (int, error) {
	room := dst.Len() / len(SigInfo{})
	if room == 0 {
		return 0, abi.EINVAL
	}
	s.mu.Lock()
	if src, ok := ctx.Sleeper.(SignalSource); ok {
		s.src = src
	}
	src, mask := s.src, s.mask
	s.mu.Unlock()
	done := 0
	for range room {
		info, ok := src.DequeueSignal(mask)
		if !ok {
			break
		}
		done += dst.Skip(done).CopyFrom(info[:])
	}
	if done == 0 {
		return 0, abi.EAGAIN
	}
	return done, nil
}

// Write implements vfs.FileOps.
func (s *SignalFD) Write(*vfs.Context, *vfs.File, uio.Bufs, *int64) (int, error) {
	return 0, abi.EINVAL
}

// Poll implements vfs.Poller.
func (s *SignalFD) Poll(*vfs.File) wait.Mask {
	s.mu.Lock()
	src, mask := s.src, s.mask
	s.mu.Unlock()
	if src.PendingSignals()&mask != 0 {
		return wait.In
	}
	return 0
}

// WaitQueue implements vfs.Poller.
func (s *SignalFD) WaitQueue(*vfs.File) *wait.Queue {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.src.SignalQueue()
}

// Release implements vfs.FileOps.
func (s *SignalFD) Release(*vfs.File) {}
