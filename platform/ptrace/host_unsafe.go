//go:build amd64

package ptrace

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"lazaret/platform"
)

// Requests and values of ptrace(2) that x/sys lacks.
const (
	ptraceSysemu         = 31
	ptraceGetSyscallInfo = 0x420e
	ntX86Xstate          = 0x202
	seizeOptions         = unix.PTRACE_O_EXITKILL | unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACESECCOMP
)

// hostRegs is user_regs_struct. platform.Regs has the same layout.
type hostRegs = platform.Regs

// ptraceRaw never blocks, so the scheduler need not know of it.
func ptraceRaw(req, tid, addr, data uintptr) unix.Errno {
	_, _, e := unix.RawSyscall6(unix.SYS_PTRACE, req, tid, addr, data, 0, 0)
	return e
}

func getRegs(tid int32, r *hostRegs) unix.Errno {
	// SAFETY: r is as large as user_regs_struct (a test compares) and outlives the call.
	return ptraceRaw(unix.PTRACE_GETREGS, uintptr(tid), 0, uintptr(unsafe.Pointer(r)))
}

func setRegs(tid int32, r *hostRegs) unix.Errno {
	// SAFETY: as in getRegs.
	return ptraceRaw(unix.PTRACE_SETREGS, uintptr(tid), 0, uintptr(unsafe.Pointer(r)))
}

func seize(tid int32) unix.Errno {
	return ptraceRaw(unix.PTRACE_SEIZE, uintptr(tid), 0, seizeOptions)
}

func interrupt(tid int32) unix.Errno { return ptraceRaw(unix.PTRACE_INTERRUPT, uintptr(tid), 0, 0) }
func detach(tid int32) unix.Errno    { return ptraceRaw(unix.PTRACE_DETACH, uintptr(tid), 0, 0) }
func resume(tid int32) unix.Errno    { return ptraceRaw(unix.PTRACE_CONT, uintptr(tid), 0, 0) }
func resumeEmu(tid int32) unix.Errno { return ptraceRaw(ptraceSysemu, uintptr(tid), 0, 0) }

// siginfo is the part of siginfo_t that faults use.
type siginfo struct {
	signo, errno, code, _ int32
	addr                  uint64
	callNr                int32 // SIGSYS: si_syscall
	_                     [100]byte
}

func getSiginfo(tid int32, si *siginfo) unix.Errno {
	// SAFETY: si has the 128 bytes of siginfo_t and outlives the call.
	return ptraceRaw(unix.PTRACE_GETSIGINFO, uintptr(tid), 0, uintptr(unsafe.Pointer(si)))
}

// syscallArch returns the architecture of the system call that the thread is stopped in.
func syscallArch(tid int32) (uint32, unix.Errno) {
	var info struct {
		op   uint8
		_    [3]uint8
		arch uint32
		_    [80]byte
	}
	// SAFETY: the size given is the size of info, which outlives the call.
	e := ptraceRaw(ptraceGetSyscallInfo, uintptr(tid), unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)))
	if e != 0 {
		return 0, e
	}
	return info.arch, 0
}

// getXstate reads the XSAVE image into buf and returns its length.
func getXstate(tid int32, buf []byte) (int, unix.Errno) {
	iov := unix.Iovec{Base: &buf[0], Len: uint64(len(buf))}
	// SAFETY: iov names buf, whose length bounds what is written; both outlive the call.
	e := ptraceRaw(unix.PTRACE_GETREGSET, uintptr(tid), ntX86Xstate, uintptr(unsafe.Pointer(&iov)))
	runtime.KeepAlive(buf)
	return int(iov.Len), e
}

func setXstate(tid int32, buf []byte) unix.Errno {
	iov := unix.Iovec{Base: &buf[0], Len: uint64(len(buf))}
	// SAFETY: as in getXstate; buf is only read.
	e := ptraceRaw(unix.PTRACE_SETREGSET, uintptr(tid), ntX86Xstate, uintptr(unsafe.Pointer(&iov)))
	runtime.KeepAlive(buf)
	return e
}

// waitStatus waits for the thread's next stop or death. It may block for as long as
// application code runs, so the scheduler gives the processor to others meanwhile.
func waitStatus(tid int32) (unix.WaitStatus, error) {
	var status int32
	for {
		// SAFETY: status outlives the call.
		_, _, e := unix.Syscall6(unix.SYS_WAIT4, uintptr(tid), uintptr(unsafe.Pointer(&status)),
			unix.WALL, 0, 0, 0)
		if e == 0 {
			return unix.WaitStatus(status), nil
		}
		if e != unix.EINTR {
			return 0, e
		}
	}
}

func gettid() int32 {
	r, _, _ := unix.RawSyscall(unix.SYS_GETTID, 0, 0, 0)
	return int32(r)
}

func tgkill(pid, tid int32, sig unix.Signal) {
	// Nothing to do about an error: the thread is gone.
	_, _, _ = unix.RawSyscall(unix.SYS_TGKILL, uintptr(pid), uintptr(tid), uintptr(sig))
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
