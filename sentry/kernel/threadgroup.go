package kernel

import (
	"sync"
	"sync/atomic"

	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// ThreadGroup is a process: tasks that share a pid and signals (signal_struct).
type ThreadGroup struct {
	k         *Kernel
	container *Container
	pid       *PID // the leader's, whoever that is; set before others see the group

	// credGuard serializes exec with ptrace attach and seccomp TSYNC (cred_guard_mutex).
	credGuard sync.Mutex

	// Guarded by Kernel.tasksMu; tasks also by sigMu for reading.
	leader     *Task
	tasks      []*Task // not yet released, in order of creation
	parent     *ThreadGroup
	parentTask *Task // which thread of parent made it, for __WNOTHREAD
	children   []*ThreadGroup
	pgrp       *ProcessGroup
	reaper     bool // PR_SET_CHILD_SUBREAPER
	hasReaper  bool // an ancestor is one
	execed     bool // has done an execve since fork: setpgid by the parent fails
	dead       bool // all tasks have exited

	live    atomic.Int32 // tasks that have not begun to exit
	childQ  wait.Queue   // children changed state (wait(2))
	signalQ wait.Queue   // signals arrived (signalfd)
	exitQ   wait.Queue   // the whole group is dead
	execQ   wait.Queue   // other threads of an exec have gone

	// Guarded by sigMu.
	sigMu          sync.Mutex
	handlers       *SignalHandlers
	shared         sigQueue
	groupExit      bool
	groupExitCode  int32 // wait status
	groupStopSig   int   // stop signal that wait(2) reports
	groupStopCount int
	stopFlags      stopFlags
	unkillable     bool // init of a pid namespace
	execing        *Task
	timers         posixTimers

	exe      atomic.Pointer[vfs.File]
	limits   limits
	itimers  intervalTimers
	dumpable atomic.Int32
	oomAdj   atomic.Int32
	usage    groupUsage

	exitStatus atomic.Int32 // once dead
}

// Values of PR_SET_DUMPABLE.
const (
	DumpDisable = 0
	DumpUser    = 1
	DumpRoot    = 2
)

// Leader returns the group's leader. Exec in another thread changes it.
func (tg *ThreadGroup) Leader() *Task {
	tg.k.tasksMu.RLock()
	defer tg.k.tasksMu.RUnlock()
	return tg.leader
}

// Tasks returns the group's tasks that were not yet released.
func (tg *ThreadGroup) Tasks() []*Task {
	tg.k.tasksMu.RLock()
	defer tg.k.tasksMu.RUnlock()
	return append([]*Task(nil), tg.tasks...)
}

// Kernel returns the kernel; Container the container.
func (tg *ThreadGroup) Kernel() *Kernel       { return tg.k }
func (tg *ThreadGroup) Container() *Container { return tg.container }

// PID returns the process id in its own namespace.
func (tg *ThreadGroup) PID() int32 { return tg.pid.own() }

// PIDIn returns the process id in ns, 0 if it is not visible there.
func (tg *ThreadGroup) PIDIn(ns *PIDNamespace) int32 { return tg.pid.in(ns) }

// ID returns the process id.
func (tg *ThreadGroup) ID() *PID { return tg.pid }

// ParentIn returns the parent's process id in ns, 0 if it has none there.
func (tg *ThreadGroup) ParentIn(ns *PIDNamespace) int32 {
	tg.k.tasksMu.RLock()
	defer tg.k.tasksMu.RUnlock()
	if tg.parent == nil {
		return 0
	}
	return tg.parent.pid.in(ns)
}

// Parent returns the parent process, nil if it is outside the sandbox.
func (tg *ThreadGroup) Parent() *ThreadGroup {
	tg.k.tasksMu.RLock()
	defer tg.k.tasksMu.RUnlock()
	return tg.parent
}

// Children returns the child processes, zombies included.
func (tg *ThreadGroup) Children() []*ThreadGroup {
	tg.k.tasksMu.RLock()
	defer tg.k.tasksMu.RUnlock()
	return append([]*ThreadGroup(nil), tg.children...)
}

// Dumpable returns PR_GET_DUMPABLE's value.
func (tg *ThreadGroup) Dumpable() int32 { return tg.dumpable.Load() }

// SetDumpable sets it.
func (tg *ThreadGroup) SetDumpable(v int32) { tg.dumpable.Store(v) }

// SubReaper reports PR_GET_CHILD_SUBREAPER.
func (tg *ThreadGroup) SubReaper() bool {
	tg.k.tasksMu.RLock()
	defer tg.k.tasksMu.RUnlock()
	return tg.reaper
}

// SetSubReaper sets it, and tells all descendants that there is one.
func (tg *ThreadGroup) SetSubReaper(on bool) {
	tg.k.tasksMu.Lock()
	defer tg.k.tasksMu.Unlock()
	tg.reaper = on
	if on {
		tg.markDescendantsLocked()
	}
}

func (tg *ThreadGroup) markDescendantsLocked() {
	todo := append([]*ThreadGroup(nil), tg.children...)
	for len(todo) > 0 {
		c := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !c.hasReaper {
			c.hasReaper = true
			todo = append(todo, c.children...)
		}
	}
}

// OOMScoreAdj and SetOOMScoreAdj keep /proc/PID/oom_score_adj.
func (tg *ThreadGroup) OOMScoreAdj() int32     { return tg.oomAdj.Load() }
func (tg *ThreadGroup) SetOOMScoreAdj(v int32) { tg.oomAdj.Store(v) }

// Dead reports whether all tasks have exited, and the wait status then.
func (tg *ThreadGroup) Dead() (status int32, dead bool) {
	tg.k.tasksMu.RLock()
	defer tg.k.tasksMu.RUnlock()
	return tg.exitStatus.Load(), tg.dead
}

// WaitExit sleeps until the group is dead and returns its wait status. Boot uses it, with
// a sleeper of its own.
func (tg *ThreadGroup) WaitExit(s wait.Sleeper) (int32, error) {
	err := wait.Until(s, &tg.exitQ, wait.All, noDeadline, func() bool {
		_, dead := tg.Dead()
		return dead
	})
	return tg.exitStatus.Load(), err
}

// removeTaskLocked takes t off the list. tasksMu is held.
func (tg *ThreadGroup) removeTaskLocked(t *Task) {
	tg.sigMu.Lock()
	defer tg.sigMu.Unlock()
	for i, o := range tg.tasks {
		if o == t {
			n := make([]*Task, 0, len(tg.tasks)-1)
			tg.tasks = append(append(n, tg.tasks[:i]...), tg.tasks[i+1:]...)
			return
		}
	}
}

func (tg *ThreadGroup) removeChildLocked(c *ThreadGroup) {
	for i, o := range tg.children {
		if o == c {
			tg.children = append(tg.children[:i], tg.children[i+1:]...)
			return
		}
	}
}

// Limit returns a resource limit (abi.RLIMIT_*).
func (tg *ThreadGroup) Limit(res int) abi.Rlimit { return tg.limits.get(res) }
