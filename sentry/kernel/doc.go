// Package kernel is the process side of the Sentry: tasks, thread groups, pid namespaces,
// sessions, signals, wait, exec, exit, credentials in use, limits, timers and tracing, as
// Linux has them.
//
// A Task is one application thread. It has one goroutine, locked to an OS thread (a ptrace
// platform needs that), which runs the loop of task_run.go: Switch, system call or fault,
// signals, Switch again. Everything that only the task itself uses has no lock; what others
// read is atomic or under one of the locks below. A task that must sleep uses
// wait.Sleeper (task_sleep.go); whoever wants its attention sets its sigpending flag under
// the signal lock and kicks it. It sleeps in the host, by its thread's own futex (parker.go).
//
// Ending is not a panic or an unwinding: Exit marks the task, the handler returns, the loop
// sees the mark and tears down.
//
// Neighbours: mm (address spaces), vfs (files), auth (credentials), platform (running
// code), kernel/clock, kernel/futex, kernel/bpf. Package syscalls decodes system calls and calls the
// methods of Task; the kernel knows it only as a SyscallTable.
//
// Host calls: futex (FUTEX_WAIT and FUTEX_WAKE, private).
//
// Lock order (outer first):
//
//	ThreadGroup.credGuard     exec against ptrace attach and seccomp TSYNC
//	Kernel.tasksMu            the tree: parents, children, pids, groups, sessions, tracers
//	ThreadGroup.sigMu         signals, stops and group exit of one thread group; two at
//	                          once never, except the tracee's before nothing else
//	SeccompListener.mu        above wait queues only
//	SignalHandlers.mu, Container.mu, limits, userCounts, ttys, clock.Queue, wait queues: leaves
//
// loadAverage.mu and bandwidth.mu come before Kernel.tasksMu and are taken with no lock held.
//
// ThreadGroup.tasks changes under both tasksMu and sigMu, so either is enough to read it.
// No lock is held over access to application memory.
package kernel
