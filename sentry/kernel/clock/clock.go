package clock

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"lazaret/syscalls/abi"
)

// Clock reads the host's clocks. Its zero is the host's boot, so that a vDSO that reads
// the hardware directly agrees with it.
type Clock struct {
	base     time.Time // a reading of Go's clock ...
	monoBase int64     // ... and CLOCK_MONOTONIC at that moment
	bootDiff int64     // CLOCK_BOOTTIME - CLOCK_MONOTONIC
	taiDiff  int64     // CLOCK_TAI - CLOCK_REALTIME

	source atomic.Pointer[Source]
}

// Source reads the clocks as programs do without a system call. Once there is one, system
// calls must answer from it too, or time could seem to go back between the two.
type Source interface {
	// ReadNS returns CLOCK_MONOTONIC, and what CLOCK_REALTIME and CLOCK_BOOTTIME add.
	ReadNS() (mono, realOff, bootOff int64)
}

// Follow makes s the source. It must not be behind what the clock has shown.
func (c *Clock) Follow(s Source) { c.source.Store(&s) }

// HostNS reads the host's CLOCK_MONOTONIC, CLOCK_REALTIME and CLOCK_BOOTTIME, whatever
// the source.
func (c *Clock) HostNS() (mono, realtime, boot int64) {
	now := time.Now()
	mono = c.monoBase + int64(now.Sub(c.base))
	return mono, now.UnixNano(), mono + c.bootDiff
}

// New returns the clock. It asks the host a few times now and never again: time.Now is
// served by the host's vDSO.
func New() *Clock {
	c := &Clock{base: time.Now()}
	c.monoBase = hostNS(unix.CLOCK_MONOTONIC)
	c.bootDiff = hostNS(unix.CLOCK_BOOTTIME) - hostNS(unix.CLOCK_MONOTONIC)
	c.taiDiff = (hostNS(unix.CLOCK_TAI) - hostNS(unix.CLOCK_REALTIME) + abi.NsecPerSec/2) / abi.NsecPerSec * abi.NsecPerSec
	if c.bootDiff < 0 {
		c.bootDiff = 0
	}
	return c
}

func hostNS(id int32) int64 {
	var ts unix.Timespec
	if unix.ClockGettime(id, &ts) != nil {
		return time.Now().UnixNano()
	}
	return ts.Nano()
}

// MonotonicNS returns CLOCK_MONOTONIC in nanoseconds.
func (c *Clock) MonotonicNS() int64 {
	if s := c.source.Load(); s != nil {
		mono, _, _ := (*s).ReadNS()
		return mono
	}
	return c.monoBase + int64(time.Since(c.base))
}

// RealtimeNS returns CLOCK_REALTIME in nanoseconds.
func (c *Clock) RealtimeNS() int64 {
	if s := c.source.Load(); s != nil {
		mono, real, _ := (*s).ReadNS()
		return mono + real
	}
	return time.Now().UnixNano()
}

// BoottimeNS returns CLOCK_BOOTTIME in nanoseconds.
func (c *Clock) BoottimeNS() int64 {
	if s := c.source.Load(); s != nil {
		mono, _, boot := (*s).ReadNS()
		return mono + boot
	}
	return c.monoBase + int64(time.Since(c.base)) + c.bootDiff
}

// Realtime is CLOCK_REALTIME for time stamps (vfs.Clock).
func (c *Clock) Realtime() abi.Timespec { return abi.NsecToTimespec(c.RealtimeNS()) }

// ReadNS returns the time of a clock that does not belong to a task, false if id is not
// one.
func (c *Clock) ReadNS(id int32) (int64, bool) {
	switch id {
	case abi.CLOCK_REALTIME, abi.CLOCK_REALTIME_COARSE, abi.CLOCK_REALTIME_ALARM:
		return c.RealtimeNS(), true
	case abi.CLOCK_MONOTONIC, abi.CLOCK_MONOTONIC_RAW, abi.CLOCK_MONOTONIC_COARSE:
		return c.MonotonicNS(), true
	case abi.CLOCK_BOOTTIME, abi.CLOCK_BOOTTIME_ALARM:
		return c.BoottimeNS(), true
	case abi.CLOCK_TAI:
		return c.RealtimeNS() + c.taiDiff, true
	}
	return 0, false
}

// ResolutionNS returns clock_getres(2)'s answer.
func ResolutionNS(id int32) int64 {
	switch id {
	case abi.CLOCK_REALTIME_COARSE, abi.CLOCK_MONOTONIC_COARSE:
		return 4_000_000
	}
	return 1
}

// Deadline returns the moment when clock id shows ns, for wait.Sleeper.
func (c *Clock) Deadline(id int32, ns int64) time.Time {
	now, _ := c.ReadNS(id)
	return time.Now().Add(time.Duration(sub(ns, now)))
}

// After returns the moment ns nanoseconds from now.
func After(ns int64) time.Time { return time.Now().Add(time.Duration(min(max(ns, 0), maxWaitNS))) }

// maxWaitNS bounds relative times so that time.Time does not wrap (about 146 years).
const maxWaitNS = 1 << 62

// sub returns a-b limited to what a time.Duration and a time.Time can add.
func sub(a, b int64) int64 {
	d := a - b
	if (a > b) != (d > 0) && a != b { // wrapped
		if a > b {
			return maxWaitNS
		}
		return -maxWaitNS
	}
	return min(max(d, -maxWaitNS), maxWaitNS)
}
