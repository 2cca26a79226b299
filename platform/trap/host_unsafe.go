//go:build amd64

package trap

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// wakeAll: an application may wait for the same words and must not take our wake-ups.
const wakeAll = 1<<31 - 1

// Operations of futex(2), not private: both sides name the same page of a file.
const (
	futexOpWait = 0
	futexOpWake = 1
)

// futexWait sleeps while *p is val, at most until woken; spurious wake-ups happen. The
// scheduler gives the processor to other goroutines meanwhile. It returns false after
// limit, nil for none.
func futexWait(p *uint32, val uint32, limit *unix.Timespec) bool {
	// SAFETY: p is in the slots' mapping, which lasts as long as the platform.
	_, _, e := unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(p)), futexOpWait, uintptr(val),
		uintptr(unsafe.Pointer(limit)), 0, 0)
	return e != unix.ETIMEDOUT
}

// futexWake wakes everybody who waits for p, and says how many did.
func futexWake(p *uint32) int {
	// SAFETY: as in futexWait.
	n, _, e := unix.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(p)), futexOpWake, wakeAll, 0, 0, 0)
	if e != 0 {
		return 0
	}
	return int(n)
}

func gettid() int32 {
	r, _, _ := unix.RawSyscall(unix.SYS_GETTID, 0, 0, 0)
	return int32(r)
}

func tgkill(pid, tid int32, sig unix.Signal) unix.Errno {
	_, _, e := unix.RawSyscall(unix.SYS_TGKILL, uintptr(pid), uintptr(tid), uintptr(sig))
	return e
}

// waitPID waits for the death of one child.
func waitPID(pid int32) (unix.WaitStatus, error) {
	status, _, err := wait4(pid, unix.WALL)
	return status, err
}

// waitAny waits for the death of any child of the calling thread.
func waitAny() (int32, error) {
	_, pid, err := wait4(-1, unix.WALL|unix.WNOTHREAD)
	return pid, err
}

func wait4(pid int32, options uintptr) (unix.WaitStatus, int32, error) {
	var status int32
	for {
		// SAFETY: status outlives the call.
		r, _, e := unix.Syscall6(unix.SYS_WAIT4, uintptr(pid), uintptr(unsafe.Pointer(&status)), options, 0, 0, 0)
		if e == 0 {
			return unix.WaitStatus(status), int32(r), nil
		}
		if e != unix.EINTR {
			return 0, 0, e
		}
	}
}

// readEvent waits for an eventfd and takes its value.
func readEvent(fd int) (uint64, error) {
	var b [8]byte
	for {
		n, err := unix.Read(fd, b[:])
		if err == nil && n == len(b) {
			return binary.NativeEndian.Uint64(b[:]), nil
		}
		if err != unix.EINTR {
			return 0, err
		}
	}
}

// writeEvent adds to an eventfd.
func writeEvent(fd int, v uint64) {
	var b [8]byte
	binary.NativeEndian.PutUint64(b[:], v)
	// It cannot fail: the sum of all that is ever written stays far below the limit.
	_, _ = unix.Write(fd, b[:])
}

// currentCPU returns the processor that the calling thread runs on.
func currentCPU() int {
	var cpu uint32
	// SAFETY: cpu outlives the call.
	_, _, e := unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&cpu)), 0, 0)
	if e != 0 {
		return -1
	}
	return int(cpu)
}

func setAffinity(tid int32, set *unix.CPUSet) bool {
	// SAFETY: set outlives the call.
	_, _, e := unix.RawSyscall(unix.SYS_SCHED_SETAFFINITY, uintptr(tid), unsafe.Sizeof(*set),
		uintptr(unsafe.Pointer(set)))
	return e == 0
}
