package ptrace

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lazaret/platform"
	"lazaret/syscalls/abi"
)

// ptracePlatform implements platform.Platform.
type ptracePlatform struct {
	parent   int32  // the Sentry's process id, as stubs see it
	initFP   []byte // XSAVE image of a new program
	xfeature uint64 // the state components that the host saves
	mxcsrMax uint32 // the MXCSR bits that the processor has
	place    placement
	owner    chan struct{} // closed to end the thread that is every stub's parent

	mu       sync.Mutex
	spaces   map[*addressSpace]struct{}
	template *addressSpace
}

// New starts the platform: it makes the template stub. It must be called after the
// Sentry has its final credentials and namespaces and before it has its seccomp filter.
func New() (platform.Platform, error) {
	if err := keepStopsQuiet(); err != nil {
		return nil, fmt.Errorf("set SIGCHLD's action: %w", err)
	}
	p := &ptracePlatform{
		parent: int32(unix.Getpid()),
		owner:  make(chan struct{}),
		spaces: make(map[*addressSpace]struct{}),
	}
	if err := p.place.init(); err != nil {
		return nil, fmt.Errorf("read the processor set: %w", err)
	}
	type result struct {
		pid int
		err error
	}
	started := make(chan result)
	go func() {
		// Stubs die with the thread that is their parent, so it lasts until Close;
		// a goroutine that ends locked takes its thread with it.
		runtime.LockOSThread()
		pid, err := startTemplate()
		started <- result{pid, err}
		if err == nil {
			<-p.owner
		}
	}()
	r := <-started
	if r.err != nil {
		return nil, r.err
	}
	p.template = newAddressSpace(p, int32(r.pid))
	p.spaces[p.template] = struct{}{}
	if err := p.settleTemplate(); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// settleTemplate waits until the template has come to rest and learns the format of the
// extended state from it.
func (p *ptracePlatform) settleTemplate() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pid := p.template.pid
	deadline := time.Now().Add(10 * time.Second)
	attached := false
	for {
		if time.Now().After(deadline) {
			return fmt.Errorf("%w: the first stub does not come to rest", platform.ErrUnsupported)
		}
		if !attached {
			// EPERM: not yet dumpable.
			e := seize(pid)
			if e == unix.EPERM && !p.exited(pid) {
				if time.Now().After(deadline.Add(-9 * time.Second)) {
					return fmt.Errorf("%w: ptrace is not permitted (kernel.yama.ptrace_scope above 1, a seccomp filter or a security module)", platform.ErrUnsupported)
				}
				time.Sleep(100 * time.Microsecond)
				continue
			}
			if e != 0 {
				return p.templateFailed(e)
			}
			attached = true
		}
		if e := interrupt(pid); e != 0 {
			return p.templateFailed(e)
		}
		status, err := waitStatus(pid)
		if err != nil {
			return p.templateFailed(err)
		}
		if !status.Stopped() {
			p.template.reaped = true
			return fmt.Errorf("%w: the first stub failed at step %d", platform.ErrUnsupported, status.ExitStatus())
		}
		var regs hostRegs
		if e := getRegs(pid, &regs); e != 0 {
			return p.templateFailed(e)
		}
		if regs.Rip >= entryRest && regs.Rip < entryRest+0x40 {
			break
		}
		if e := resume(pid); e != 0 {
			return p.templateFailed(e)
		}
		time.Sleep(100 * time.Microsecond)
	}
	if err := p.learnXstate(pid); err != nil {
		return err
	}
	if err := checkSysemu(pid); err != nil {
		return err
	}
	return layToRest(pid)
}

// checkSysemu fails early where the kernel lacks PTRACE_SYSEMU: the stub's own getppid
// must stop and not run.
func checkSysemu(pid int32) error {
	regs := hostRegs{
		Rip: entryCall, Rax: unix.SYS_GETPPID, OrigRax: ^uint64(0), Cs: userCS, Ss: userSS, Eflags: eflagsFixed,
	}
	if e := setRegs(pid, &regs); e != 0 {
		return e
	}
	if e := resumeEmu(pid); e != 0 {
		return fmt.Errorf("%w: PTRACE_SYSEMU: %v", platform.ErrUnsupported, e)
	}
	status, err := waitStatus(pid)
	if err != nil {
		return err
	}
	if status != syscallStatus {
		return fmt.Errorf("%w: PTRACE_SYSEMU does not stop at system calls (status %#x)", platform.ErrUnsupported, status)
	}
	return nil
}

func (p *ptracePlatform) templateFailed(err error) error {
	return fmt.Errorf("%w: trace the first stub: %w", platform.ErrUnsupported, err)
}

// exited reports whether the child has died; it is then reaped.
func (p *ptracePlatform) exited(pid int32) bool {
	got, err := unix.Wait4(int(pid), nil, unix.WALL|unix.WNOHANG, nil)
	if err == nil && got == int(pid) {
		p.template.reaped = true
		return true
	}
	return errors.Is(err, unix.ECHILD)
}

// UserRange implements platform.Platform.
func (p *ptracePlatform) UserRange() abi.AddrRange { return userRange }

// NewAddressSpace implements platform.Platform.
func (p *ptracePlatform) NewAddressSpace() (platform.AddressSpace, error) {
	a, err := p.template.fork()
	if err != nil {
		return nil, err
	}
	return a, nil
}

// NewContext implements platform.Platform.
func (p *ptracePlatform) NewContext() platform.Context {
	return &context{p: p, fp: p.initFP}
}

// Close implements platform.Platform.
func (p *ptracePlatform) Close() {
	p.mu.Lock()
	all := make([]*addressSpace, 0, len(p.spaces))
	for a := range p.spaces {
		all = append(all, a)
	}
	p.mu.Unlock()
	for _, a := range all {
		a.Release()
	}
	close(p.owner)
}
