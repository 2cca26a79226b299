package kernel

import (
	"time"

	"lazaret/sentry/kernel/clock"
	"lazaret/syscalls/abi"
)

// cpuClock is a processor time clock: of a task or of a process.
type cpuClock struct {
	task  *Task
	group *ThreadGroup
	kind  int // 0: user and system, 1: user, 2: as 0 (CPUCLOCK_PROF, VIRT, SCHED)
}

func (c *cpuClock) valid() bool { return c.task != nil || c.group != nil }

func (c *cpuClock) read() int64 {
	var u, s int64
	if c.task != nil {
		u, s = c.task.acct.read()
	} else {
		u, s = c.group.usage.totals(c.group)
	}
	if c.kind == 1 {
		return u
	}
	return u + s
}

// resolveCPUClock finds the processor time clock that id means (clock_getres(2); ids
// below zero name other processes and threads).
func (t *Task) resolveCPUClock(id int32) (cpuClock, error) {
	switch id {
	case abi.CLOCK_PROCESS_CPUTIME_ID:
		return cpuClock{group: t.tg, kind: 2}, nil
	case abi.CLOCK_THREAD_CPUTIME_ID:
		return cpuClock{task: t, kind: 2}, nil
	}
	if id >= 0 || id&3 == 3 {
		return cpuClock{}, abi.EINVAL
	}
	pid, kind := ^(id >> 3), int(id&3)
	o, err := t.FindTask(pid)
	if err != nil {
		return cpuClock{}, abi.EINVAL
	}
	if id&4 != 0 {
		if o.tg != t.tg {
			return cpuClock{}, abi.EINVAL
		}
		return cpuClock{task: o, kind: kind}, nil
	}
	if pid != 0 && o.tg.Leader() != o {
		return cpuClock{}, abi.EINVAL
	}
	return cpuClock{group: o.tg, kind: kind}, nil
}

// ClockNS is clock_gettime(2) in nanoseconds, as the task's time namespace shows it.
func (t *Task) ClockNS(id int32) (int64, error) {
	if ns, ok := t.k.Clock.ReadNS(id); ok {
		return ns + t.timeShift(id), nil
	}
	c, err := t.resolveCPUClock(id)
	if err != nil {
		return 0, err
	}
	return c.read(), nil
}

// ClockResolutionNS is clock_getres(2).
func (t *Task) ClockResolutionNS(id int32) (int64, error) {
	if _, ok := t.k.Clock.ReadNS(id); !ok {
		if _, err := t.resolveCPUClock(id); err != nil {
			return 0, err
		}
	}
	return clock.ResolutionNS(id), nil
}

// timeShift returns what the time namespace adds to a clock.
func (t *Task) timeShift(id int32) int64 {
	n := t.ns.Load()
	if n == nil || n.Time == t.k.RootTimeNS {
		return 0
	}
	mono, boot := n.Time.Offsets()
	switch id {
	case abi.CLOCK_MONOTONIC, abi.CLOCK_MONOTONIC_RAW, abi.CLOCK_MONOTONIC_COARSE:
		return mono
	case abi.CLOCK_BOOTTIME, abi.CLOCK_BOOTTIME_ALARM:
		return boot
	}
	return 0
}

// fromTimeNS turns an absolute time of the task's time namespace into the kernel's.
func (t *Task) fromTimeNS(id int32, ns int64) int64 {
	if ns == 0 {
		return 0
	}
	return max(ns-t.timeShift(id), 1)
}

// Deadline returns the moment when the task's clock id shows ns, for Sleep.
func (t *Task) Deadline(id int32, ns int64) time.Time {
	return t.k.Clock.Deadline(id, ns-t.timeShift(id))
}

// NanosleepRestart resumes a relative sleep: RemNS, if Rem is not 0, gets what is left.
type NanosleepRestart struct {
	ClockID  int32
	Deadline time.Time
	Rem      abi.Addr
}

// Restart is RestartBlock.
func (r *NanosleepRestart) Restart(t *Task) (uint64, error) { return 0, t.sleepUntil(r) }

// Nanosleep is nanosleep(2) and clock_nanosleep(2). ns is relative, or absolute by clock
// id; rem is where what is left of a relative sleep goes.
func (t *Task) Nanosleep(id int32, ns int64, abs bool, rem abi.Addr) error {
	if _, ok := t.k.Clock.ReadNS(id); !ok {
		return t.sleepCPU(id, ns, abs)
	}
	if abs {
		for {
			switch err := t.Sleep(t.Deadline(id, ns)); err {
			case nil:
			case abi.ETIMEDOUT:
				return nil
			default:
				return abi.ERESTARTNOHAND
			}
		}
	}
	return t.sleepUntil(&NanosleepRestart{ClockID: id, Deadline: clock.After(ns), Rem: rem})
}

func (t *Task) sleepUntil(r *NanosleepRestart) error {
	for {
		err := t.Sleep(r.Deadline)
		if err == nil {
			continue
		}
		if err == error(abi.ETIMEDOUT) {
			return nil
		}
		left := int64(max(time.Until(r.Deadline), 0))
		if left == 0 {
			return nil
		}
		if r.Rem != 0 {
			ts := abi.NsecToTimespec(left)
			var b [16]byte
			putU64(b[:], uint64(ts.Sec))
			putU64(b[8:], uint64(ts.Nsec))
			if t.mm.Load().CopyOut(r.Rem, b[:]) != nil {
				return abi.EFAULT
			}
		}
		return t.SetRestart(r)
	}
}

// sleepCPU is clock_nanosleep(2) on a processor time clock: it looks again when at least
// what is left can have passed.
func (t *Task) sleepCPU(id int32, ns int64, abs bool) error {
	c, err := t.resolveCPUClock(id)
	if err != nil || id == abi.CLOCK_THREAD_CPUTIME_ID {
		return abi.EINVAL
	}
	if !abs {
		ns += c.read()
	}
	for {
		left := ns - c.read()
		if left <= 0 {
			return nil
		}
		err := t.Sleep(clock.After(max(left, 1_000_000)))
		if err != nil && err != error(abi.ETIMEDOUT) {
			return abi.ERESTARTNOHAND
		}
	}
}

func putU64(b []byte, v uint64) {
	putU32(b, uint32(v))
	putU32(b[4:], uint32(v>>32))
}
