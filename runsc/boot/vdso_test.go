package boot

import (
	"math/rand/v2"
	"testing"
	"time"

	"lazaret/sentry/kernel/clock"
	"lazaret/sentry/loader/vdso"
	"lazaret/syscalls/abi"
)

// simHost is a host whose clock runs at its own rate against a counter of 2.5 GHz, and
// whose readings take their time.
type simHost struct {
	ticks uint64
	mono  float64 // at ticks
	rate  float64 // nanoseconds per tick
	real  int64   // offset of the real-time clock
}

func (h *simHost) pass(ticks uint64) {
	h.ticks += ticks
	h.mono += float64(ticks) * h.rate
}

func (h *simHost) tsc() uint64 {
	h.pass(20 + rand.Uint64N(50))
	return h.ticks
}

func (h *simHost) HostNS() (mono, realtime, boot int64) {
	h.pass(50 + rand.Uint64N(200))
	m := int64(h.mono)
	h.pass(rand.Uint64N(100))
	return m, m + h.real + rand.Int64N(60), m + 7_000_000_000
}

func (h *simHost) Follow(clock.Source) {}

func newSimHost() *simHost {
	return &simHost{ticks: 1 << 50, mono: 1e15, rate: 0.4, real: 1_700_000_000e9}
}

// TestVDSOClockNeverGoesBack reads before and after each update, with the host's rate
// changing as NTP changes it.
func TestVDSOClockNeverGoesBack(t *testing.T) {
	h := newSimHost()
	c := newVDSOClock(make([]byte, abi.PageSize), h, h.tsc)
	last, _, _ := h.HostNS()
	h.pass(10_000_000)
	if !c.update(20 * time.Millisecond) {
		t.Fatal("no first update")
	}
	for i := range 5000 {
		for range 3 {
			h.pass(rand.Uint64N(1000))
			now, _, _ := c.ReadNS()
			if now < last {
				t.Fatalf("update %d: back by %d ns", i, last-now)
			}
			last = now
		}
		h.pass(rand.Uint64N(25_000_000)) // up to 10 ms
		h.rate = 0.4 * (1 + (rand.Float64()-0.5)*1e-3)
		old := c.current.Load()
		if !c.update(10 * time.Millisecond) {
			continue
		}
		// At the moment of the update both lines are at the same height.
		p := c.current.Load()
		if was := old.MonoBase + mulShift(p.TSCBase-old.TSCBase, old.Mult); p.MonoBase != was {
			t.Fatalf("update %d: the line jumps by %d ns", i, int64(p.MonoBase-was))
		}
	}
}

// TestVDSOClockFollows looks at the distance from the host's clock.
func TestVDSOClockFollows(t *testing.T) {
	h := newSimHost()
	c := newVDSOClock(make([]byte, abi.PageSize), h, h.tsc)
	d := firstUpdate
	for i := range 60 {
		h.pass(uint64(d) * 5 / 2)
		if i%10 == 9 {
			h.rate = 0.4 * (1 + (rand.Float64()-0.5)*1e-4)
		}
		next := min(d*4, lastUpdate)
		if !c.update(next) {
			t.Fatalf("update %d refused", i)
		}
		mono, real, boot := c.ReadNS()
		now := int64(h.mono)
		// After a change of 50 ppm over ten seconds: half a millisecond, until the next.
		limit := int64(5_000)
		if i >= 9 {
			limit = 1_500_000
		}
		if e := mono - now; e > limit || e < -limit {
			t.Errorf("update %d, after %v: %d ns off", i, d, e)
		}
		if e := real - h.real; e < -5_000 || e > 5_000 {
			t.Errorf("update %d: the real-time offset is %d ns off", i, e)
		}
		if boot != 7_000_000_000 {
			t.Errorf("update %d: boot offset %d", i, boot)
		}
		d = next
	}
}

// TestVDSOClockJump sets the host's real-time clock: that must show.
func TestVDSOClockJump(t *testing.T) {
	h := newSimHost()
	c := newVDSOClock(make([]byte, abi.PageSize), h, h.tsc)
	h.pass(50_000_000)
	c.update(time.Second)
	h.real -= 3600e9
	h.pass(50_000_000)
	c.update(time.Second)
	if _, real, _ := c.ReadNS(); real > h.real+5_000 || real < h.real-5_000 {
		t.Errorf("real-time offset %d, want %d", real, h.real)
	}
}

// TestVDSOClockOnHost compares the real counter with the real clock, and what system
// calls answer with what the vDSO computes.
func TestVDSOClockOnHost(t *testing.T) {
	if vdso.Image() == nil {
		return // no vDSO on this architecture: nothing to compare
	}
	k := clock.New()
	c := newVDSOClock(make([]byte, abi.PageSize), k, vdso.ReadTSC)
	last := k.MonotonicNS()
	time.Sleep(firstUpdate)
	if !c.update(4 * firstUpdate) {
		t.Fatal("no update")
	}
	for i := range 20 {
		for range 1000 {
			a := k.MonotonicNS()
			b, _, _ := c.ReadNS()
			if a < last || b < a {
				t.Fatalf("back: %d, %d, %d", last, a, b)
			}
			last = b
		}
		host, _, _ := k.HostNS()
		own := k.MonotonicNS()
		later, _, _ := k.HostNS()
		const limit = 100_000
		if own < host-limit || own > later+limit {
			t.Errorf("round %d: %d is not between %d and %d", i, own, host, later)
		}
		time.Sleep(time.Millisecond)
		c.update(4 * time.Millisecond)
	}
}
