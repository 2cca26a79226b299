package proc

import (
	"slices"
	"strconv"
	"strings"

	"lazaret/sentry/fs/pseudo"
	"lazaret/sentry/kernel"
	"lazaret/syscalls/abi"
)

// maxComm is TASK_COMM_LEN without the final NUL.
const maxComm = 15

func showComm(c *call, b *pseudo.Buf) error {
	b.Line(c.task.Comm())
	return nil
}

// storeComm: a process names its own threads only.
func storeComm(c *call, data []byte) error {
	me := taskOf(c.ctx)
	if me == nil || me.ThreadGroup() != c.group() {
		return abi.EINVAL
	}
	s, _, _ := strings.Cut(string(data[:min(len(data), maxComm)]), "\x00")
	c.task.SetComm(s)
	return nil
}

func showPersonality(c *call, b *pseudo.Buf) error {
	b.Printf("%08x\n", c.task.Personality())
	return nil
}

// showSched is /proc/PID/sched, the part that has a meaning here.
func showSched(c *call, b *pseudo.Buf) error {
	t, u := c.task, c.usage()
	b.Printf("%s (%d, #threads: %d)\n", t.Comm(), t.TIDIn(c.fs.ns), len(c.group().Tasks()))
	b.Line(strings.Repeat("-", 67))
	ms := func(name string, ns int64) { b.Printf("%-45s:%14d.%06d\n", name, ns/1e6, ns%1e6) }
	num := func(name string, v int64) { b.Printf("%-45s:%21d\n", name, v) }
	mono, _ := t.StartNS()
	ms("se.exec_start", mono)
	ms("se.vruntime", u.user+u.system)
	ms("se.sum_exec_runtime", u.user+u.system)
	num("se.nr_migrations", 0)
	num("nr_switches", u.switches)
	num("nr_voluntary_switches", u.switches)
	num("nr_involuntary_switches", 0)
	num("se.load.weight", 1048576)
	s := t.Sched()
	num("policy", int64(s.Policy))
	num("prio", int64(120+s.Nice))
	return nil
}

func showSchedstat(c *call, b *pseudo.Buf) error {
	u := c.usage()
	b.Printf("%d 0 %d\n", u.user+u.system, u.switches)
	return nil
}

func showAutogroup(c *call, b *pseudo.Buf) error {
	_, sid := c.group().GroupIDs(c.fs.ns)
	b.Printf("/autogroup-%d nice 0\n", sid)
	return nil
}

// showSyscall: the registers belong to the task's goroutine, so that only "running" can
// be said of a task.
func showSyscall(_ *call, b *pseudo.Buf) error {
	b.Str("running\n")
	return nil
}

func showWchan(_ *call, b *pseudo.Buf) error {
	b.Byte('0')
	return nil
}

// showStack is empty: there are no kernel stacks to show.
func showStack(c *call, _ *pseudo.Buf) error {
	if !c.file.Creds.HasCapIn(abi.CAP_SYS_ADMIN, c.fs.sys.K.RootUserNS) {
		return abi.EACCES
	}
	return nil
}

// showChildren is /proc/PID/task/TID/children. All children show below the leader.
func showChildren(c *call, b *pseudo.Buf) error {
	if c.group().Leader() != c.task {
		return nil
	}
	var ids []int32
	for _, g := range c.group().Children() {
		if nr := g.PIDIn(c.fs.ns); nr > 0 {
			ids = append(ids, nr)
		}
	}
	slices.Sort(ids)
	for _, nr := range ids {
		b.Int(int64(nr))
		b.Byte(' ')
	}
	return nil
}

func showCpuset(_ *call, b *pseudo.Buf) error {
	b.Str("/\n")
	return nil
}

// showCgroup is /proc/PID/cgroup: there is one hierarchy, whose root a container sees.
func showCgroup(c *call, b *pseudo.Buf) error {
	b.Str("0::/\n")
	return nil
}

// showNoID is loginuid and sessionid, which nobody sets.
func showNoID(_ *call, b *pseudo.Buf) error {
	b.Str("4294967295")
	return nil
}

func showCoreFilter(_ *call, b *pseudo.Buf) error {
	b.Str("00000033\n")
	return nil
}

// showIO is /proc/PID/io. Linux difference: what reaches storage is not known.
func showIO(c *call, b *pseudo.Buf) error {
	n := c.task.IO()
	if !c.thread() {
		n = c.group().IO()
	}
	b.Printf("rchar: %d\nwchar: %d\nsyscr: %d\nsyscw: %d\nread_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n",
		n.ReadBytes, n.WrittenBytes, n.Reads, n.Writes)
	return nil
}

// showNoAttr and storeNoAttr are /proc/PID/attr without a security module.
func showNoAttr(*call, *pseudo.Buf) error { return abi.EINVAL }
func storeNoAttr(*call, []byte) error     { return abi.EINVAL }

// showTimers is /proc/PID/timers.
func showTimers(c *call, b *pseudo.Buf) error {
	list := c.group().PosixTimers()
	slices.SortFunc(list, func(x, y kernel.TimerInfo) int { return int(x.ID - y.ID) })
	for _, t := range list {
		kind, target := "signal", "pid."
		if t.Event.Notify&^abi.SIGEV_THREAD_ID == abi.SIGEV_NONE {
			kind = "none"
		}
		if t.Event.Notify&^abi.SIGEV_THREAD_ID == abi.SIGEV_THREAD {
			kind = "thread"
		}
		id := c.group().PIDIn(c.fs.ns)
		if t.Event.Notify&abi.SIGEV_THREAD_ID != 0 {
			target, id = "tid.", t.Event.TID
		}
		b.Printf("ID: %d\nsignal: %d/%016x\nnotify: %s/%s%d\nClockID: %d\n",
			t.ID, t.Event.Signo, t.Event.Value, kind, target, id, t.ClockID)
	}
	return nil
}

// slackAllowed: others need CAP_SYS_NICE over the process (proc_pid_timerslack_ns(5)).
func (c *call) slackAllowed() bool {
	me := taskOf(c.ctx)
	return me == nil || me == c.task || me.Creds().HasCapIn(abi.CAP_SYS_NICE, c.task.UserNS())
}

func showTimerSlack(c *call, b *pseudo.Buf) error {
	if !c.slackAllowed() {
		return abi.EPERM
	}
	b.Printf("%d\n", c.task.TimerSlackNS())
	return nil
}

func storeTimerSlack(c *call, data []byte) error {
	n, err := strconv.ParseUint(trim(data), 0, 64)
	if err != nil {
		return abi.EINVAL
	}
	if !c.slackAllowed() {
		return abi.EPERM
	}
	c.task.SetTimerSlackNS(n)
	return nil
}

// trim returns what was written without white space and NULs around it.
func trim(data []byte) string { return strings.Trim(string(data), " \t\n\x00") }
