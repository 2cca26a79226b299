//go:build amd64

package kernel

import (
	"sync"
	"testing"
	"time"

	"lazaret/platform"
	"lazaret/sentry/auth"
	"lazaret/sentry/fs/tmpfs"
	"lazaret/sentry/memfile"
	"lazaret/sentry/mm"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// The fake platform runs "programs" that are Go functions: a guest function calls
// g.call(f), which arrives in the kernel as a system call whose handler is f. Signal
// handlers are guest functions too, entered when the instruction pointer says so.

const (
	fakeCall    = 5000 // system call number: args[0] names a function
	callIP      = 0x1000
	handlerBase = 0x100000
	stackTop    = 0x7f0000100000
	stackLen    = 0x100000
)

type guestFunc func(g *guest)

// fakePlatform keeps the programs.
type fakePlatform struct {
	mu       sync.Mutex
	calls    []func(t *Task) (uint64, error)
	programs []guestFunc
	handlers []func(g *guest, sig int)
}

func (p *fakePlatform) NewAddressSpace() (platform.AddressSpace, error) { return fakeAS{p}, nil }
func (p *fakePlatform) NewContext() platform.Context {
	return &fakeContext{p: p, irq: make(chan struct{}, 1), fp: make([]byte, 512+64+256)}
}
func (p *fakePlatform) UserRange() abi.AddrRange {
	return abi.AddrRange{Start: 1 << 16, End: 0x7ffffffff000}
}
func (p *fakePlatform) Close() {}

func (p *fakePlatform) program(f guestFunc) abi.Addr {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.programs = append(p.programs, f)
	return abi.Addr(len(p.programs)-1)<<32 | callIP
}

func (p *fakePlatform) handler(f func(g *guest, sig int)) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handlers = append(p.handlers, f)
	return handlerBase + uint64(len(p.handlers)-1)
}

type fakeAS struct{ p *fakePlatform }

func (fakeAS) Map(abi.AddrRange, int, int64, platform.Access) error { return nil }
func (fakeAS) Unmap(abi.AddrRange) error                            { return nil }
func (fakeAS) Protect(abi.AddrRange, platform.Access) error         { return nil }
func (a fakeAS) Fork() (platform.AddressSpace, error)               { return a, nil }
func (fakeAS) Release()                                             {}

// guest is a program that runs.
type guest struct {
	p    *fakePlatform
	to   chan uint64 // results
	from chan platform.Event
	regs *platform.Regs
	spin bool
	nr   uint64
	args [6]uint64
}

// call makes a system call whose handler is f.
func (g *guest) call(f func(t *Task) (uint64, error)) int64 {
	g.p.mu.Lock()
	g.p.calls = append(g.p.calls, f)
	n := uint64(len(g.p.calls) - 1)
	g.p.mu.Unlock()
	return g.syscall(fakeCall, n)
}

func (g *guest) syscall(nr uint64, args ...uint64) int64 {
	g.nr, g.args = nr, [6]uint64{}
	copy(g.args[:], args)
	g.from <- platform.Event{Kind: platform.EventSyscall}
	return int64(<-g.to)
}

// loop runs in application code until interrupted for ever.
func (g *guest) loop() {
	g.spin = true
	g.from <- platform.Event{Kind: platform.EventInterrupt}
	<-g.to
}

func (g *guest) exit(code int32) {
	g.call(func(t *Task) (uint64, error) { t.ExitGroup(code); return 0, nil })
}

type fakeContext struct {
	p    *fakePlatform
	irq  chan struct{}
	g    *guest
	cur  abi.Addr // program that runs
	fp   []byte
	gen  uint64
	wait []*guest // guests that a signal handler interrupted
}

func (c *fakeContext) Interrupt() {
	select {
	case c.irq <- struct{}{}:
	default:
	}
}
func (c *fakeContext) Release() {}
func (c *fakeContext) FPState() ([]byte, error) {
	return append([]byte(nil), c.fp...), nil
}
func (c *fakeContext) SetFPState(b []byte) error {
	if b == nil {
		b = make([]byte, len(c.fp))
	}
	if len(b) != len(c.fp) {
		return abi.EINVAL
	}
	c.fp = append([]byte(nil), b...)
	return nil
}

func (c *fakeContext) launch(f guestFunc, regs *platform.Regs) {
	g := &guest{p: c.p, to: make(chan uint64), from: make(chan platform.Event), regs: regs}
	c.g = g
	go f(g)
}

