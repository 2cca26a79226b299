package ptrace

import (
	"errors"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"lazaret/platform"
	"lazaret/platform/internal/machine"
	"lazaret/platform/internal/ranges"
	"lazaret/syscalls/abi"
)

// addressSpace is one stub process. Its first thread, the leader, never runs application
// code: it sleeps untraced until something must be done in the address space by a thread
// of the Sentry that traces no other thread of it.
type addressSpace struct {
	p   *ptracePlatform
	pid int32

	leaderMu  sync.Mutex // held while the leader is traced
	leaderCPU int        // where it was last pinned, -1 when unknown
	armed     bool       // it has been seen at rest, so it dies with the Sentry

	mu       sync.Mutex
	threads  map[int32]*stubThread // by thread id
	byTracer map[int32]*stubThread // the one that a thread of ours traces
	mapped   ranges.Set
	released bool
	reaped   bool // the leader has been waited for
}

// stubThread runs one context.
type stubThread struct {
	as     *addressSpace
	tid    int32
	tracer int32
	ctx    *context
	dead   atomic.Bool // reaped
}

func newAddressSpace(p *ptracePlatform, pid int32) *addressSpace {
	return &addressSpace{
		p: p, pid: pid, leaderCPU: -1,
		threads: make(map[int32]*stubThread), byTracer: make(map[int32]*stubThread),
	}
}

// Map implements platform.AddressSpace.
func (a *addressSpace) Map(r abi.AddrRange, fd int, off int64, prot platform.Access) error {
	if err := checkRange(r); err != nil {
		return err
	}
	if prot&^(platform.Read|platform.Write|platform.Exec) != 0 || fd < 0 {
		return abi.EINVAL
	}
	a.p.count.maps.Add(1)
	_, err := a.call(unix.SYS_MMAP, uint64(r.Start), r.Len(), uint64(prot),
		unix.MAP_SHARED|unix.MAP_FIXED, uint64(fd), uint64(off))
	if err != nil {
		return err
	}
	a.mu.Lock()
	a.mapped.Add(r)
	a.mu.Unlock()
	return nil
}

// Unmap implements platform.AddressSpace.
func (a *addressSpace) Unmap(r abi.AddrRange) error {
	if err := checkRange(r); err != nil {
		return err
	}
	a.mu.Lock()
	n := len(a.mapped.Within(r))
	a.mu.Unlock()
	if n == 0 {
		return nil
	}
	a.p.count.unmaps.Add(1)
	if _, err := a.call(unix.SYS_MUNMAP, uint64(r.Start), r.Len()); err != nil {
		return err
	}
	a.mu.Lock()
	a.mapped.Remove(r)
	a.mu.Unlock()
	return nil
}

// Protect implements platform.AddressSpace.
func (a *addressSpace) Protect(r abi.AddrRange, prot platform.Access) error {
	if err := checkRange(r); err != nil {
		return err
	}
	if prot&^(platform.Read|platform.Write|platform.Exec) != 0 {
		return abi.EINVAL
	}
	a.mu.Lock()
	parts := a.mapped.Within(r)
	a.mu.Unlock()
	a.p.count.protects.Add(1)
	for batch := range slices.Chunk(parts, protectBatch) {
		if _, err := a.inject(protectCall(batch, prot)); err != nil {
			return err
		}
	}
	return nil
}

// protectBatch is how many ranges entryProt takes at once.
const protectBatch = 5

// protectCall packs ranges into the registers that entryProt reads.
func protectCall(batch []abi.AddrRange, prot platform.Access) *hostCall {
	c := &hostCall{entry: entryProt, nr: unix.SYS_MPROTECT}
	c.args[2] = uint64(prot)
	starts := [protectBatch]*uint64{&c.args[0], &c.args[4], &c.args[3], &c.more[1], &c.more[3]}
	lens := [protectBatch]*uint64{&c.args[1], &c.args[5], &c.more[0], &c.more[2], &c.more[4]}
	for i, r := range batch {
		*starts[i], *lens[i] = uint64(r.Start), r.Len()
	}
	return c
}

// Fork implements platform.AddressSpace.
func (a *addressSpace) Fork() (platform.AddressSpace, error) {
	child, err := a.fork()
	if err != nil {
		return nil, err
	}
	return child, nil
}

func (a *addressSpace) fork() (*addressSpace, error) {
	pid, err := a.inject(&hostCall{
		entry: entryFork, nr: unix.SYS_CLONE, args: [6]uint64{forkFlags}, r15: uint64(a.p.parent),
	})
	if err != nil {
		return nil, err
	}
	child := newAddressSpace(a.p, int32(pid))
	a.mu.Lock()
	child.mapped = slices.Clone(a.mapped)
	a.mu.Unlock()
	a.p.mu.Lock()
	a.p.spaces[child] = struct{}{}
	a.p.count.stubs.Add(1)
	a.p.mu.Unlock()
	return child, nil
}

// Release implements platform.AddressSpace. It waits for the stub's death, so that
// nothing can reach the memory that was mapped when it returns.
func (a *addressSpace) Release() {
	a.leaderMu.Lock()
	defer a.leaderMu.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.released {
		return
	}
	a.released = true
	if !a.reaped {
		// The process id cannot have another owner: nobody has waited for it.
		tgkill(a.pid, a.pid, unix.SIGKILL)
		for t := range maps.Values(a.threads) {
			reap(t.tid)
			t.dead.Store(true)
			t.ctx.target.Store(0)
		}
		clear(a.threads)
		clear(a.byTracer)
		reap(a.pid)
		a.reaped = true
	}
	a.mapped = nil
	a.p.mu.Lock()
	delete(a.p.spaces, a)
	a.p.mu.Unlock()
}

