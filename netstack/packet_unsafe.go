package netstack

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Calls that never wait are made without telling the Go runtime, which for each call that it
// knows of wakes its monitor thread if the process was idle before. That costs more than the call.

// readNow is read(2) of a descriptor that does not wait.
func readNow(fd int, b []byte) (int, error) {
	// SAFETY: b is alive during the call, and the kernel writes no more than its length.
	n, _, e := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

// maxParts is how many parts a frame may have without being put together first: headers,
// and 64 KiB of pages of 4 KiB.
const maxParts = 24

// sendNow is sendmsg(2) of one frame, which does not wait.
func sendNow(fd int, parts [][]byte) error {
	var iov [maxParts]unix.Iovec
	n := 0
	for _, p := range parts {
		if len(p) == 0 {
			continue
		}
		if n == maxParts {
			return unix.EMSGSIZE
		}
		iov[n].Base = unsafe.SliceData(p)
		iov[n].SetLen(len(p))
		n++
	}
	msg := unix.Msghdr{Iov: &iov[0]}
	msg.SetIovlen(n)
	// SAFETY: msg, iov and the parts that it points to are alive during the call, which only
	// reads them.
	_, _, e := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)), unix.MSG_DONTWAIT)
	runtime.KeepAlive(parts)
	if e != 0 {
		return e
	}
	return nil
}