// Switch runs the guest until its next event.
func (c *fakeContext) Switch(_ platform.AddressSpace, regs *platform.Regs) (platform.Event, error) {
	for {
		if regs.Rip >= handlerBase && regs.Rip < handlerBase+1000 {
			c.enterHandler(regs)
		} else if entry := abi.Addr(regs.Rip); entry != c.cur && regs.Rip&0xffffffff == callIP && regs.OrigRax == ^uint64(0) && c.g == nil || regs.R12 != c.gen {
			c.cur, c.gen = entry, regs.R12
			c.launchAt(regs)
		} else if c.g.spin {
			<-c.irq
			return platform.Event{Kind: platform.EventInterrupt}, nil
		} else if regs.Rip&3 == 2 { // the call has returned
			c.g.to <- regs.Rax
		} else { // restarted
			return c.trap(regs, regs.Rax), nil
		}
		ev := <-c.g.from
		if ev.Kind == platform.EventSyscall {
			return c.trap(regs, c.g.nr), nil
		}
		if ev.Kind == platform.EventInterrupt {
			continue
		}
		return ev, nil
	}
}

func (c *fakeContext) launchAt(regs *platform.Regs) {
	c.p.mu.Lock()
	f := c.p.programs[regs.Rip>>32]
	c.p.mu.Unlock()
	c.launch(f, regs)
}

func (c *fakeContext) trap(regs *platform.Regs, nr uint64) platform.Event {
	g := c.g
	regs.Rip = regs.Rip&^3 | 2
	regs.OrigRax, regs.Rax = nr, nr
	regs.Rdi, regs.Rsi, regs.Rdx, regs.R10, regs.R8, regs.R9 = g.args[0], g.args[1], g.args[2], g.args[3], g.args[4], g.args[5]
	return platform.Event{Kind: platform.EventSyscall}
}

// enterHandler runs a signal handler to its end and makes the rt_sigreturn call.
func (c *fakeContext) enterHandler(regs *platform.Regs) {
	c.p.mu.Lock()
	h := c.p.handlers[regs.Rip-handlerBase]
	c.p.mu.Unlock()
	outer := c.g
	sig := int(regs.Rdi)
	regs.Rsp += 8 // ret pops the restorer's address
	regs.Rip = handlerBase<<8 | callIP
	c.launch(func(g *guest) {
		h(g, sig)
		c.wait = append(c.wait, outer)
		g.syscall(abi.SYS_RT_SIGRETURN)
	}, regs)
}

// fakeTable is the system call table of the tests.
type fakeTable struct{ p *fakePlatform }

func (ft fakeTable) Dispatch(t *Task, nr uint64, args *abi.Args) (uint64, error) {
	switch nr {
	case fakeCall:
		ft.p.mu.Lock()
		f := ft.p.calls[args[0]]
		ft.p.mu.Unlock()
		return f(t)
	case abi.SYS_RT_SIGRETURN:
		c := t.pctx.(*fakeContext)
		c.g, c.wait = c.wait[len(c.wait)-1], c.wait[:len(c.wait)-1]
		t.SigReturn()
		return 0, nil
	case abi.SYS_RESTART_SYSCALL:
		return t.RestartSyscall()
	}
	return 0, abi.ENOSYS
}

// world is a kernel with one container.
type world struct {
	*testing.T
	k *Kernel
	p *fakePlatform
	c *Container
}

