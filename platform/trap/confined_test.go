//go:build amd64

package trap

import (
	"testing"

	"golang.org/x/sys/unix"

	"lazaret/platform/internal/bpf"
	"lazaret/platform/internal/platformtest"
)

// hostFilter kills on waits, signals, descriptors and new processes that doc.go does not
// list; it leaves the rest alone.
func hostFilter() []unix.SockFilter {
	var f bpf.Filter
	f.Rule(unix.SYS_WAIT4, bpf.ArgIs(2, unix.WALL), bpf.ArgIs(3, 0))
	f.Rule(unix.SYS_WAIT4, bpf.ArgMasked(0, 0xffffffff, 0xffffffff), bpf.ArgIs(2, unix.WALL|unix.WNOTHREAD), bpf.ArgIs(3, 0))
	f.Rule(unix.SYS_TGKILL, bpf.ArgIs(2, uint32(unix.SIGKILL)))
	f.Rule(unix.SYS_TGKILL, bpf.ArgIs(2, uint32(unix.SIGURG)))
	f.Rule(unix.SYS_TGKILL, bpf.ArgIs(2, uint32(unix.SIGSTKFLT)))
	f.Rule(unix.SYS_SCHED_SETAFFINITY, bpf.ArgIs(1, 128))
	const private = 128
	for _, op := range []uint32{futexOpWait, futexOpWake, futexOpWait | private, futexOpWake | private} {
		f.Rule(unix.SYS_FUTEX, bpf.ArgIs(1, op))
	}
	const goThread = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND |
		unix.CLONE_SYSVSEM | unix.CLONE_THREAD | unix.CLONE_SETTLS
	const cgoThread = goThread | unix.CLONE_PARENT_SETTID | unix.CLONE_CHILD_CLEARTID
	f.Rule(unix.SYS_CLONE, bpf.ArgIs(0, goThread))
	f.Rule(unix.SYS_CLONE, bpf.ArgIs(0, cgoThread)) // the race detector's
	f.Load(bpf.DataNr)
	if !raceDetector {
		f.IfEqual(unix.SYS_OPENAT, unix.SECCOMP_RET_KILL_PROCESS)
		f.IfEqual(unix.SYS_FUTEX, unix.SECCOMP_RET_KILL_PROCESS)
	}
	f.IfEqual(unix.SYS_CLONE3, unix.SECCOMP_RET_ERRNO|uint32(unix.ENOSYS))
	for _, nr := range []uint32{
		unix.SYS_PTRACE, unix.SYS_WAIT4, unix.SYS_TGKILL, unix.SYS_SCHED_SETAFFINITY, unix.SYS_CLONE, unix.SYS_KILL,
		unix.SYS_EXECVE, unix.SYS_PROCESS_VM_READV, unix.SYS_EVENTFD2, unix.SYS_MEMFD_CREATE,
	} {
		f.IfEqual(nr, unix.SECCOMP_RET_KILL_PROCESS)
	}
	f.Ret(unix.SECCOMP_RET_ALLOW)
	return f
}

func confined() error { return platformtest.Confined(hostFilter()) }

// The platform works for a Sentry that has given up all that it can, with no host call
// that doc.go does not list.
func TestConfined(t *testing.T) { platformtest.RunConfined(t) }