// reap waits for the death of a killed thread.
func reap(tid int32) {
	for {
		status, err := waitStatus(tid)
		if err != nil || !status.Stopped() {
			return
		}
	}
}

// call executes a system call in the address space.
func (a *addressSpace) call(nr uint64, args ...uint64) (int64, error) {
	c := hostCall{entry: entryCall, nr: nr}
	copy(c.args[:], args)
	return a.inject(&c)
}

// inject executes a system call in the address space: in the stub thread that the calling
// thread traces, or else in the leader. Errors are abi.Errno.
func (a *addressSpace) inject(c *hostCall) (int64, error) {
	var ret int64
	var err error
	if t := a.threadOf(gettid()); t != nil {
		a.p.place.enter(t.ctx)
		if ret, err = inject(t.tid, c); err == errGone {
			t.forget()
		}
	} else {
		ret, err = a.injectLeader(c)
	}
	if err != nil {
		return 0, toErrno(err)
	}
	if ret < 0 && ret > -4096 {
		return 0, abi.Errno(-ret)
	}
	return ret, nil
}

func (a *addressSpace) injectLeader(c *hostCall) (int64, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	a.leaderMu.Lock()
	defer a.leaderMu.Unlock()
	if err := a.wakeLeaderLocked(); err != nil {
		return 0, err
	}
	ret, err := inject(a.pid, c)
	if err != nil {
		// It is traced and in no known state: of no use to anybody.
		tgkill(a.pid, a.pid, unix.SIGKILL)
		return 0, err
	}
	return ret, a.layLeaderLocked()
}

// wakeLeaderLocked makes the calling thread the leader's tracer, on the same processor.
func (a *addressSpace) wakeLeaderLocked() error {
	a.mu.Lock()
	released := a.released
	a.mu.Unlock()
	if released {
		return errGone
	}
	a.p.count.leaderAttaches.Add(1)
	if cpu := currentCPU(); cpu != a.leaderCPU && a.p.place.pin(a.pid, cpu) {
		a.leaderCPU = cpu
	}
	if err := seizeAtRest(a.pid); err != nil || a.armed {
		return err
	}
	var regs hostRegs
	if e := getRegs(a.pid, &regs); e != 0 {
		return e
	}
	a.armed = isAtRest(&regs)
	return nil
}

// layLeaderLocked undoes wakeLeaderLocked. A new leader may have been stopped before it
// bound its life to the Sentry's; then it has to begin again.
func (a *addressSpace) layLeaderLocked() error {
	if !a.armed {
		return layToRest(a.pid, entryArm, uint64(a.p.parent))
	}
	return layToRest(a.pid, entryRest, 0)
}

// threadOf returns the stub thread of this address space that a thread of ours traces.
func (a *addressSpace) threadOf(tracer int32) *stubThread {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.byTracer[tracer]
}

// newThread adds a stub thread, traced by the caller's thread and stopped.
func (a *addressSpace) newThread(c *context) (*stubThread, error) {
	a.leaderMu.Lock()
	defer a.leaderMu.Unlock()
	if err := a.wakeLeaderLocked(); err != nil {
		return nil, toErrno(err)
	}
	tid, err := inject(a.pid, &hostCall{entry: entryCall, nr: unix.SYS_CLONE, args: [6]uint64{threadFlags}})
	if err != nil {
		return nil, toErrno(err)
	}
	if err := a.layLeaderLocked(); err != nil {
		return nil, toErrno(err)
	}
	if tid < 0 {
		return nil, abi.Errno(-tid)
	}
	// CLONE_PTRACE made the new thread ours; its first stop is an event stop.
	status, err := waitStatus(int32(tid))
	if err != nil {
		return nil, toErrno(err)
	}
	if !status.Stopped() {
		return nil, abi.ESRCH
	}
	t := &stubThread{as: a, tid: int32(tid), tracer: c.tracer, ctx: c}
	a.mu.Lock()
	a.threads[t.tid] = t
	a.p.count.threads.Add(1)
	a.byTracer[t.tracer] = t
	a.mu.Unlock()
	return t, nil
}

// end ends a stub thread; the caller's thread traces it.
func (t *stubThread) end() {
	if dead := t.forget(); dead {
		return
	}
	regs := hostRegs{
		Rip: entryCall, Rax: unix.SYS_EXIT, OrigRax: ^uint64(0), Cs: machine.UserCS, Ss: machine.UserSS, Eflags: machine.EflagsFixed,
	}
	// Errors mean that it is dying already.
	_ = setRegs(t.tid, &regs)
	for {
		_ = resume(t.tid)
		if status, err := waitStatus(t.tid); err != nil || !status.Stopped() {
			return
		}
	}
}

// forget takes a thread that is dead or about to die from its address space, and says
// whether that was done before.
func (t *stubThread) forget() bool {
	a := t.as
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.threads, t.tid)
	if a.byTracer[t.tracer] == t {
		delete(a.byTracer, t.tracer)
	}
	t.ctx.target.Store(0)
	return t.dead.Swap(true)
}

// checkRange refuses what could touch the stub's own page, whatever the caller promised.
func checkRange(r abi.AddrRange) error {
	if r.Start >= r.End || r.Start < userStart || r.End > userEnd ||
		r.Start.PageOffset() != 0 || r.End.PageOffset() != 0 {
		return abi.EINVAL
	}
	return nil
}

func toErrno(err error) error {
	var host unix.Errno
	if errors.As(err, &host) {
		return abi.Errno(host)
	}
	return abi.ESRCH
}
