package trap

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Stubs whose address space has ended are emptied and kept for the next: a new process and
// the filter of its first thread cost the host more than all that a small program does.
// Why nothing of one life reaches the next is said in doc.go.

const (
	// maxPool bounds the stubs that are kept.
	maxPool = 8

	// restLimit is how long the threads of a kept stub may take to rest.
	restLimit = time.Second

	// restProofs is how often they must have been seen to rest.
	restProofs = 2

	// idleLimit is how long a stub is kept for nobody (trapPlatform.idleLimit, but in tests).
	idleLimit = 10 * time.Second
)

// empty makes the stub of an ended address space one that has nothing, and keeps it.
func (a *addressSpace) empty() {
	a.page.put32(reqHold, 1)
	for _, t := range a.idle {
		tgkill(a.pid, t.tid, resetSignal)
	}
	err := a.call(hostCall{unix.SYS_MUNMAP, [6]uint64{userStart, userEnd - userStart}})
	clear(a.page.mem[reqOps:])

	p := a.p
	p.mu.Lock()
	p.emptying--
	keep := err == nil && !a.dead && !p.closed
	if keep {
		a.since = time.Now()
		p.pool = append(p.pool, a)
		a.restedLocked()
		p.expireLaterLocked()
	}
	p.mu.Unlock()
	if !keep {
		a.destroy()
	}
}

// succeed ends the life of a's stub and returns the address space that the stub and its
// threads belong to from now on; nil if the stub is not to be kept.
func (a *addressSpace) succeed() *addressSpace {
	p := a.p
	a.mu.Lock()
	defer a.mu.Unlock()
	a.gone = true
	a.mapped, a.idle = nil, nil
	p.place.mu.Lock() // nobody moves a thread for its former context
	defer p.place.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if a.doubtful || a.dead || p.closed || len(a.threads) == 0 || len(a.threads) > maxIdle ||
		len(p.pool)+p.emptying >= maxPool {
		return nil
	}
	n := newAddressSpace(p, a.page)
	n.pid, n.mapperCPU = a.pid, a.mapperCPU
	for t := range a.threads {
		t.dead.Store(true)
		if t.owner != nil {
			t.owner.target.Store(0)
		}
		p.counters.answered += t.slot.get(slotAnswered)
		u := &stubThread{as: n, tid: t.tid, slot: t.slot, held: true}
		n.threads[u] = struct{}{}
		n.idle = append(n.idle, u)
	}
	a.dead, a.threads = true, nil
	p.spaces[n.pid] = n
	p.emptying++
	return n
}

// restedLocked says whether all threads are known to wait in codeReset.
//
// Who is woken there was in the kernel after it had been sent resetSignal, so the next
// that it executes in user mode is, or was before, the beginning of codeReset. Who is woken once more
// has begun, so its last signal frame is complete.
//
// Preconditions: p.mu is held.
func (a *addressSpace) restedLocked() bool {
	if a.proofs < restProofs && futexWake(a.page.futex(reqHold)) == len(a.threads) {
		a.proofs++
	}
	return a.proofs >= restProofs
}

// take returns an empty stub that was kept, or nil.
func (p *trapPlatform) take() *addressSpace {
	var got *addressSpace
	var lost []*addressSpace
	p.mu.Lock()
	keep := p.pool[:0]
	for _, a := range p.pool {
		switch {
		case a.dead:
			lost = append(lost, a)
		case got == nil && a.restedLocked():
			got = a
		case a.proofs < restProofs && time.Since(a.since) > restLimit:
			lost = append(lost, a)
		default:
			keep = append(keep, a)
		}
	}
	clear(p.pool[len(keep):])
	p.pool = keep
	p.mu.Unlock()
	for _, a := range lost {
		a.destroy()
	}
	if got == nil {
		return nil
	}
	p.counters.recycled.Add(1)
	for _, t := range got.idle {
		clear(t.slot.mem)
		t.prepare()
		t.slot.put32(slotMasked, 1)
	}
	got.page.put32(reqHold, 0) // woken when they are needed (tell)
	return got
}

// expireLaterLocked sees to it that the oldest stub of the pool does not stay for ever. An
// empty pool has no timer.
func (p *trapPlatform) expireLaterLocked() {
	if p.expiring || len(p.pool) == 0 {
		return
	}
	p.expiring = true
	time.AfterFunc(time.Until(p.pool[0].since.Add(p.idleLimit)), p.expire)
}

// expire ends the stubs that nobody has taken for long.
func (p *trapPlatform) expire() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.expirers.Add(1) // Close waits for them
	defer p.expirers.Done()
	n := 0
	for n < len(p.pool) && time.Since(p.pool[n].since) >= p.idleLimit {
		n++
	}
	old := slices.Clone(p.pool[:n])
	p.pool = slices.Delete(p.pool, 0, n)
	p.expiring = false
	p.expireLaterLocked()
	p.mu.Unlock()
	for _, a := range old {
		a.destroy()
	}
}

// drain ends all stubs that are kept, and says whether there were any.
func (p *trapPlatform) drain() bool {
	p.mu.Lock()
	all := p.pool
	p.pool = nil
	p.mu.Unlock()
	for _, a := range all {
		a.destroy()
	}
	return len(all) > 0
}

// destroy is Release for a stub that must not be kept.
func (a *addressSpace) destroy() {
	a.distrust()
	a.Release()
}

// distrust makes the stub one that is not kept.
func (a *addressSpace) distrust() {
	a.mu.Lock()
	a.doubtful = true
	a.mu.Unlock()
}
