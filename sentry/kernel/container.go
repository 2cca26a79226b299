package kernel

import (
	"sync"
	"sync/atomic"

	"lazaret/sentry/auth"
	"lazaret/sentry/memfile"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// Container is one container of the sandbox: the tasks that began in it, and what bounds
// them. Its tasks keep it for life, whatever namespaces they enter.
type Container struct {
	ID      string
	Account *memfile.Account
	Data    any // the owner's (boot): spec, console, gofer

	gate  atomic.Uint32 // gate bits
	gateQ wait.Queue    // a bit is gone

	bandwidth bandwidth

	k        *Kernel
	pidNS    *PIDNamespace
	maxTasks atomic.Int32 // pids limit, 0 = none
	tasks    atomic.Int32
	refused  atomic.Uint64 // tasks, by maxTasks
	memory   atomic.Uint64 // of the host, 0 unknown
	oomKills atomic.Uint64

	oomVictim atomic.Pointer[ThreadGroup] // the last that was killed for its memory

	mu    sync.Mutex
	users map[auth.KUID]*userCounts
	init  *ThreadGroup
	gone  goneCPU
}

// userCounts are what resource limits count per real user (getrlimit(2)).
type userCounts struct {
	tasks   atomic.Int64 // RLIMIT_NPROC
	signals atomic.Int64 // RLIMIT_SIGPENDING
}

// NewContainer returns a container without tasks, with a pid namespace of its own below
// pidParent (nil: the root one).
func (k *Kernel) NewContainer(id string, acct *memfile.Account, pidNS *PIDNamespace) (*Container, error) {
	k.tasksMu.Lock()
	defer k.tasksMu.Unlock()
	if k.containers[id] != nil {
		return nil, abi.EEXIST
	}
	if pidNS == nil {
		pidNS = k.newPIDNamespace(k.RootPIDNS, k.RootUserNS)
	}
	c := &Container{ID: id, Account: acct, k: k, pidNS: pidNS, users: map[auth.KUID]*userCounts{}}
	c.bandwidth.init(c)
	k.containers[id] = c
	return c, nil
}

// RemoveContainer forgets a container whose tasks have all ended.
func (k *Kernel) RemoveContainer(c *Container) error {
	c.bandwidth.stop()
	k.tasksMu.Lock()
	defer k.tasksMu.Unlock()
	if c.tasks.Load() != 0 {
		return abi.EBUSY
	}
	delete(k.containers, c.ID)
	return nil
}

// Container returns the container called id, or nil.
func (k *Kernel) Container(id string) *Container {
	k.tasksMu.RLock()
	defer k.tasksMu.RUnlock()
	return k.containers[id]
}

// PIDNS returns the container's own pid namespace.
func (c *Container) PIDNS() *PIDNamespace { return c.pidNS }

// Init returns the container's first process, nil before it was started.
func (c *Container) Init() *ThreadGroup {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.init
}

// SetMaxTasks sets the pids limit; 0 is none.
func (c *Container) SetMaxTasks(n int32) { c.maxTasks.Store(n) }

// MaxTasks returns the pids limit, 0 for none.
func (c *Container) MaxTasks() int32 { return c.maxTasks.Load() }

// Tasks returns the number of tasks, zombies included.
func (c *Container) Tasks() int { return int(c.tasks.Load()) }

// TasksRefused returns how often the pids limit kept a task from being made.
func (c *Container) TasksRefused() uint64 { return c.refused.Load() }

// chargeTask counts a new task, or fails with EAGAIN at a limit.
func (c *Container) chargeTask() error {
	if c.k.tasks.Add(1) > c.k.maxTasks {
		c.k.tasks.Add(-1)
		return abi.EAGAIN
	}
	if n, m := c.tasks.Add(1), c.maxTasks.Load(); m > 0 && n > m {
		c.tasks.Add(-1)
		c.k.tasks.Add(-1)
		c.refused.Add(1)
		return abi.EAGAIN
	}
	return nil
}

func (c *Container) unchargeTask() {
	c.tasks.Add(-1)
	c.k.tasks.Add(-1)
}

// user returns the counts of u. They are never dropped: their number is bounded by
// maxUsers, after which users share one.
func (c *Container) user(u auth.KUID) *userCounts {
	c.mu.Lock()
	defer c.mu.Unlock()
	uc := c.users[u]
	if uc == nil {
		if len(c.users) >= maxUsers {
			u = auth.KUID(auth.NoID)
			if uc = c.users[u]; uc != nil {
				return uc
			}
		}
		uc = &userCounts{}
		c.users[u] = uc
	}
	return uc
}

const maxUsers = 4096

// SetMemory tells a container without a memory limit how much the host has.
func (c *Container) SetMemory(total uint64) { c.memory.Store(total) }

// Memory returns the bytes of memory that the container has and that are free, for
// sysinfo(2): as /proc/meminfo has it.
func (c *Container) Memory() (total, free uint64) {
	host := c.memory.Load()
	if host == 0 && c.k.MemFile != nil {
		host = c.k.MemFile.TotalMemory()
	}
	if l := c.Account.Limit(); l != 0 && (l < host || host == 0) {
		return l, l - min(l, c.Account.Used())
	}
	used := uint64(0)
	if c.k.MemFile != nil {
		used = c.k.MemFile.InUse()
	}
	return host, host - min(host, used)
}
