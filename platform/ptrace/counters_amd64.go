package ptrace

import (
	"sync/atomic"

	"lazaret/platform"
)

// counters are what runsc debug --platform-stats shows. A switch costs microseconds, so that
// they may be shared by all threads.
type counters struct {
	events                         [platform.EventException + 1]atomic.Uint64
	lost                           atomic.Uint64 // switches that failed: their stub is gone
	maps, unmaps, protects         atomic.Uint64
	stubs, threads, leaderAttaches atomic.Uint64
}

// countSwitch counts what a Switch ended with.
func (n *counters) countSwitch(ev *platform.Event, err error) {
	if err != nil {
		n.lost.Add(1)
		return
	}
	n.events[ev.Kind].Add(1)
}

// Counters implements platform.Counting.
func (p *ptracePlatform) Counters() []platform.Counter {
	n := &p.count
	calls, faults := n.events[platform.EventSyscall].Load(), n.events[platform.EventFault].Load()
	exceptions, interrupts := n.events[platform.EventException].Load(), n.events[platform.EventInterrupt].Load()
	lost := n.lost.Load()
	stubs, threads := p.alive()
	return []platform.Counter{
		{Name: "switches", Value: calls + faults + exceptions + interrupts + lost},
		{Name: "system calls", Value: calls},
		{Name: "faults", Value: faults},
		{Name: "exceptions", Value: exceptions},
		{Name: "interrupts", Value: interrupts},
		{Name: "switches into a dead stub", Value: lost},
		{Name: "maps", Value: n.maps.Load()},
		{Name: "unmaps", Value: n.unmaps.Load()},
		{Name: "protects", Value: n.protects.Load()},
		{Name: "attaches to a leader", Value: n.leaderAttaches.Load()},
		{Name: "stubs made", Value: n.stubs.Load()},
		{Name: "stub threads made", Value: n.threads.Load()},
		{Name: "stubs alive", Value: stubs},
		{Name: "stub threads alive", Value: threads},
	}
}

// alive counts the stub processes, the template too, and their threads for contexts.
func (p *ptracePlatform) alive() (stubs, threads uint64) {
	p.mu.Lock()
	spaces := make([]*addressSpace, 0, len(p.spaces))
	for a := range p.spaces {
		spaces = append(spaces, a)
	}
	p.mu.Unlock()
	for _, a := range spaces { // a's lock comes before p's
		a.mu.Lock()
		if !a.released {
			stubs++
			threads += uint64(len(a.threads))
		}
		a.mu.Unlock()
	}
	return stubs, threads
}
