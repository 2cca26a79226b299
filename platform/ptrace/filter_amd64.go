package ptrace

import "golang.org/x/sys/unix"

// Offsets in struct seccomp_data.
const (
	dataNr   = 0
	dataArch = 4
	dataIP   = 8
	dataArgs = 16
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
	var f filter
	f.load(dataArch)
	f.killUnless(unix.AUDIT_ARCH_X86_64)
	f.load(dataNr)
	for _, nr := range vsyscalls {
		// The address is known from the number, see vsyscallFault.
		f.ifEqual(nr, unix.SECCOMP_RET_TRAP)
	}
	f.load(dataIP + 4)
	f.killUnless(stubBase >> 32)
	f.load(dataIP)
	f.add(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, 0, 0, ^uint32(stubLen-1))
	f.killUnless(stubBase & 0xffffffff)

	f.load(dataNr)
	f.ifEqual(markCall, unix.SECCOMP_RET_TRACE)
	f.rule(unix.SYS_MMAP, argIs(3, unix.MAP_SHARED|unix.MAP_FIXED))
	f.rule(unix.SYS_MUNMAP)
	f.rule(unix.SYS_MPROTECT)
	f.rule(unix.SYS_CLONE, argIs(0, threadFlags))
	f.rule(unix.SYS_CLONE, argIs(0, forkFlags))
	f.rule(unix.SYS_PAUSE)
	f.rule(unix.SYS_PRCTL, argIs(0, unix.PR_SET_PDEATHSIG), argIs(1, uint32(unix.SIGKILL)))
	f.rule(unix.SYS_GETPPID)
	f.rule(unix.SYS_EXIT)
	f.rule(unix.SYS_EXIT_GROUP)
	f.ret(unix.SECCOMP_RET_KILL_PROCESS)
	return f
}

type filter []unix.SockFilter

// argCheck says that an argument must have this value; its upper half must be zero.
type argCheck struct {
	n   uint32
	val uint32
}

func argIs(n, val uint32) argCheck { return argCheck{n, val} }

func (f *filter) add(code uint16, jt, jf uint8, k uint32) {
	*f = append(*f, unix.SockFilter{Code: code, Jt: jt, Jf: jf, K: k})
}

func (f *filter) load(off uint32) { f.add(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, 0, 0, off) }
func (f *filter) ret(k uint32)    { f.add(unix.BPF_RET|unix.BPF_K, 0, 0, k) }

func (f *filter) killUnless(k uint32) {
	f.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, 1, 0, k)
	f.ret(unix.SECCOMP_RET_KILL_PROCESS)
}

func (f *filter) ifEqual(k, action uint32) {
	f.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, 0, 1, k)
	f.ret(action)
}

// rule allows one system call if all checks hold.
func (f *filter) rule(nr uint32, checks ...argCheck) {
	f.load(dataNr)
	// Each check is four instructions, then the return.
	left := uint8(4*len(checks) + 1)
	f.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, 0, left, nr)
	for _, c := range checks {
		f.load(dataArgs + 8*c.n)
		f.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, 0, left-2, c.val)
		f.load(dataArgs + 8*c.n + 4)
		f.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, 0, left-4, 0)
		left -= 4
	}
	f.ret(unix.SECCOMP_RET_ALLOW)
}
