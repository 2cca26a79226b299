package sandbox

import (
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// defaultAction is struct sigaction for SIG_DFL.
var defaultAction [4]uint64

// cloneAndCall clones with flags; the child makes the calls until one fails. The result is
// the child's pid or a negated error. Signals are blocked meanwhile: no handler of this
// process may run in the child.
//
//go:noescape
func cloneAndCall(flags uintptr, pidFD *int32, running *uint32, calls *threadCall, failed *int64, mask *uint64) int

// SAFETY, for all of this file: a launch is on the heap, where nothing moves, and kept by its
// owner until the child has left this memory; so are the strings that it points to.

func (l *launch) releaseAddr() uintptr { return uintptr(unsafe.Pointer(&l.release)) }

func (l *launch) chdirRoot() {
	l.call(unix.SYS_CHDIR, uintptr(unsafe.Pointer(l.root)), 0, 0, 0, 0)
}

// resetSignals takes this process's handlers from the child.
func (l *launch) resetSignals() {
	for sig := unix.Signal(1); sig <= lastSignal; sig++ {
		if sig != unix.SIGKILL && sig != unix.SIGSTOP {
			l.call(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&defaultAction)), 0, 8, 0)
		}
	}
}

// raiseAmbient has capabilities survive execve, for which a user that has no name in its
// user namespace has no other way.
func (l *launch) raiseAmbient(caps []uintptr) {
	if len(caps) == 0 {
		return
	}
	all := unix.CapUserData{Effective: ^uint32(0), Permitted: ^uint32(0)}
	l.capHead, l.capData = unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, [2]unix.CapUserData{all, all}
	for _, c := range caps {
		l.capData[c/32].Inheritable |= 1 << (c % 32)
	}
	l.call(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&l.capHead)), uintptr(unsafe.Pointer(&l.capData)), 0, 0, 0)
	for _, c := range caps {
		l.call(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, c, 0, 0)
	}
}

// execve is the last call: one that returns has failed.
func (l *launch) execve() {
	l.call(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&l.sigMask)), 0, 8, 0)
	l.call(unix.SYS_EXECVE, uintptr(unsafe.Pointer(l.exe)), uintptr(unsafe.Pointer(&l.argv)), uintptr(unsafe.Pointer(&l.envv)), 0, 0)
}

// start clones.
func (l *launch) start(flags uintptr) (pid int, err error) {
	l.running = 1
	flags = flags&bornNamespaces | unix.CLONE_VM | unix.CLONE_PIDFD | unix.CLONE_CHILD_CLEARTID | uintptr(unix.SIGCHLD)
	syscall.ForkLock.Lock()
	pid = cloneAndCall(flags, &l.pidFD, &l.running, &l.calls[0], &l.failed, &l.sigMask)
	syscall.ForkLock.Unlock()
	if pid < 0 {
		return 0, unix.Errno(-pid)
	}
	return pid, nil
}

// awaitExec waits until the kernel says that the child has left this memory.
func (l *launch) awaitExec() {
	for atomic.LoadUint32(&l.running) != 0 {
		// The kernel wakes a futex that is not private.
		_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&l.running)), 0, 1, 0, 0, 0)
	}
}
