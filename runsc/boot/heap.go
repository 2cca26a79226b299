package boot

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// What the kernel holds for applications is charged to them, but the collector lets the
// heap grow to twice of that before it looks. The host's limit leaves room for
// garbageBytes and a little of what a large heap needs, not for the double.
const (
	garbageBytes      = 32 << 20
	minGarbagePercent = 6
)

// heapPacer keeps the collector's garbage within bounds: after each collection it sets
// how much the heap may grow until the next.
type heapPacer struct{ percent int }

func startHeapPacer() { (&heapPacer{percent: 100}).arm() }

// arm has adjust called after the next collection: that is when its object is found dead.
func (p *heapPacer) arm() {
	// Larger than the allocator's smallest class, where objects share a block.
	runtime.SetFinalizer(&[64]byte{}, func(*[64]byte) {
		p.adjust()
		p.arm()
	})
}

func (p *heapPacer) adjust() {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	if s[0].Value.Kind() != metrics.KindUint64 {
		return
	}
	if want := garbagePercent(s[0].Value.Uint64()); want != p.percent {
		p.percent = want
		debug.SetGCPercent(want)
	}
}

// garbagePercent returns by how much a heap with live bytes may grow, in steps that keep
// small changes from stopping the world.
func garbagePercent(live uint64) int {
	switch pct := int(garbageBytes * 100 / max(live, garbageBytes)); {
	case pct <= minGarbagePercent:
		return minGarbagePercent
	case pct < 20:
		return pct &^ 1
	default:
		return pct / 10 * 10
	}
}
