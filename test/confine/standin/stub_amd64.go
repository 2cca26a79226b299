package main

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"lazaret/platform"
	"lazaret/platform/ptrace"
	"lazaret/syscalls/abi"
)

// stubs exercise the ptrace platform under the confinement: system calls, a fork, a
// fault, an interrupt, vector state, and the end of it all.
type stubs struct {
	p  platform.Platform
	fd int
}

// Code of the application: getppid in a loop, and a loop without system calls.
const (
	codeAddr = abi.Addr(0x10000)
	loopAddr = codeAddr + 16
)

var code = []byte{
	0xb8, 110, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7, 0, 0, 0, 0, 0, 0, 0, // getppid; jmp
	0xeb, 0xfe, // jmp .
}

// newStubs needs what only exists before the filter.
func newStubs() (*stubs, error) {
	p, err := ptrace.New()
	if err != nil {
		return nil, err
	}
	fd, err := unix.MemfdCreate("app", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	if _, err := unix.Pwrite(fd, code, 0); err != nil {
		return nil, err
	}
	return &stubs{p, fd}, unix.Ftruncate(fd, 1<<16)
}

func (s *stubs) exercise() error {
	as, err := s.p.NewAddressSpace()
	if err != nil {
		return err
	}
	r := abi.AddrRange{Start: codeAddr, End: codeAddr + 0x1000}
	if err := as.Map(r, s.fd, 0, platform.Read|platform.Exec); err != nil {
		return fmt.Errorf("map: %w", err)
	}
	if err := as.Protect(r, platform.Read|platform.Exec); err != nil {
		return fmt.Errorf("protect: %w", err)
	}
	if err := s.run(as, true); err != nil {
		return err
	}
	for range 20 {
		child, err := as.Fork()
		if err != nil {
			return fmt.Errorf("fork: %w", err)
		}
		if err := s.run(child, false); err != nil {
			return fmt.Errorf("in a fork: %w", err)
		}
		child.Release()
	}
	if err := as.Unmap(r); err != nil {
		return fmt.Errorf("unmap: %w", err)
	}
	as.Release()
	return nil
}

// run makes a context do a few of everything.
func (s *stubs) run(as platform.AddressSpace, interrupt bool) error {
	c := s.p.NewContext()
	defer c.Release()
	regs := &platform.Regs{}
	regs.SetIP(codeAddr)
	for i := range 100 {
		ev, err := c.Switch(as, regs)
		if err != nil || ev.Kind != platform.EventSyscall || regs.SyscallNo() != 110 {
			return fmt.Errorf("switch %d: %+v %w", i, ev, err)
		}
	}
	state, err := c.FPState()
	if err != nil {
		return fmt.Errorf("vector state: %w", err)
	}
	if err := c.SetFPState(state); err != nil {
		return fmt.Errorf("set vector state: %w", err)
	}
	regs.SetIP(0x500000)
	if ev, err := c.Switch(as, regs); err != nil || ev.Kind != platform.EventFault {
		return fmt.Errorf("fault: %+v %w", ev, err)
	}
	if !interrupt {
		return nil
	}
	regs.SetIP(loopAddr)
	time.AfterFunc(30*time.Millisecond, c.Interrupt)
	if ev, err := c.Switch(as, regs); err != nil || ev.Kind != platform.EventInterrupt {
		return fmt.Errorf("interrupt: %+v %w", ev, err)
	}
	return nil
}
