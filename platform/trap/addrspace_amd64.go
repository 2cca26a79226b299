package trap

import (
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lazaret/platform"
	"lazaret/platform/internal/ranges"
	"lazaret/syscalls/abi"
)

// addressSpace is one stub process.
type addressSpace struct {
	p    *trapPlatform
	pid  int32
	page slot // the mapper's: its first page is the request page

	askMu     sync.Mutex // held while the mapper works
	mapperCPU int        // where it was last pinned, -1 when unknown

	mu       sync.Mutex
	mapped   ranges.Set
	idle     []*stubThread // without a context
	gone     bool          // it has been released
	doubtful bool          // a thread may be where the platform does not know it to be

	// Guarded by the platform's mutex.
	dead     bool
	released bool
	waiting  *answer // to the request under way
	threads  map[*stubThread]struct{}
	since    time.Time // when it was put into the pool
	proofs   int       // how often its threads have been seen to rest
}

func newAddressSpace(p *trapPlatform, page slot) *addressSpace {
	return &addressSpace{p: p, page: page, mapperCPU: -1, threads: make(map[*stubThread]struct{})}
}

// Map implements platform.AddressSpace.
func (a *addressSpace) Map(r abi.AddrRange, fd int, off int64, prot platform.Access) error {
	if err := checkRange(r); err != nil {
		return err
	}
	if prot&^(platform.Read|platform.Write|platform.Exec) != 0 || fd < 0 {
		return abi.EINVAL
	}
	a.p.counters.maps.Add(1)
	if err := a.call(mmapCall(r.Start, r.Len(), int(prot), 0, fd, off)); err != nil {
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
	a.p.counters.unmaps.Add(1)
	a.mu.Lock()
	n := len(a.mapped.Within(r))
	a.mu.Unlock()
	if n == 0 {
		return nil
	}
	if err := a.call(hostCall{unix.SYS_MUNMAP, [6]uint64{uint64(r.Start), r.Len()}}); err != nil {
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
	a.p.counters.protects.Add(1)
	a.mu.Lock()
	calls := a.protectCalls(nil, r, prot)
	a.mu.Unlock()
	return a.call(calls...)
}

// Do implements platform.Batcher.
func (a *addressSpace) Do(ops []platform.Op) error {
	var calls []hostCall
	a.mu.Lock()
	for _, o := range ops {
		if checkRange(o.Range) != nil || o.Prot&^(platform.Read|platform.Write|platform.Exec) != 0 {
			a.mu.Unlock()
			return abi.EINVAL
		}
		if o.FD >= 0 {
			a.p.counters.maps.Add(1)
			calls = append(calls, mmapCall(o.Range.Start, o.Range.Len(), int(o.Prot), 0, o.FD, o.Off))
			a.mapped.Add(o.Range)
			continue
		}
		a.p.counters.protects.Add(1)
		calls = a.protectCalls(calls, o.Range, o.Prot)
	}
	a.mu.Unlock()
	return a.call(calls...)
}

// protectCalls adds the calls that change the permissions of what is mapped in r.
//
// Preconditions: a.mu is held.
func (a *addressSpace) protectCalls(calls []hostCall, r abi.AddrRange, prot platform.Access) []hostCall {
	for _, part := range a.mapped.Within(r) {
		calls = append(calls, hostCall{unix.SYS_MPROTECT, [6]uint64{uint64(part.Start), part.Len(), uint64(prot)}})
	}
	return calls
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
	page, err := a.p.slots.alloc()
	if err != nil {
		return nil, err
	}
	child := newAddressSpace(a.p, page)
	pid, err := a.askAnew(&request{kind: reqFork, child: page})
	if err != nil {
		if err != abi.ESRCH {
			// No child was made. Else one may live for a moment that maps the slot: it
			// is not used again.
			a.p.slots.release(page)
		}
		return nil, err
	}
	child.pid = int32(pid)
	a.p.counters.stubs.Add(1)
	a.mu.Lock()
	child.mapped = slices.Clone(a.mapped)
	a.mu.Unlock()
	a.p.add(child)
	return child, nil
}

// Release implements platform.AddressSpace. It waits until the stub is empty, or dead, so
// that nothing can reach the memory that was mapped when it returns.
func (a *addressSpace) Release() {
	a.p.mu.Lock()
	again := a.released
	a.released = true
	a.p.mu.Unlock()
	if again {
		return
	}
	if next := a.succeed(); next != nil {
		next.empty()
		return
	}
	a.kill()
}

// kill ends the stub.
func (a *addressSpace) kill() {
	p := a.p
	p.mu.Lock()
	if !a.dead {
		// The process id cannot have another owner: nobody has waited for it.
		tgkill(a.pid, a.pid, unix.SIGKILL)
		p.mu.Unlock()
		_, err := waitPID(a.pid)
		p.mu.Lock()
		if err == nil {
			a.diedLocked()
		}
	}
	for !a.dead { // The reaper was first.
		p.died.Wait()
	}
	delete(p.spaces, a.pid)
	threads := a.threads
	for t := range threads {
		p.counters.answered += t.slot.get(slotAnswered)
	}
	a.threads = nil
	p.mu.Unlock()

	for t := range threads {
		p.slots.release(t.slot)
	}
	p.slots.release(a.page)
}

// checkRange refuses what could touch the stub's own pages, whatever the caller promised.
func checkRange(r abi.AddrRange) error {
	if r.Start >= r.End || r.Start < userStart || r.End > userEnd ||
		r.Start.PageOffset() != 0 || r.End.PageOffset() != 0 {
		return abi.EINVAL
	}
	return nil
}
