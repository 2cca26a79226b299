package kernel

import (
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"lazaret/syscalls/abi"
)

// futexWait sleeps while *word is val, for at most d if that is positive, in the host's
// futex(2). It may return for no reason.
func futexWait(word *atomic.Uint32, val uint32, d time.Duration) {
	var ts *unix.Timespec
	if d > 0 {
		t := unix.NsecToTimespec(int64(d))
		ts = &t
	}
	// SAFETY: the kernel reads one aligned word of a live object, and ts.
	_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), abi.FUTEX_WAIT|abi.FUTEX_PRIVATE_FLAG, uintptr(val),
		uintptr(unsafe.Pointer(ts)), 0, 0)
}

// futexWake wakes who sleeps on word.
func futexWake(word *atomic.Uint32) {
	// SAFETY: only the address is used.
	_, _, _ = unix.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), abi.FUTEX_WAKE|abi.FUTEX_PRIVATE_FLAG, 1, 0, 0, 0)
}
