package kernel

import (
	"lazaret/sentry/auth"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// Bounds of process ids (proc(5), pid_max).
const (
	pidMaxDefault = 32768
	pidMaxLimit   = 4194304
	reservedPIDs  = 300 // where allocation starts again after a wrap
	maxPIDLevel   = 32
)

// PID is a process id: a number in each pid namespace from the task's own up to the
// root. A number stays taken while a task, thread group, process group or session uses
// it. All fields are guarded by Kernel.tasksMu.
type PID struct {
	numbers []int32         // by level
	spaces  []*PIDNamespace // by level

	task    *Task
	group   *ThreadGroup
	pgrp    *ProcessGroup
	session *Session

	// pollQ is notified when the thread group (or, for a thread's pidfd, the task) ends.
	pollQ wait.Queue
}

// PIDNamespace is a pid namespace (pid_namespaces(7)).
type PIDNamespace struct {
	Namespace
	Parent *PIDNamespace
	Level  int

	// guarded by Kernel.tasksMu
	byNumber map[int32]*PID
	last     int32
	max      int32
	init     *ThreadGroup // the reaper; nil before the first process
	dead     bool         // init has ended: no new processes
	tasks    int          // tasks that have a number here
	emptyQ   wait.Queue   // init waits here for the others to go
}

func (k *Kernel) newPIDNamespace(parent *PIDNamespace, u *auth.UserNamespace) *PIDNamespace {
	ns := &PIDNamespace{Namespace: k.newNS(u, NSPID), Parent: parent, byNumber: map[int32]*PID{}, max: pidMaxDefault}
	if parent != nil {
		ns.Level = parent.Level + 1
	}
	return ns
}

// IsAncestor reports whether ns is other or above it.
func (ns *PIDNamespace) IsAncestor(other *PIDNamespace) bool {
	for other != nil && other.Level > ns.Level {
		other = other.Parent
	}
	return ns == other
}

// in returns the number in ns, 0 if p is not visible there. The numbers do not change, so
// that no lock is needed.
func (p *PID) in(ns *PIDNamespace) int32 {
	if p != nil && ns.Level < len(p.spaces) && p.spaces[ns.Level] == ns {
		return p.numbers[ns.Level]
	}
	return 0
}

// In returns the number in ns, 0 if p is not visible there.
func (p *PID) In(ns *PIDNamespace) int32 { return p.in(ns) }

// RootNumber is vfs.ProcessID.
func (p *PID) RootNumber() int32 { return p.numbers[0] }

// ns returns the namespace that p was made in.
func (p *PID) ns() *PIDNamespace { return p.spaces[len(p.spaces)-1] }

// own returns the number in the namespace that p was made in.
func (p *PID) own() int32 { return p.numbers[len(p.numbers)-1] }

// allocPIDLocked takes a number in ns and all above. want, if not empty, are the numbers
// asked for (clone3's set_tid), innermost first.
func allocPIDLocked(ns *PIDNamespace, want []int32) (*PID, error) {
	if ns.dead {
		return nil, abi.ENOMEM
	}
	n := ns.Level + 1
	if len(want) > n {
		return nil, abi.EINVAL
	}
	p := &PID{numbers: make([]int32, n), spaces: make([]*PIDNamespace, n)}
	for i, s := 0, ns; s != nil; i, s = i+1, s.Parent {
		nr, err := s.allocNumberLocked(want, i)
		if err != nil {
			for u := ns; u != s; u = u.Parent {
				delete(u.byNumber, p.numbers[u.Level])
			}
			return nil, err
		}
		p.numbers[s.Level], p.spaces[s.Level] = nr, s
		s.byNumber[nr] = p
	}
	return p, nil
}

func (ns *PIDNamespace) allocNumberLocked(want []int32, i int) (int32, error) {
	if i < len(want) {
		switch nr := want[i]; {
		case nr < 1 || nr >= ns.max:
			return 0, abi.EINVAL
		case nr != 1 && ns.init == nil:
			return 0, abi.EINVAL
		case ns.byNumber[nr] != nil:
			return 0, abi.EEXIST
		default:
			return nr, nil
		}
	}
	if len(ns.byNumber) >= int(ns.max)-1 {
		return 0, abi.EAGAIN
	}
	for nr := ns.last + 1; ; nr++ {
		if nr >= ns.max {
			nr = reservedPIDs
			if len(ns.byNumber) >= int(ns.max)-reservedPIDs {
				nr = 1
			}
		}
		if ns.byNumber[nr] == nil {
			ns.last = nr
			return nr, nil
		}
	}
}

// freeIfUnusedLocked gives the numbers back when nothing uses p any more.
func (p *PID) freeIfUnusedLocked() {
	if p.task != nil || p.group != nil || p.pgrp != nil || p.session != nil {
		return
	}
	for i, s := range p.spaces {
		if s.byNumber[p.numbers[i]] == p {
			delete(s.byNumber, p.numbers[i])
		}
	}
}

// findTaskLocked returns the task with number nr in ns, or nil.
func (ns *PIDNamespace) findTaskLocked(nr int32) *Task {
	if p := ns.byNumber[nr]; p != nil {
		return p.task
	}
	return nil
}

// findGroupLocked returns the thread group with number nr in ns, or nil.
func (ns *PIDNamespace) findGroupLocked(nr int32) *ThreadGroup {
	if p := ns.byNumber[nr]; p != nil {
		return p.group
	}
	return nil
}

// Max returns pid_max of ns.
func (ns *PIDNamespace) Max() int32 { return ns.max }

// LastPID returns the number given out last (/proc/loadavg, ns_last_pid).
func (k *Kernel) LastPID(ns *PIDNamespace) int32 {
	k.tasksMu.RLock()
	defer k.tasksMu.RUnlock()
	return ns.last
}

// TaskByID returns the task with number nr in ns, or nil.
func (k *Kernel) TaskByID(ns *PIDNamespace, nr int32) *Task {
	k.tasksMu.RLock()
	defer k.tasksMu.RUnlock()
	return ns.findTaskLocked(nr)
}

// GroupByID returns the thread group (process) with number nr in ns, or nil.
func (k *Kernel) GroupByID(ns *PIDNamespace, nr int32) *ThreadGroup {
	k.tasksMu.RLock()
	defer k.tasksMu.RUnlock()
	return ns.findGroupLocked(nr)
}

// Groups returns the thread groups that have a number in ns, in no order, zombies
// included.
func (k *Kernel) Groups(ns *PIDNamespace) []*ThreadGroup {
	k.tasksMu.RLock()
	defer k.tasksMu.RUnlock()
	out := make([]*ThreadGroup, 0, len(ns.byNumber))
	for _, p := range ns.byNumber {
		if p.group != nil {
			out = append(out, p.group)
		}
	}
	return out
}