func newWorld(t *testing.T) *world {
	mf, err := memfile.New("test", 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	p := &fakePlatform{}
	k := New(Config{Platform: p, MemFile: mf, Syscalls: fakeTable{p}, CPUs: 2})
	t.Cleanup(k.Close)
	c, err := k.NewContainer("c", &memfile.Account{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &world{t, k, p, c}
}

func (w *world) newMM() *mm.MM {
	m, err := mm.New(w.p, w.k.MemFile, w.c.Account)
	if err != nil {
		w.Fatal(err)
	}
	if _, err := m.MMap(mm.MapOpts{Addr: stackTop - stackLen, Len: stackLen, Prot: platform.Read | platform.Write, Fixed: true}); err != nil {
		w.Fatal(err)
	}
	return m
}

func allCreds(k *Kernel) *auth.Creds {
	return &auth.Creds{UserNS: k.RootUserNS, Permitted: auth.AllCaps, Effective: auth.AllCaps, Bounding: auth.AllCaps}
}

func (w *world) image(f guestFunc, creds *auth.Creds) *Image {
	return &Image{MM: w.newMM(), Entry: w.p.program(f), Stack: stackTop - 4096, Name: "/bin/prog", Creds: creds, Readable: true}
}

// process makes a process that nobody forks.
func (w *world) process(f guestFunc) *Task {
	w.Helper()
	ctx := &vfs.Context{Creds: allCreds(w.k), Account: w.c.Account}
	super, err := tmpfs.New(w.k.MemFile).NewSuper(ctx, &vfs.MountSpec{})
	if err != nil {
		w.Fatal(err)
	}
	mnt, err := vfs.NewMountNamespace(super, "tmpfs", 0, w.k.RootUserNS)
	if err != nil {
		w.Fatal(err)
	}
	u := w.k.RootUserNS
	ipc, _ := w.k.NewIPC(u)
	net, _ := w.k.NewNet(u, nil)
	ns := &Namespaces{UTS: w.k.NewUTS(u, "h", ""), IPC: ipc, Net: net, Mnt: w.k.NewMnt(u, mnt),
		Cgroup: w.k.RootCgroupNS, Time: w.k.RootTimeNS, TimeChild: w.k.RootTimeNS, PIDChildren: w.c.PIDNS()}
	t, err := w.k.NewProcess(&ProcessArgs{
		Container: w.c, Image: w.image(f, allCreds(w.k)), FS: vfs.NewFSInfo(mnt.Root(), mnt.Root(), 0o22),
		Files: vfs.NewFDTable(1 << 20), Namespaces: ns, Limits: DefaultLimits(),
	})
	if err != nil {
		w.Fatal(err)
	}
	return t
}

// run runs f as the container's init and returns its wait status.
func (w *world) run(f guestFunc) int32 {
	w.Helper()
	t := w.process(func(g *guest) { f(g); g.exit(0) })
	t.Start()
	return w.waitExit(t.tg)
}

func (w *world) waitExit(tg *ThreadGroup) int32 {
	w.Helper()
	done := make(chan int32, 1)
	go func() {
		st, _ := tg.WaitExit(NewOutsideSleeper())
		done <- st
	}()
	select {
	case st := <-done:
		return st
	case <-time.After(60 * time.Second):
		w.Fatal("process does not end")
	}
	return 0
}

var forkGen = struct {
	sync.Mutex
	n uint64
}{}

// clone makes a task that runs f.
func (g *guest) clone(a CloneArgs, f guestFunc) int64 {
	entry := g.p.program(f)
	return g.call(func(t *Task) (uint64, error) {
		forkGen.Lock()
		forkGen.n++
		gen := forkGen.n
		forkGen.Unlock()
		// The child starts at f: the registers are copied from ours.
		saved := t.regs
		t.regs.Rip, t.regs.R12 = uint64(entry), gen
		c, err := t.cloneRegs(&a, &saved)
		return uint64(c), err
	})
}

func (t *Task) cloneRegs(a *CloneArgs, restore *platform.Regs) (int32, error) {
	tid, err := t.Clone(a)
	t.regs = *restore
	return tid, err
}

func (g *guest) fork(f guestFunc) int64 {
	return g.clone(CloneArgs{ExitSignal: abi.SIGCHLD}, func(c *guest) { f(c); c.exit(0) })
}

func (g *guest) wait(pid int32, options uint32) (res WaitResult, errno int64) {
	errno = g.call(func(t *Task) (uint64, error) {
		a := WaitArgs{Which: abi.P_PID, ID: pid, Options: options | abi.WEXITED}
		if pid == -1 {
			a.Which = abi.P_ALL
		}
		var err error
		res, err = t.Wait(&a)
		return uint64(res.PID), err
	})
	return res, errno
}

func (g *guest) kill(pid int32, sig int) int64 {
	return g.call(func(t *Task) (uint64, error) { return 0, t.Kill(pid, sig) })
}

func (g *guest) sigaction(sig int, a abi.Sigaction) {
	g.call(func(t *Task) (uint64, error) {
		_, err := t.Sigaction(sig, &a)
		return 0, err
	})
}

func (g *guest) handle(sig int, flags uint64, f func(g *guest, sig int)) {
	g.sigaction(sig, abi.Sigaction{Handler: g.p.handler(f), Flags: flags | abi.SA_RESTORER, Restorer: 0x2000})
}

// tasksLeft returns how many tasks there are once those that are ending had time to go:
// a process has ended for its waiters a little before its last thread is released.
func (w *world) tasksLeft() int {
	for range 2000 {
		if w.k.TaskCount() == 0 {
			return 0
		}
		time.Sleep(10 * time.Millisecond)
	}
	return w.k.TaskCount()
}
