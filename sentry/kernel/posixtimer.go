package kernel

import (
	"sync"

	"lazaret/sentry/kernel/clock"
	"lazaret/syscalls/abi"
)

// SigEvent is how a POSIX timer tells of its expiry (struct sigevent).
type SigEvent struct {
	Notify int32 // abi.SIGEV_*
	Signo  int32
	Value  uint64
	TID    int32 // SIGEV_THREAD_ID
}

// PosixTimer is a timer of timer_create(2).
type PosixTimer struct {
	clock.Timer
	ID      int32
	ClockID int32
	tg      *ThreadGroup
	event   SigEvent
	thread  *Task // SIGEV_THREAD_ID
	cpu     cpuClock

	// guarded by tg.sigMu
	queued      *queuedSignal
	overrun     int64
	lastOverrun int32
}

// posixTimers are a process's timers by id.
type posixTimers struct {
	mu   sync.Mutex
	byID map[int32]*PosixTimer
	next int32
}

// maxPosixTimers bounds them, as RLIMIT_SIGPENDING does on Linux.
const maxPosixTimers = 4096

// TimerCreate is timer_create(2); event nil is SIGALRM with the id as value.
func (t *Task) TimerCreate(clockID int32, event *SigEvent) (int32, error) {
	p := &PosixTimer{tg: t.tg, ClockID: clockID}
	if _, ok := t.k.Clock.ReadNS(clockID); !ok {
		c, err := t.resolveCPUClock(clockID)
		if err != nil {
			return 0, err
		}
		p.cpu = c
	}
	switch clockID {
	case abi.CLOCK_MONOTONIC_RAW, abi.CLOCK_REALTIME_COARSE, abi.CLOCK_MONOTONIC_COARSE:
		return 0, abi.EOPNOTSUPP
	}
	p.Timer.Owner, p.Timer.ClockID = p, clockID
	if err := p.setEvent(t, event); err != nil {
		return 0, err
	}
	ts := &t.tg.timers
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if len(ts.byID) >= maxPosixTimers || uint64(len(ts.byID)) >= t.tg.Limit(abi.RLIMIT_SIGPENDING).Cur {
		return 0, abi.EAGAIN
	}
	if ts.byID == nil {
		ts.byID = map[int32]*PosixTimer{}
	}
	for ts.byID[ts.next] != nil {
		ts.next = (ts.next + 1) & 0x7fffffff
	}
	p.ID = ts.next
	ts.next = (ts.next + 1) & 0x7fffffff
	if event == nil {
		p.event.Value = uint64(uint32(p.ID))
	}
	ts.byID[p.ID] = p
	return p.ID, nil
}

func (p *PosixTimer) setEvent(t *Task, e *SigEvent) error {
	if e == nil {
		p.event = SigEvent{Notify: abi.SIGEV_SIGNAL, Signo: abi.SIGALRM}
		return nil
	}
	p.event = *e
	switch e.Notify {
	case abi.SIGEV_NONE:
		return nil
	case abi.SIGEV_SIGNAL | abi.SIGEV_THREAD_ID:
		o := t.k.TaskByID(t.PIDNS(), e.TID)
		if o == nil || o.tg != t.tg {
			return abi.EINVAL
		}
		p.thread = o
	case abi.SIGEV_SIGNAL, abi.SIGEV_THREAD:
	default:
		return abi.EINVAL
	}
	if e.Signo <= 0 || e.Signo > abi.NSIG {
		return abi.EINVAL
	}
	return nil
}

func (tg *ThreadGroup) posixTimer(id int32) *PosixTimer {
	tg.timers.mu.Lock()
	defer tg.timers.mu.Unlock()
	return tg.timers.byID[id]
}

