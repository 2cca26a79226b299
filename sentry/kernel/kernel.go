package kernel

import (
	"runtime"
	"sync"
	"sync/atomic"

	"lazaret/platform"
	"lazaret/sentry/auth"
	"lazaret/sentry/kernel/clock"
	"lazaret/sentry/kernel/futex"
	"lazaret/sentry/memfile"
	"lazaret/syscalls/abi"
)

// SyscallTable runs system calls. Package syscalls implements it.
type SyscallTable interface {
	// Dispatch runs system call nr for t. A result with a nil error goes to the result
	// register as it is; an abi.Errno goes there negated, restart codes are handled.
	// An error that is not an Errno becomes EIO.
	Dispatch(t *Task, nr uint64, args *abi.Args) (uint64, error)
}

// NamespaceFactory makes the state behind namespaces whose rooms the kernel does not
// know (ipc, net). Results that have a Release method get it called when the namespace
// goes.
type NamespaceFactory interface {
	NewIPC(ns *IPCNamespace) (any, error)
	NewNet(ns *NetNamespace, payer *memfile.Account) (any, error)
}

// Observer is told of what a log or audit wants to know. Methods must not block.
type Observer interface {
	// TaskExited is called when a task has ended; status is as wait(2) has it.
	TaskExited(t *Task, status int32)
	// Killed is called when a signal that the kernel forced ends a task.
	Killed(t *Task, sig int, info string)
}

// Config is what a Kernel is made from.
type Config struct {
	Platform   platform.Platform
	MemFile    *memfile.File
	Syscalls   SyscallTable     // may be set later, before the first task starts
	Namespaces NamespaceFactory // nil: namespaces carry no state
	Observer   Observer         // nil: nobody listens
	CPUs       int              // 0: the host's
	MaxTasks   int              // of all containers; 0: 32768
}

// Kernel is one sandbox's kernel.
type Kernel struct {
	Platform platform.Platform
	MemFile  *memfile.File
	Clock    *clock.Clock
	Timers   *clock.Queue
	Futexes  *futex.Table
	Syscalls SyscallTable
	Factory  NamespaceFactory
	Observer Observer
	CPUs     int

	watched atomic.Bool // see WatchCalls
	sigio   sigio

	RootUserNS   *auth.UserNamespace
	RootPIDNS    *PIDNamespace
	RootTimeNS   *TimeNamespace
	RootCgroupNS *CgroupNamespace

	started  int64 // CLOCK_MONOTONIC at New, for btime
	maxTasks int32
	tasks    atomic.Int32 // that exist, zombies included
	forks    atomic.Uint64
	nsInode  atomic.Uint64
	load     loadAverage

	// tasksMu guards the process tree: see doc.go.
	tasksMu    sync.RWMutex
	containers map[string]*Container

	ttyMu sync.Mutex // leaf; only to find, contents under tasksMu
	ttys  map[TTY]*ttyControl
}

// New returns a kernel without tasks.
func New(cfg Config) *Kernel {
	k := &Kernel{
		Platform: cfg.Platform, MemFile: cfg.MemFile, Syscalls: cfg.Syscalls,
		Factory: cfg.Namespaces, Observer: cfg.Observer, CPUs: cfg.CPUs,
		Clock: clock.New(), Futexes: futex.NewTable(), RootUserNS: auth.NewInitial(),
		containers: map[string]*Container{}, ttys: map[TTY]*ttyControl{},
	}
	k.Timers = clock.NewQueue(k.Clock)
	if k.CPUs <= 0 {
		k.CPUs = runtime.NumCPU()
	}
	if k.maxTasks = int32(cfg.MaxTasks); k.maxTasks <= 0 {
		k.maxTasks = 32768
	}
	k.nsInode.Store(firstNSInode)
	k.RootPIDNS = k.newPIDNamespace(nil, k.RootUserNS)
	k.RootPIDNS.max = pidMaxLimit
	k.RootTimeNS = &TimeNamespace{Namespace: k.newNS(k.RootUserNS, NSTime)}
	k.RootCgroupNS = &CgroupNamespace{Namespace: k.newNS(k.RootUserNS, NSCgroup)}
	k.started = k.Clock.MonotonicNS()
	if w, ok := k.Syscalls.(WatchingTable); ok {
		w.SetWatched(k)
	}
	return k
}

// Close stops the kernel's own goroutines. All tasks must have ended.
func (k *Kernel) Close() { k.Timers.Close() }

// StartedNS returns CLOCK_MONOTONIC at the kernel's start.
func (k *Kernel) StartedNS() int64 { return k.started }

// TaskCount returns the number of tasks, zombies included.
func (k *Kernel) TaskCount() int { return int(k.tasks.Load()) }

// Forks returns how many tasks were ever made.
func (k *Kernel) Forks() uint64 { return k.forks.Load() }
