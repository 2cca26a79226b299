package proc

import (
	"lazaret/sentry/fs/pseudo"
	"lazaret/sentry/kernel"
	"lazaret/sentry/mm"
	"lazaret/syscalls/abi"
)

const (
	nsPerTick = 10_000_000 // USER_HZ is 100
	// pfRandomize is PF_RANDOMIZE, the one flag of stat that all processes have.
	pfRandomize = 0x400000
)

func ticks(ns int64) int64 { return ns / nsPerTick }

// state returns what stat and status show.
func state(t *kernel.Task) kernel.TaskState {
	if t.Zombie() {
		return kernel.ZombieState
	}
	return t.State()
}

// usage is what a task or process has used.
type usage struct {
	user, system, childUser, childSystem int64 // ns
	minflt, childMinflt                  int64
	switches                             int64
}

func (c *call) usage() usage {
	var u usage
	who := int32(abi.RUSAGE_THREAD)
	if c.thread() {
		u.user, u.system = c.task.CPUTimes()
	} else {
		who = abi.RUSAGE_SELF
		u.user, u.system, u.childUser, u.childSystem = c.group().CPUTimes()
		if r, err := c.task.Rusage(abi.RUSAGE_CHILDREN); err == nil {
			u.childMinflt = r.Minflt
		}
	}
	if r, err := c.task.Rusage(who); err == nil {
		u.minflt, u.switches = r.Minflt, r.Nvcsw
	}
	return u
}

// showStat is /proc/PID/stat.
func showStat(c *call, b *pseudo.Buf) error {
	t, tg, ns := c.task, c.group(), c.fs.ns
	pgid, sid := tg.GroupIDs(ns)
	var tty uint64
	if d := tg.ControllingTTY(); d != nil {
		major, minor := d.Device()
		tty = uint64(minor&0xff | major<<8 | minor&^0xff<<12)
	}
	u := c.usage()
	b.Printf("%d (%s) %c %d %d %d %d %d %d ", t.TIDIn(ns), t.Comm(), state(t).Letter(),
		tg.ParentIn(ns), pgid, sid, tty, tg.ForegroundIn(ns), pfRandomize)
	b.Printf("%d %d 0 0 %d %d %d %d ", u.minflt, u.childMinflt, ticks(u.user), ticks(u.system),
		ticks(u.childUser), ticks(u.childSystem))
	s := t.Sched()
	prio := int64(20 + s.Nice)
	if s.Policy == abi.SCHED_FIFO || s.Policy == abi.SCHED_RR {
		prio = -1 - int64(s.Priority)
	}
	_, boot := t.StartNS()
	b.Printf("%d %d %d 0 %d ", prio, s.Nice, len(tg.Tasks()), ticks(boot))
	c.statMemory(b)
	c.statSignals(b, s)
	return nil
}

// statMemory writes vsize to kstkeip.
func (c *call) statMemory(b *pseudo.Buf) {
	var st mm.Stats
	var r mm.Ranges
	if c.mm != nil {
		st = c.mm.Stats()
		if r.Code.End = 1; c.may() {
			r = c.mm.Ranges()
		} else {
			r.Code.Start = 1
		}
	}
	b.Printf("%d %d %d %d %d %d 0 0 ", st.VmSize, st.VmRSS>>abi.PageShift, c.group().Limit(abi.RLIMIT_RSS).Cur,
		r.Code.Start, r.Code.End, r.StackStart)
}

// statSignals writes signal to exit_code.
func (c *call) statSignals(b *pseudo.Buf, s kernel.SchedParams) {
	t := c.task
	sig := t.SignalSets()
	const low = 1<<31 - 1
	wchan, exitSignal := 0, abi.SIGCHLD
	if st := state(t); st != kernel.Running && st != kernel.ZombieState && c.may() {
		wchan = 1
	}
	if c.thread() && c.group().Leader() != t {
		exitSignal = -1
	}
	b.Printf("%d %d %d %d %d 0 0 %d 0 ", sig.Pending&low, sig.Blocked&low, sig.Ignored&low, sig.Caught&low, wchan, exitSignal)
	rt := int32(0)
	if s.Policy == abi.SCHED_FIFO || s.Policy == abi.SCHED_RR {
		rt = s.Priority
	}
	var r mm.Ranges
	var st mm.Stats
	code := int32(0)
	if c.may() {
		if c.mm != nil {
			r, st = c.mm.Ranges(), c.mm.Stats()
		}
		if status, dead := c.group().Dead(); dead {
			code = status
		}
	}
	b.Printf("%d %d 0 0 0 %d %d %d %d %d %d %d %d\n", rt, s.Policy, r.Data.Start, r.Data.End, st.BrkStart,
		r.Args.Start, r.Args.End, r.Env.Start, r.Env.End, code)
}

// showStatm is /proc/PID/statm.
func showStatm(c *call, b *pseudo.Buf) error {
	var s mm.Stats
	if c.mm != nil {
		s = c.mm.Stats()
	}
	p := func(n uint64) uint64 { return n >> abi.PageShift }
	b.Printf("%d %d %d %d 0 %d 0\n", p(s.VmSize), p(s.VmRSS), p(s.RssFile+s.RssShmem), p(s.VmExe), p(s.VmData+s.VmStk))
	return nil
}
