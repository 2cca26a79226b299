package confine

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Layouts of seccomp_unotify(2).
type (
	seccompNotif struct {
		ID    uint64
		PID   uint32
		Flags uint32
		Nr    int32
		Arch  uint32
		IP    uint64
		Args  [6]uint64
	}
	seccompAnswer struct {
		ID    uint64
		Value int64
		Error int32
		Flags uint32
	}
)

// answerContinue is SECCOMP_USER_NOTIF_FLAG_CONTINUE: the call goes on as if it was allowed.
const answerContinue = 1

// nextCall waits for a call that a filter asks about and lets it go on. ENOENT: the caller
// was interrupted and will call again.
func nextCall(listener int) (*seccompNotif, error) {
	n := &seccompNotif{}
	// SAFETY: n is zeroed, as the kernel wants it, and alive over the call, which writes it.
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(n))); e != 0 {
		return nil, e
	}
	a := &seccompAnswer{ID: n.ID, Flags: answerContinue}
	// SAFETY: a is alive over the call, which reads it.
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(a))); e != 0 && e != unix.ENOENT {
		return nil, e
	}
	return n, nil
}
