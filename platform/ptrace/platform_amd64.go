package ptrace

import (
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lazaret/platform"
	"lazaret/platform/internal/machine"
	"lazaret/syscalls/abi"
)

// ptracePlatform implements platform.Platform.
type ptracePlatform struct {
	parent int32           // the Sentry\'s process id, as stubs see it
	xstate *machine.Xstate // format of the vector state
	place  placement
	owner  chan struct{} // closed to end the thread that is every stub's parent
	count  counters

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

// How long the template gets to come to rest, and to become traceable.
const (
	settleTime = 10 * time.Second
	seizeTime  = time.Second
	settlePoll = 100 * time.Microsecond
)

// settleTemplate waits until the template has come to rest and learns from it what the
// host can do.
func (p *ptracePlatform) settleTemplate() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pid := p.template.pid
	if err := p.seizeTemplate(pid); err != nil {
		return err
	}
	for deadline := time.Now().Add(settleTime); ; {
		if e := interrupt(pid); e != 0 {
			return templateFailed(e)
		}
		status, err := waitStatus(pid)
		if err != nil {
			return templateFailed(err)
		}
		if !status.Stopped() {
			p.template.reaped = true
			return fmt.Errorf("%w: the first stub failed at step %d (status %#x)",
				platform.ErrUnsupported, status.ExitStatus(), status)
		}
		var regs hostRegs
		if e := getRegs(pid, &regs); e != 0 {
			return templateFailed(e)
		}
		if isAtRest(&regs) {
			break
		}
		if e := resume(pid); e != 0 {
			return templateFailed(e)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%w: the first stub does not come to rest", platform.ErrUnsupported)
		}
		time.Sleep(settlePoll)
	}
	if err := p.learnXstate(pid); err != nil {
		return err
	}
	if err := checkSysemu(pid); err != nil {
		return err
	}
	return layToRest(pid, entryRest, 0)
}

// seizeTemplate attaches to the template, which may have to make itself traceable first.
func (p *ptracePlatform) seizeTemplate(pid int32) error {
	for deadline := time.Now().Add(seizeTime); ; time.Sleep(settlePoll) {
		e := seize(pid)
		if e == 0 {
			return nil
		}
		if e != unix.EPERM {
			return templateFailed(e)
		}
		if status, dead := exited(pid); dead {
			p.template.reaped = true
			return fmt.Errorf("%w: the first stub failed at step %d (status %#x)",
				platform.ErrUnsupported, status.ExitStatus(), status)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%w: ptrace is not permitted: look at kernel.yama.ptrace_scope "+
				"(must be 0 or 1), seccomp filters and security modules", platform.ErrUnsupported)
		}
	}
}

// checkSysemu fails early where the kernel lacks PTRACE_SYSEMU: the stub's own getppid
// must stop and not run.
func checkSysemu(pid int32) error {
	regs := hostRegs{
		Rip: entryCall, Rax: unix.SYS_GETPPID, OrigRax: ^uint64(0), Cs: machine.UserCS, Ss: machine.UserSS, Eflags: machine.EflagsFixed,
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

func templateFailed(err error) error {
	return fmt.Errorf("%w: trace the first stub: %w", platform.ErrUnsupported, err)
}

// exited reports whether a child has died; it is then reaped.
func exited(pid int32) (unix.WaitStatus, bool) {
	var status unix.WaitStatus
	got, err := unix.Wait4(int(pid), &status, unix.WALL|unix.WNOHANG, nil)
	return status, err != nil || got == int(pid)
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
	return &context{p: p, fp: p.xstate.Init}
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
