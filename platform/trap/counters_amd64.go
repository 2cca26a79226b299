package trap

import (
	"sync/atomic"

	"lazaret/platform"
)

// counters are what the platform counts.
type counters struct {
	events                         [platform.EventException + 1]atomic.Uint64
	lost, notRun, dropped          atomic.Uint64
	gate, refused, asked           atomic.Uint64
	answered                       uint64 // by threads that are gone; guarded by trapPlatform.mu
	maps, unmaps, protects         atomic.Uint64
	requests, stubs, threads, kept atomic.Uint64
	recycled                       atomic.Uint64
}

// Counters implements platform.Counting. The first ones have the ptrace platform's names.
func (p *trapPlatform) Counters() []platform.Counter {
	n, pl := &p.counters, &p.place.counters
	p.mu.Lock()
	spaces, pool, threads := uint64(len(p.spaces)), uint64(len(p.pool)), 0
	answered := n.answered
	for _, a := range p.spaces {
		threads += len(a.threads)
		for t := range a.threads {
			answered += t.slot.get(slotAnswered)
		}
	}
	p.mu.Unlock()
	p.place.mu.Lock()
	seated := uint64(len(p.place.seated))
	p.place.mu.Unlock()
	p.slots.mu.Lock()
	used := uint64(int(p.slots.next) - len(p.slots.free))
	p.slots.mu.Unlock()
	calls, faults := n.events[platform.EventSyscall].Load(), n.events[platform.EventFault].Load()
	exceptions, interrupts := n.events[platform.EventException].Load(), n.events[platform.EventInterrupt].Load()
	return []platform.Counter{
		{Name: "switches", Value: calls + faults + exceptions + interrupts + n.lost.Load()},
		{Name: "system calls", Value: calls},
		{Name: "faults", Value: faults},
		{Name: "exceptions", Value: exceptions},
		{Name: "interrupts", Value: interrupts},
		{Name: "switches into a dead stub", Value: n.lost.Load()},
		{Name: "interrupted before running", Value: n.notRun.Load()},
		{Name: "foreign signals dropped", Value: n.dropped.Load()},
		{Name: "calls through the gate", Value: n.gate.Load()},
		{Name: "calls that the gate refused", Value: n.refused.Load()},
		{Name: "calls answered by the gate", Value: answered},
		{Name: "vectors asked for", Value: n.asked.Load()},
		{Name: "maps", Value: n.maps.Load()},
		{Name: "unmaps", Value: n.unmaps.Load()},
		{Name: "protects", Value: n.protects.Load()},
		{Name: "requests to mappers", Value: n.requests.Load()},
		{Name: "stubs made", Value: n.stubs.Load()},
		{Name: "stub threads made", Value: n.threads.Load()},
		{Name: "stub threads used again", Value: n.kept.Load()},
		{Name: "stubs used again", Value: n.recycled.Load()},
		{Name: "stubs alive", Value: spaces},
		{Name: "stubs kept for use", Value: pool},
		{Name: "stub threads alive", Value: uint64(threads)},
		{Name: "slots used", Value: used},
		{Name: "busy contexts", Value: seated},
		{Name: "times pinned", Value: pl.seats.Load()},
		{Name: "moved apart", Value: pl.apart.Load()},
		{Name: "moved together", Value: pl.together.Load()},
		{Name: "hand-overs by spinning", Value: pl.quick.Load()},
		{Name: "hand-overs with sleep", Value: pl.slow.Load()},
	}
}
