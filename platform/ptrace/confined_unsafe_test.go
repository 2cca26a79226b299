//go:build amd64

package ptrace

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"lazaret/platform"
)

// hostFilter kills on ptrace requests, waits, signals and new processes that doc.go does
// not list; it leaves the rest alone.
func hostFilter() []unix.SockFilter {
	var f filter
	requests := []uint32{
		unix.PTRACE_SEIZE, unix.PTRACE_INTERRUPT, unix.PTRACE_DETACH, unix.PTRACE_CONT, ptraceSysemu,
		unix.PTRACE_GETREGS, unix.PTRACE_SETREGS, unix.PTRACE_GETSIGINFO, ptraceGetSyscallInfo,
	}
	for _, r := range requests {
		f.rule(unix.SYS_PTRACE, argIs(0, r))
	}
	f.rule(unix.SYS_PTRACE, argIs(0, unix.PTRACE_GETREGSET), argIs(2, ntX86Xstate))
	f.rule(unix.SYS_PTRACE, argIs(0, unix.PTRACE_SETREGSET), argIs(2, ntX86Xstate))
	f.rule(unix.SYS_WAIT4, argIs(2, unix.WALL), argIs(3, 0))
	f.rule(unix.SYS_TGKILL, argIs(2, uint32(unix.SIGKILL)))
	f.rule(unix.SYS_TGKILL, argIs(2, uint32(unix.SIGURG)))
	f.rule(unix.SYS_SCHED_SETAFFINITY, argIs(1, 128))
	const goThread = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND |
		unix.CLONE_SYSVSEM | unix.CLONE_THREAD | unix.CLONE_SETTLS
	const cgoThread = goThread | unix.CLONE_PARENT_SETTID | unix.CLONE_CHILD_CLEARTID
	f.rule(unix.SYS_CLONE, argIs(0, goThread))
	f.rule(unix.SYS_CLONE, argIs(0, cgoThread)) // the race detector's
	f.load(dataNr)
	if !raceDetector {
		f.ifEqual(unix.SYS_OPENAT, unix.SECCOMP_RET_KILL_PROCESS)
	}
	f.ifEqual(unix.SYS_CLONE3, unix.SECCOMP_RET_ERRNO|uint32(unix.ENOSYS))
	for _, nr := range []uint32{
		unix.SYS_PTRACE, unix.SYS_WAIT4, unix.SYS_TGKILL, unix.SYS_SCHED_SETAFFINITY, unix.SYS_CLONE,
		unix.SYS_KILL, unix.SYS_EXECVE, unix.SYS_PROCESS_VM_READV,
	} {
		f.ifEqual(nr, unix.SECCOMP_RET_KILL_PROCESS)
	}
	f.ret(unix.SECCOMP_RET_ALLOW)
	return f
}

// confined is a Sentry as it will be: unprivileged, not dumpable, under a filter.
func confined() error {
	p, err := New()
	if err != nil {
		return err
	}
	fd, err := unix.MemfdCreate("guest", 0)
	if err != nil {
		return err
	}
	_, _ = unix.Write(fd, syscallLoop)
	runtime.LockOSThread()
	for _, c := range [][2]uintptr{{unix.PR_SET_DUMPABLE, 0}, {unix.PR_SET_NO_NEW_PRIVS, 1}} {
		if err := unix.Prctl(int(c[0]), c[1], 0, 0, 0); err != nil {
			return err
		}
	}
	prog := hostFilter()
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	const modeFilter, tsync = 1, 1
	// SAFETY: fprog and prog outlive the call.
	if _, _, e := unix.RawSyscall(unix.SYS_SECCOMP, modeFilter, tsync, uintptr(unsafe.Pointer(&fprog))); e != 0 {
		return e
	}
	runtime.KeepAlive(prog)
	return parallel(4, func(int) error {
		as, err := p.NewAddressSpace()
		if err != nil {
			return err
		}
		if err := as.Map(pages(codeAddr, 1), fd, 0, platform.Read|platform.Exec); err != nil {
			return err
		}
		c := p.NewContext()
		regs := platform.Regs{Rip: codeAddr}
		for range 3 {
			if ev, err := c.Switch(as, &regs); err != nil || ev.Kind != platform.EventSyscall {
				return fmt.Errorf("event %+v: %w", ev, err)
			}
			if _, err := c.FPState(); err != nil {
				return err
			}
			child, err := as.Fork()
			if err != nil {
				return err
			}
			if _, err := c.Switch(child, &regs); err != nil {
				return err
			}
			as.Release()
			as = child
		}
		regs.Rip = hole
		if ev, err := c.Switch(as, &regs); err != nil || ev.Kind != platform.EventFault {
			return fmt.Errorf("event %+v: %w", ev, err)
		}
		c.Release()
		as.Release()
		return nil
	})
}

// The platform works for a Sentry that has given up all that it can, with no host call
// that doc.go does not list.
func TestConfined(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), victimEnv+"=confined")
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != "ok\n" {
		t.Errorf("%v\n%s", err, out)
	}
}