// TimerSet is timer_settime(2); abs is TIMER_ABSTIME with WhenNS in s.LeftNS.
func (t *Task) TimerSet(id int32, s clock.Setting, abs bool) (clock.Setting, error) {
	p := t.tg.posixTimer(id)
	if p == nil {
		return clock.Setting{}, abi.EINVAL
	}
	p.tg.sigMu.Lock()
	p.overrun, p.lastOverrun = 0, 0
	p.tg.sigMu.Unlock()
	if p.cpu.valid() {
		return t.tg.itimers.setPosix(p, s, abs), nil
	}
	if abs {
		return t.k.Timers.SetAbs(&p.Timer, t.fromTimeNS(p.ClockID, s.LeftNS), s.IntervalNS), nil
	}
	return t.k.Timers.Set(&p.Timer, s), nil
}

// TimerGet is timer_gettime(2).
func (t *Task) TimerGet(id int32) (clock.Setting, error) {
	p := t.tg.posixTimer(id)
	if p == nil {
		return clock.Setting{}, abi.EINVAL
	}
	if p.cpu.valid() {
		return t.tg.itimers.getPosix(p), nil
	}
	return t.k.Timers.Get(&p.Timer), nil
}

// TimerOverrun is timer_getoverrun(2).
func (t *Task) TimerOverrun(id int32) (int32, error) {
	p := t.tg.posixTimer(id)
	if p == nil {
		return 0, abi.EINVAL
	}
	t.tg.sigMu.Lock()
	defer t.tg.sigMu.Unlock()
	return p.lastOverrun, nil
}

// TimerDelete is timer_delete(2).
func (t *Task) TimerDelete(id int32) error {
	tg := t.tg
	tg.timers.mu.Lock()
	p := tg.timers.byID[id]
	delete(tg.timers.byID, id)
	tg.timers.mu.Unlock()
	if p == nil {
		return abi.EINVAL
	}
	p.disarm()
	return nil
}

func (p *PosixTimer) disarm() {
	if p.cpu.valid() {
		p.tg.itimers.setPosix(p, clock.Setting{}, false)
		return
	}
	p.tg.k.Timers.SetAbs(&p.Timer, 0, 0)
}

// clearPosixTimers deletes all timers (execve, exit).
func (tg *ThreadGroup) clearPosixTimers() {
	tg.timers.mu.Lock()
	all := tg.timers.byID
	tg.timers.byID, tg.timers.next = nil, 0
	tg.timers.mu.Unlock()
	for _, p := range all {
		p.disarm()
	}
}

// TimerFired is clock.Owner.
func (p *PosixTimer) TimerFired(_ *clock.Timer, n uint64) {
	if p.event.Notify == abi.SIGEV_NONE {
		return
	}
	p.tg.k.tasksMu.RLock()
	t := p.tg.leader
	p.tg.k.tasksMu.RUnlock()
	to := toGroup
	if p.thread != nil {
		t, to = p.thread, toThread
	}
	p.tg.sigMu.Lock()
	defer p.tg.sigMu.Unlock()
	if p.queued != nil {
		p.overrun += int64(n)
		return
	}
	q := &queuedSignal{timer: p, info: abi.Siginfo{Signo: p.event.Signo, Code: abi.SI_TIMER}}
	q.info.SetTimerID(p.ID)
	q.info.SetValue(p.event.Value)
	p.queued, p.overrun = q, int64(n)-1
	if err := t.queueLocked(q, to, false); err != nil || !q.queued {
		p.queued = nil
	}
}

// dequeued is called when the timer's signal is taken. sigMu is held.
func (p *PosixTimer) dequeued(q *queuedSignal) {
	if p.queued != q {
		return
	}
	p.queued = nil
	p.lastOverrun = int32(min(p.overrun, 1<<31-1))
	p.overrun = 0
	q.info.SetOverrun(p.lastOverrun)
}

// TimerInfo is a line group of /proc/PID/timers.
type TimerInfo struct {
	ID, ClockID int32
	Event       SigEvent
}

// PosixTimers lists the process's timers.
func (tg *ThreadGroup) PosixTimers() []TimerInfo {
	tg.timers.mu.Lock()
	defer tg.timers.mu.Unlock()
	out := make([]TimerInfo, 0, len(tg.timers.byID))
	for _, p := range tg.timers.byID {
		out = append(out, TimerInfo{p.ID, p.ClockID, p.event})
	}
	return out
}
