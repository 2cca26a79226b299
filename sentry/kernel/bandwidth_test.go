//go:build amd64

package kernel

import (
	"testing"
	"time"
)

// TestAdvance: quotas, debts and periods, by a clock of the test's own.
func TestAdvance(t *testing.T) {
	const ms = int64(time.Millisecond)
	c := &Container{k: &Kernel{CPUs: 2}}
	c.bandwidth.init(c)
	b := &c.bandwidth
	b.limit = Bandwidth{QuotaNS: 50 * ms, PeriodNS: 100 * ms}
	b.leftNS = b.limit.QuotaNS
	used := int64(0)
	for i, s := range []struct {
		now, more, others int64 // ms
		hold, held        bool
		left              int64 // ms
		periods, times    uint64
	}{
		{now: 40, more: 40, left: 10},
		{now: 50, more: 10, hold: true, held: true, times: 1},
		{now: 60, held: true, times: 1},                                                 // still
		{now: 100, left: 50, periods: 1, times: 1},                                      // the next period
		{now: 190, more: 170, hold: true, held: true, left: -120, periods: 1, times: 2}, // two tasks, looked at late
		{now: 200, held: true, left: -70, periods: 2, times: 3},                         // pays its debt
		{now: 300, held: true, left: -20, periods: 3, times: 4},
		{now: 400, left: 30, periods: 4, times: 4},
		{now: 700, left: 50, periods: 7, times: 4},                       // what is not used is lost
		{now: 710, more: 40, left: 30, periods: 7, times: 4},             // four tasks on two processors
		{now: 720, more: 20, others: 20, left: 20, periods: 7, times: 4}, // others had the half
	} {
		used += s.more * ms
		all := b.seen.all + (s.more+s.others)*ms
		hold := b.advanceLocked(s.now*ms, usedCPU{own: used, all: all})
		held := c.gate.Load()&gateThrottled != 0
		if hold != s.hold || held != s.held || b.leftNS != s.left*ms || b.counts.Periods != s.periods || b.counts.Throttled != s.times {
			t.Errorf("step %d: hold %v, held %v, left %d ms, counts %+v, want %+v", i, hold, held, b.leftNS/ms, b.counts, s)
		}
	}
	if want := (50 + 210) * ms; b.counts.ThrottledNS != want {
		t.Errorf("held back for %d ns, want %d", b.counts.ThrottledNS, want)
	}
}

// TestBandwidth: a program that never sleeps is stopped, goes on, and is free without a limit;
// nobody looks at one that sleeps.
func TestBandwidth(t *testing.T) {
	w := newWorld(t)
	c := w.c
	c.SetBandwidth(Bandwidth{QuotaNS: 1, PeriodNS: 1}) // what Linux would refuse: 1 ms of 1 ms
	if l := c.Bandwidth(); l.QuotaNS != minBandwidthNS || l.PeriodNS != minBandwidthNS {
		t.Errorf("limit %+v", l)
	}
	c.SetBandwidth(Bandwidth{QuotaNS: 2_000_000, PeriodNS: 20_000_000})
	stop := make(chan struct{})
	task := w.process(func(g *guest) {
		for {
			select {
			case <-stop:
				g.exit(7)
			default: // busy, as the clock says
				g.call(func(*Task) (uint64, error) { time.Sleep(time.Millisecond); return 0, nil })
			}
		}
	})
	task.Start()
	for c.Throttling().Throttled < 3 {
		time.Sleep(time.Millisecond)
	}
	user, system := c.CPUTimes()
	c.SetBandwidth(Bandwidth{})
	if c.gate.Load() != 0 {
		t.Errorf("gate %b without a limit", c.gate.Load())
	}
	close(stop)
	if code := w.waitExit(task.tg); code != 7<<8 {
		t.Errorf("status %#x", code)
	}
	if u, s := c.CPUTimes(); u+s < user+system || s == 0 {
		t.Errorf("%v+%v after the end, %v+%v before", u, s, user, system)
	}
	if th := c.Throttling(); th.ThrottledNS == 0 || th.Periods == 0 {
		t.Errorf("%+v", th)
	}
}

// TestBandwidthIdle: a container that sleeps has no timer, and is watched again when it runs.
func TestBandwidthIdle(t *testing.T) {
	w := newWorld(t)
	c := w.c
	c.SetBandwidth(Bandwidth{QuotaNS: 2_000_000, PeriodNS: 20_000_000})
	st := w.run(func(g *guest) {
		g.call(func(*Task) (uint64, error) {
			for c.gate.Load()&gateIdle == 0 || w.k.Timers.Get(&c.bandwidth.timer).LeftNS != 0 {
				time.Sleep(time.Millisecond)
			}
			return 0, nil
		})
		for c.Throttling().Throttled == 0 {
			g.call(func(*Task) (uint64, error) { time.Sleep(time.Millisecond); return 0, nil })
		}
	})
	if st != 0 {
		t.Errorf("status %#x", st)
	}
	if err := w.k.RemoveContainer(c); err != nil || w.k.Timers.Get(&c.bandwidth.timer).LeftNS != 0 {
		t.Errorf("a timer of a container that is gone: %v", err)
	}
}
