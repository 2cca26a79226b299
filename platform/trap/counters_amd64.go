package trap

import "lazaret/platform"

// Counters implements platform.Counting.
func (p *trapPlatform) Counters() []platform.Counter {
	n := &p.place.counters
	p.mu.Lock()
	spaces := uint64(len(p.spaces))
	p.mu.Unlock()
	p.place.mu.Lock()
	seated := uint64(len(p.place.seated))
	p.place.mu.Unlock()
	p.slots.mu.Lock()
	used := uint64(int(p.slots.next) - len(p.slots.free))
	p.slots.mu.Unlock()
	return []platform.Counter{
		{Name: "address spaces", Value: spaces},
		{Name: "slots used", Value: used},
		{Name: "busy contexts", Value: seated},
		{Name: "times pinned", Value: n.seats.Load()},
		{Name: "moved apart", Value: n.apart.Load()},
		{Name: "moved together", Value: n.together.Load()},
		{Name: "hand-overs by spinning", Value: n.quick.Load()},
		{Name: "hand-overs with sleep", Value: n.slow.Load()},
	}
}
