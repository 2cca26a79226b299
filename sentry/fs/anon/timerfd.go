package anon

import (
	"encoding/binary"
	"math"
	"sync"

	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// Timers is the kernel's time as a timerfd needs it.
type Timers interface {
	// Now returns the time of a clock (CLOCK_*) in nanoseconds.
	Now(clock int) int64
	// NewTimer returns a disarmed timer on clock that tells l when it expires.
	NewTimer(clock int, l TimerListener) Timer
}

// Timer is a one-shot timer.
type Timer interface {
	// Set arms the timer for the clock's time at, replacing what was set. A time that
	// has passed expires at once.
	Set(at int64)
	// Stop disarms it; an Expire may be under way.
	Stop()
}

// TimerListener is told of an expiration, without locks of the timer held. It may set
// the timer again.
type TimerListener interface {
	Expire()
}

// TimerFD is a timer that is read (timerfd_create(2)). The number of expirations
// follows from the clock; the kernel's timer only wakes.
type TimerFD struct {
	clock  int
	timers Timers
	queue  wait.Queue

	mu       sync.Mutex
	timer    Timer
	next     int64 // next expiration not yet counted; 0: disarmed
	interval int64 // 0: once
	ticks    uint64
	cancelOn bool // TFD_TIMER_CANCEL_ON_SET
	canceled bool // the clock was set meanwhile
}

// NewTimerFD makes a timerfd: EINVAL for other flags than TFD_* and clocks that cannot be used.
func NewTimerFD(ctx *vfs.Context, timers Timers, clock int, flags uint32) (*vfs.File, error) {
	if flags&^(abi.TFD_NONBLOCK|abi.TFD_CLOEXEC) != 0 {
		return nil, abi.EINVAL
	}
	switch clock {
	case abi.CLOCK_REALTIME, abi.CLOCK_MONOTONIC, abi.CLOCK_BOOTTIME:
	case abi.CLOCK_REALTIME_ALARM, abi.CLOCK_BOOTTIME_ALARM:
		if !ctx.Creds.HasCap(abi.CAP_WAKE_ALARM) {
			return nil, abi.EPERM
		}
	default:
		return nil, abi.EINVAL
	}
	t := &TimerFD{clock: clock, timers: timers}
	t.timer = timers.NewTimer(clock, t)
	f, err := vfs.NewAnonFile(ctx, "[timerfd]", t, abi.O_RDWR|flags&abi.TFD_NONBLOCK,
		vfs.ModeRead|vfs.ModeWrite|vfs.ModeStream|vfs.ModeNoSeek)
	if err != nil {
		t.timer.Stop()
		return nil, err
	}
	return f, nil
}

// TimerFDOf returns the timerfd behind f, nil if f is something else (EINVAL).
func TimerFDOf(f *vfs.File) *TimerFD {
	t, _ := f.Ops.(*TimerFD)
	return t
}

// Itimerspec is struct itimerspec.
type Itimerspec struct{ Interval, Value abi.Timespec }

// Set is timerfd_settime(2); it returns the old setting.
func (t *TimerFD) Set(flags uint32, to Itimerspec) (Itimerspec, error) {
	if flags&^(abi.TFD_TIMER_ABSTIME|abi.TFD_TIMER_CANCEL_ON_SET) != 0 || !to.Value.Valid() || !to.Interval.Valid() {
		return Itimerspec{}, abi.EINVAL
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.getLocked()
	realtime := t.clock == abi.CLOCK_REALTIME || t.clock == abi.CLOCK_REALTIME_ALARM
	t.cancelOn = realtime && flags&abi.TFD_TIMER_ABSTIME != 0 && flags&abi.TFD_TIMER_CANCEL_ON_SET != 0
	t.canceled, t.ticks = false, 0
	t.interval = to.Interval.Nano()
	t.next = 0
	t.timer.Stop()
	if v := to.Value.Nano(); v != 0 {
		if flags&abi.TFD_TIMER_ABSTIME == 0 {
			now := t.timers.Now(t.clock)
			v = now + min(v, math.MaxInt64-now)
		}
		t.next = v
		t.timer.Set(v)
	}
	return old, nil
}

// Get is timerfd_gettime(2).
func (t *TimerFD) Get() Itimerspec {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.getLocked()
}

func (t *TimerFD) getLocked() Itimerspec {
	t.countLocked()
	s := Itimerspec{Interval: abi.NsecToTimespec(t.interval)}
	if t.next != 0 {
		s.Value = abi.NsecToTimespec(max(1, t.next-t.timers.Now(t.clock)))
	}
	return s
}

// countLocked adds the expirations up to now to ticks.
func (t *TimerFD) countLocked() {
	if t.next == 0 {
		return
	}
	now := t.timers.Now(t.clock)
	if now < t.next {
		return
	}
	n := int64(1)
	if t.interval > 0 {
		n += (now - t.next) / t.interval
		if t.next > math.MaxInt64-n*t.interval {
			t.next = math.MaxInt64
		} else {
			t.next += n * t.interval
		}
	} else {
		t.next = 0
	}
	t.ticks += uint64(n)
}

// Expire implements TimerListener.
func (t *TimerFD) Expire() {
	t.mu.Lock()
	t.countLocked()
	// A periodic timer that nobody reads needs no further wake-ups: Read sets it again.
	if t.ticks == 0 && t.next != 0 {
		t.timer.Set(t.next)
	}
	ready := t.ticks > 0
	t.mu.Unlock()
	if ready {
		t.queue.Notify(wait.In | abi.POLLRDNORM)
	}
}

// ClockSet is called when CLOCK_REALTIME was set (TFD_TIMER_CANCEL_ON_SET).
func (t *TimerFD) ClockSet() {
	t.mu.Lock()
	hit := t.cancelOn
	t.canceled = t.canceled || hit
	t.mu.Unlock()
	if hit {
		t.queue.Notify(wait.In | abi.POLLRDNORM)
	}
}

// Read implements vfs.FileOps: the number of expirations since the last read.
func (t *TimerFD) Read(_ *vfs.Context, _ *vfs.File, dst uio.Bufs, _ *int64) (int, error) {
	if dst.Len() < 8 {
		return 0, abi.EINVAL
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.canceled {
		t.canceled, t.ticks = false, 0
		return 0, abi.ECANCELED
	}
	t.countLocked()
	n := t.ticks
	if n == 0 {
		return 0, abi.EAGAIN
	}
	t.ticks = 0
	if t.next != 0 {
		t.timer.Set(t.next)
	}
	dst.CopyFrom(binary.LittleEndian.AppendUint64(nil, n))
	return 8, nil
}

// Write implements vfs.FileOps.
func (t *TimerFD) Write(*vfs.Context, *vfs.File, uio.Bufs, *int64) (int, error) {
	return 0, abi.EINVAL
}

// Poll implements vfs.Poller.
func (t *TimerFD) Poll(*vfs.File) wait.Mask {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.countLocked()
	if t.ticks > 0 || t.canceled {
		return wait.In
	}
	return 0
}

// WaitQueue implements vfs.Poller.
func (t *TimerFD) WaitQueue(*vfs.File) *wait.Queue { return &t.queue }

// Ioctl implements vfs.Ioctler.
func (t *TimerFD) Ioctl(_ *vfs.Context, _ *vfs.File, cmd uint32, arg uint64, mem uio.Memory) (uint64, error) {
	if cmd != abi.TFD_IOC_SET_TICKS {
		return 0, abi.ENOTTY
	}
	var b [8]byte
	if err := mem.CopyIn(abi.Addr(arg), b[:]); err != nil {
		return 0, err
	}
	n := binary.LittleEndian.Uint64(b[:])
	if n == 0 {
		return 0, abi.EINVAL
	}
	t.mu.Lock()
	t.ticks = n
	t.mu.Unlock()
	t.queue.Notify(wait.In | abi.POLLRDNORM)
	return 0, nil
}

// Release implements vfs.FileOps.
func (t *TimerFD) Release(*vfs.File) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next = 0
	t.timer.Stop()
}
