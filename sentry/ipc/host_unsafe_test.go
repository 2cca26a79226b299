package ipc

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

func hostCall(nr, a, b, c, d uintptr) (int, error) {
	n, _, e := unix.Syscall6(nr, a, b, c, d, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

func hostSemop(id int, ops []Sembuf) (int, error) {
	// SAFETY: ops is not empty; Sembuf has the layout of struct sembuf.
	return hostCall(unix.SYS_SEMOP, uintptr(id), uintptr(unsafe.Pointer(&ops[0])), uintptr(len(ops)), 0)
}

type hostMsg struct {
	typ  int64
	data [64]byte
}

func hostMsgsnd(id int, m *hostMsg, n int, flags int) (int, error) {
	// SAFETY: m outlives the call and holds n bytes.
	return hostCall(unix.SYS_MSGSND, uintptr(id), uintptr(unsafe.Pointer(m)), uintptr(n), uintptr(flags))
}

func hostMsgrcv(id int, m *hostMsg, n int, typ int64, flags int) (int, error) {
	// SAFETY: m outlives the call and has room for n bytes.
	r, _, e := unix.Syscall6(unix.SYS_MSGRCV, uintptr(id), uintptr(unsafe.Pointer(m)), uintptr(n), uintptr(typ), uintptr(flags), 0)
	if e != 0 {
		return 0, e
	}
	return int(r), nil
}
