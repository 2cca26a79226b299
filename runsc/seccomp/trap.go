package seccomp

import "golang.org/x/sys/unix"

// Operations of futex(2) on words that two processes share.
const (
	futexWaitShared = 0
	futexWakeShared = 1
)

// platformTrap is what the trap platform adds. Stubs do not inherit the filter: they are
// cloned from one that was made before, and have filters of their own.
var platformTrap = Policy{Name: "trap", Rules: []Rule{
	{Call: "futex", Args: []Cond{eq(1, futexWaitShared, futexWakeShared)}, Reason: "hand-over between a stub's thread and its task"},
	{Call: "wait4", Args: []Cond{eq(2, unix.WALL|unix.WNOTHREAD, unix.WALL)}, Reason: "deaths of stubs"},
	{Call: "sched_setaffinity", Reason: "a stub runs on the processor of its driver"},
	{Call: "getcpu", Reason: "which processor the driver is on"},
}}
