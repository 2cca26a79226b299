package mm

import (
	"sync"
	"sync/atomic"

	"lazaret/platform"
	"lazaret/sentry/memfile"
	"lazaret/sentry/uio"
	"lazaret/syscalls/abi"
)

const (
	// maxMapCount is sysctl vm.max_map_count.
	maxMapCount = 65530

	// minAddr is sysctl vm.mmap_min_addr.
	minAddr abi.Addr = 64 << 10

	// guardGap is the room kept free below a stack (stack_guard_gap, 256 pages).
	guardGap = 256 << abi.PageShift
)

// Infinity is the value of a limit that does not limit.
const Infinity = ^uint64(0)

// Limits are the resource limits that concern memory, in bytes.
type Limits struct {
	AS, Data, Stack, Memlock uint64
	// LockUnlimited is set for CAP_IPC_LOCK.
	LockUnlimited bool
}

// MM is an address space. Methods are safe for concurrent use.
type MM struct {
	plat platform.Platform
	file *memfile.File
	acct *memfile.Account
	as   platform.AddressSpace

	barrier Barrier // nil: no patches
	user    abi.AddrRange

	users atomic.Int64
	last  atomic.Pointer[vma] // the vma found last, a hint
	pt    pageTable
	rss   rssCounters
	idle  idleFaults
	oom   atomic.Bool // see TakeOOM
	patch patches

	constants constants
	marks     atomic.Uint32
	copied    int64     // pages that the fork which made this copied; never changes
	hot       *hotPages // nil before the first fork; shared by a process and its forks; changes with mu held for writing

	mu     sync.RWMutex
	vmas   []*vma // sorted
	limits Limits
	layout Layout

	brkStart, brk abi.Addr
	ranges        Ranges
	lockFuture    vmaFlags // vmLocked after mlockall(MCL_FUTURE)

	total, totalPeak, data, locked uint64 // bytes

	dead   []FileRef // to release after mu is unlocked
	closed bool
}

var (
	_ uio.Memory     = (*MM)(nil)
	_ memfile.Mapper = (*MM)(nil)
)

// New returns an empty address space with one user, whose pages are charged to acct.
func New(p platform.Platform, f *memfile.File, acct *memfile.Account) (*MM, error) {
	as, err := p.NewAddressSpace()
	if err != nil {
		return nil, err
	}
	m := newMM(p, f, acct, as)
	m.layout = newLayout(m.user, true, 8<<20)
	return m, nil
}

func newMM(p platform.Platform, f *memfile.File, acct *memfile.Account, as platform.AddressSpace) *MM {
	m := &MM{plat: p, file: f, acct: acct, as: as, user: p.UserRange()}
	m.user.Start = max(m.user.Start, minAddr)
	m.limits = Limits{AS: Infinity, Data: Infinity, Stack: 8 << 20, Memlock: 8 << 20}
	m.pt.acct = acct
	m.users.Store(1)
	return m
}

// AS returns the platform's side of the address space.
func (m *MM) AS() platform.AddressSpace { return m.as }

// Account returns who pays for the pages.
func (m *MM) Account() *memfile.Account { return m.acct }

// IncUsers adds a user: a task that runs in the address space.
func (m *MM) IncUsers() { m.users.Add(1) }

// Users returns the number of users.
func (m *MM) Users() int64 { return m.users.Load() }

// TryIncUsers adds a user unless the last one has gone (for /proc).
func (m *MM) TryIncUsers() bool {
	for {
		n := m.users.Load()
		if n <= 0 {
			return false
		}
		if m.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// DecUsers removes a user. The last one unmaps everything and releases the platform's
// AddressSpace: no Context is in it any more.
func (m *MM) DecUsers() {
	if m.users.Add(-1) != 0 {
		return
	}
	m.lock()
	m.closed = true
	m.as.Release()
	all := abi.AddrRange{Start: 0, End: ^abi.Addr(0) &^ abi.PageMask}
	for _, v := range m.vmas {
		m.forgetLocked(v)
	}
	m.dropPatchesLocked()
	m.dropPagesLocked(all)
	m.pt.prune(all)
	clear(m.vmas)
	m.vmas = nil
	m.unlock()
}

// lock takes mu for a change of the vmas.
func (m *MM) lock() {
	m.mu.Lock()
	m.last.Store(nil)
}

// unlock ends a change and releases the files that it let go.
func (m *MM) unlock() {
	dead := m.dead
	m.dead = nil
	m.last.Store(nil)
	m.mu.Unlock()
	for _, f := range dead {
		f.DecRef()
	}
}

// forgetLocked takes v out of the totals, tells its object and lets its file go; the
// caller removes it from m.vmas.
func (m *MM) forgetLocked(v *vma) {
	if v.object != nil {
		m.settle()
	}
	m.countLocked(v, -v.Len())
	if v.object != nil {
		v.object.RemoveMapping(m, v.AddrRange, v.off, v.writable())
	}
	if v.file != nil {
		m.dead = append(m.dead, v.file)
	}
}

// SetLimits sets the resource limits.
func (m *MM) SetLimits(l Limits) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.limits = l
}

// rssCounters count resident pages by kind.
type rssCounters struct {
	anon, file, shmem atomic.Int64
	peak              atomic.Int64
}

// add counts n pages (negative: removed) of kind p in v.
func (c *rssCounters) add(v *vma, p pte, n int64) {
	switch {
	case v.flags&vmKernel != 0: // Linux does not count those either
	case p&pteHost != 0:
		c.file.Add(n)
	case v.shared():
		c.shmem.Add(n)
	default:
		c.anon.Add(n)
	}
	if n < 0 {
		return
	}
	now := c.total()
	for p := c.peak.Load(); now > p && !c.peak.CompareAndSwap(p, now); p = c.peak.Load() {
	}
}

func (c *rssCounters) total() int64 {
	return c.anon.Load() + c.file.Load() + c.shmem.Load()
}
