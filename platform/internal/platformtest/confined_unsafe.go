//go:build amd64

package platformtest

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

// Confined is a Sentry as it will be: unprivileged, not dumpable, under the filter prog.
func Confined(prog []unix.SockFilter) error {
	p, err := subject.New()
	if err != nil {
		return err
	}
	fd, err := unix.MemfdCreate("guest", 0)
	if err != nil {
		return err
	}
	_, _ = unix.Write(fd, syscallLoop)
	// As the Sentry does: the runtime could not open its poller later.
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	defer w.Close()
	runtime.LockOSThread()
	for _, c := range [][2]uintptr{{unix.PR_SET_DUMPABLE, 0}, {unix.PR_SET_NO_NEW_PRIVS, 1}} {
		if err := unix.Prctl(int(c[0]), c[1], 0, 0, 0); err != nil {
			return err
		}
	}
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

// RunConfined runs Confined, by the role "confined", in a process of its own.
func RunConfined(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), RoleEnv("confined"))
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != "ok\n" {
		t.Errorf("%v\n%s", err, out)
	}
}
