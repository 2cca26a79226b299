package trap

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

// trapPlatform implements platform.Platform.
type trapPlatform struct {
	parent  int32 // the Sentry's process id, as stubs see it
	fsgs    bool  // user code can change its segment bases
	slots   *slots
	xstate  *machine.Xstate // format of the vector state
	xmask   uint64          // the components that threads load
	answers chan answer     // that no request uses

	template *addressSpace
	place    placement
	counters counters

	mu       sync.Mutex
	died     *sync.Cond // some address space has become dead
	spaces   map[int32]*addressSpace
	forks    map[answer]struct{} // of forks under way
	orphans  map[int32]struct{}  // processes that died before they were in spaces
	watched  []*context          // interrupted, and running still
	closed   bool
	pool     []*addressSpace // emptied stubs, the oldest first
	emptying int             // stubs that are about to be in pool
	expiring bool            // a timer will look at pool
	expirers sync.WaitGroup
	spare    int // threads of ended contexts that the scheduler has

	watchTick  time.Duration
	watchLimit int
	idleLimit  time.Duration
}

// numAnswers bounds the requests under way at any time.
const numAnswers = 16

// New starts the platform: it makes the template stub. It must be called after the
// Sentry has its final credentials and namespaces and before it has its seccomp filter.
func New() (platform.Platform, error) {
	p := &trapPlatform{
		parent:  int32(unix.Getpid()),
		fsgs:    userFSGS(),
		answers: make(chan answer, numAnswers),

		watchTick: watchTick, watchLimit: watchLimit, idleLimit: idleLimit,
		spaces:  make(map[int32]*addressSpace),
		forks:   make(map[answer]struct{}),
		orphans: make(map[int32]struct{}),
	}
	p.died = sync.NewCond(&p.mu)
	p.place.init()
	if err := p.start(); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

func (p *trapPlatform) start() error {
	for range numAnswers {
		var ans answer
		for _, fd := range []*int{&ans.end, &ans.result} {
			var err error
			if *fd, err = unix.Eventfd(0, unix.EFD_CLOEXEC); err != nil {
				return fmt.Errorf("%w: make an eventfd: %v", platform.ErrUnsupported, err)
			}
		}
		p.answers <- ans
	}
	var err error
	if p.slots, err = newSlots(); err != nil {
		return fmt.Errorf("%w: %v", platform.ErrUnsupported, err)
	}
	image, err := buildImage(codePage()[:], p.fsgs)
	if err != nil {
		return err
	}
	page, err := p.slots.alloc()
	if err != nil {
		return err
	}
	p.template = newAddressSpace(p, page)
	if err := p.startStubs(image); err != nil {
		return err
	}
	return p.learn()
}

// startStubs makes the template, by the thread that is every stub's parent.
func (p *trapPlatform) startStubs(image []byte) error {
	ans := <-p.answers
	started := make(chan error)
	go func() {
		// Stubs die with the thread that is their parent, so it lasts as long as they
		// do; a goroutine that ends locked takes its thread with it.
		runtime.LockOSThread()
		pid, err := startTemplate(p, image, p.template.page.index, ans.end)
		if err == nil {
			p.template.pid = int32(pid)
			p.template.waiting = &ans
			p.add(p.template)
		}
		started <- err
		if err == nil {
			p.reap()
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	sum, err := readEvent(ans.end)
	if err != nil || sum&ansResult == 0 {
		return fmt.Errorf("%w: the first stub died in its first steps", platform.ErrUnsupported)
	}
	p.template.finish(ans)
	p.answers <- ans
	return nil
}

// add makes a new process known, which may have died already.
func (p *trapPlatform) add(a *addressSpace) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, gone := p.orphans[a.pid]; gone {
		delete(p.orphans, a.pid)
		a.dead = true
	}
	p.spaces[a.pid] = a
}

// adopt makes a new thread known, unless its process is dead.
func (p *trapPlatform) adopt(a *addressSpace, t *stubThread) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a.dead || a.released {
		t.dead.Store(true)
	}
	if a.threads != nil {
		a.threads[t] = struct{}{}
	}
	return !a.dead && !a.released
}

// reap waits for deaths of stubs until there is none left.
func (p *trapPlatform) reap() {
	for {
		pid, err := waitAny()
		if err != nil {
			return
		}
		p.mu.Lock()
		if a := p.spaces[pid]; a != nil {
			a.diedLocked()
		} else if len(p.forks) > 0 {
			p.orphans[pid] = struct{}{}
			for ans := range p.forks {
				writeEvent(ans.end, ansDead)
			}
		}
		if len(p.forks) == 0 {
			clear(p.orphans)
		}
		p.died.Broadcast()
		p.mu.Unlock()
	}
}

// diedLocked wakes everybody who waits for the address space's threads or its mapper.
//
// Preconditions: p.mu is held.
func (a *addressSpace) diedLocked() {
	a.dead = true
	if a.waiting != nil {
		writeEvent(a.waiting.result, ansDead)
		writeEvent(a.waiting.end, ansDead)
	}
	for t := range a.threads {
		t.dead.Store(true)
		// Nothing but the Sentry writes there any more.
		t.slot.word(slotPost).Store(postDead)
		futexWake(t.slot.futex(slotPost))
	}
}

// postDead says in slotPost that the thread is dead.
const postDead = 2

// learn runs a program of one instruction, which shows that system calls trap here, and
// what the host's signal frames look like.
func (p *trapPlatform) learn() error {
	as, err := p.template.fork()
	if err != nil {
		return fmt.Errorf("%w: copy the first stub: %v", platform.ErrUnsupported, err)
	}
	defer as.Release()
	code, err := p.slots.alloc()
	if err != nil {
		return err
	}
	defer p.slots.release(code)
	const addr = abi.Addr(userStart)
	copy(code.mem, []byte{0x0f, 0x05}) // syscall
	r := abi.AddrRange{Start: addr, End: addr + abi.PageSize}
	if err := as.Map(r, p.slots.fd, int64(code.index)*slotLen, platform.Read|platform.Exec); err != nil {
		return fmt.Errorf("%w: map memory into a stub: %v", platform.ErrUnsupported, err)
	}
	// The smallest image, without the protection keys: a stub keeps those it inherited.
	const allButKeys = ^uint64(1 << 9)
	p.xmask = allButKeys
	min := make([]byte, machine.XsaveMin)
	min[0], min[1], min[24], min[25] = 0x7f, 0x03, 0x80, 0x1f // FCW, MXCSR
	p.xstate = &machine.Xstate{Init: min}
	c := p.NewContext().(*context)
	defer c.Release()
	regs := platform.Regs{Rip: uint64(addr), Rax: unix.SYS_GETPPID}
	ev, err := c.Switch(as, &regs)
	if err != nil || ev.Kind != platform.EventSyscall || regs.OrigRax != unix.SYS_GETPPID {
		return fmt.Errorf("%w: a system call did not trap (%+v, %v)", platform.ErrUnsupported, ev, err)
	}
	return p.learnXstate(c)
}

// learnXstate reads the format of vector state from a signal frame.
func (p *trapPlatform) learnXstate(c *context) error {
	const magic1, offMagic, offFeatures, offSize = 0x46505853, 464, 472, 480
	t := c.thread
	off, ok := t.slot.offset(t.slot.get(slotFP), machine.XsaveMin)
	if !ok {
		return fmt.Errorf("%w: no vector state in a signal frame", platform.ErrUnsupported)
	}
	f := frame(t.slot.mem[off:])
	size := int(f.u32(offSize))
	if f.u32(offMagic) != magic1 || size > len(f) || size < machine.XsaveMin || size > slotLocal-slotFPArea {
		return fmt.Errorf("%w: vector state of %d bytes in a signal frame", platform.ErrUnsupported, size)
	}
	features := f.u64(offFeatures)
	p.xstate = machine.NewXstate(f[:size], features)
	p.xmask = features
	return nil
}

// UserRange implements platform.Platform.
func (p *trapPlatform) UserRange() abi.AddrRange { return userRange }

// NewAddressSpace implements platform.Platform.
func (p *trapPlatform) NewAddressSpace() (platform.AddressSpace, error) {
	if a := p.take(); a != nil {
		return a, nil
	}
	a, err := p.template.fork()
	if err != nil {
		return nil, err
	}
	return a, nil
}

// KeptAddressSpace implements platform.Keeper.
func (p *trapPlatform) KeptAddressSpace() platform.AddressSpace {
	if a := p.take(); a != nil {
		return a
	}
	return nil
}

// NewContext implements platform.Platform.
func (p *trapPlatform) NewContext() platform.Context {
	return &context{p: p, fp: p.xstate.Init}
}

// Close implements platform.Platform.
func (p *trapPlatform) Close() {
	p.mu.Lock()
	p.closed = true
	all := make([]*addressSpace, 0, len(p.spaces))
	for _, a := range p.spaces {
		all = append(all, a)
	}
	p.mu.Unlock()
	for _, a := range all {
		a.Release()
	}
	p.expirers.Wait()
	for len(p.answers) > 0 {
		ans := <-p.answers
		_ = unix.Close(ans.end)
		_ = unix.Close(ans.result)
	}
	if p.slots != nil {
		p.slots.close()
	}
}
