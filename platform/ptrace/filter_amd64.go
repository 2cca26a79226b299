package ptrace

import (
	"golang.org/x/sys/unix"

	"lazaret/platform/internal/bpf"
)

// Flags of the clone calls that are injected.
const (
	// A thread of the same address space, traced by the same thread as the caller.
	threadFlags = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND |
		unix.CLONE_THREAD | unix.CLONE_SYSVSEM | unix.CLONE_PTRACE
	// A copy of the address space, a child of the Sentry, not traced, and without an
	// exit signal.
	forkFlags = unix.CLONE_PARENT | unix.CLONE_FS | unix.CLONE_FILES
)

// Vsyscall numbers: what the host emulates for calls into its vsyscall page without a
// system call instruction. seccomp sees them.
var vsyscalls = []uint32{unix.SYS_GETTIMEOFDAY, unix.SYS_TIME, unix.SYS_GETCPU}

// stubFilter returns the stubs' own seccomp filter. It is not what confines application
// code: SYSEMU stops every system call before any filter. It is there should that fail:
// nothing but the calls that the Sentry injects, from the stub's page, is allowed.
func stubFilter() []unix.SockFilter {
	var f bpf.Filter
	f.Load(bpf.DataArch)
	f.KillUnless(unix.AUDIT_ARCH_X86_64)
	f.Load(bpf.DataNr)
	for _, nr := range vsyscalls {
		// The address is known from the number, see vsyscallFault.
		f.IfEqual(nr, unix.SECCOMP_RET_TRAP)
	}
	f.Load(bpf.DataIP + 4)
	f.KillUnless(stubBase >> 32)
	f.Load(bpf.DataIP)
	f.Add(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, 0, 0, ^uint32(stubLen-1))
	f.KillUnless(stubBase & 0xffffffff)

	f.Load(bpf.DataNr)
	f.IfEqual(markCall, unix.SECCOMP_RET_TRACE)
	f.Rule(unix.SYS_MMAP, bpf.ArgIs(3, unix.MAP_SHARED|unix.MAP_FIXED))
	f.Rule(unix.SYS_MUNMAP)
	f.Rule(unix.SYS_MPROTECT)
	f.Rule(unix.SYS_CLONE, bpf.ArgIs(0, threadFlags))
	f.Rule(unix.SYS_CLONE, bpf.ArgIs(0, forkFlags))
	f.Rule(unix.SYS_PAUSE)
	f.Rule(unix.SYS_PRCTL, bpf.ArgIs(0, unix.PR_SET_PDEATHSIG), bpf.ArgIs(1, uint32(unix.SIGKILL)))
	f.Rule(unix.SYS_GETPPID)
	f.Rule(unix.SYS_EXIT)
	f.Rule(unix.SYS_EXIT_GROUP)
	f.Ret(unix.SECCOMP_RET_KILL_PROCESS)
	return f
}
