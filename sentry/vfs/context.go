package vfs

import (
	"time"

	"lazaret/sentry/auth"
	"lazaret/sentry/memfile"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// Context is on whose behalf an operation runs. A task has one and keeps it up to date;
// kernel-internal work has its own. It is used by one goroutine at a time.
type Context struct {
	Creds   *auth.Creds
	FS      *FSInfo          // root, working directory, umask
	Account *memfile.Account // who pays for pages and kernel memory
	Clock   Clock
	Sleeper wait.Sleeper // nil: operations that would sleep fail with EAGAIN

	// MountNS is the mount namespace that mount(2) works on. nil: that of the root.
	MountNS *MountNamespace

	// MaxFileSize is RLIMIT_FSIZE in bytes; ^0 is no limit. A write beyond it fails
	// with EFBIG and sets XFSZ, for which the system call sends SIGXFSZ.
	MaxFileSize uint64
	XFSZ        bool

	// PID is the caller's thread group id in the initial pid namespace, for lock
	// owners and the like; 0 in kernel-internal work.
	PID int32

	// Process is the same as an id that stays known after the process has ended.
	Process ProcessID

	// Links counts symlinks followed in the current walk.
	Links int
}

// ProcessID is a process id that others may keep: the kernel's, which knows its number
// in every pid namespace.
type ProcessID interface {
	RootNumber() int32 // in the initial pid namespace
}

// Clock tells the time of day, for timestamps.
type Clock interface {
	Realtime() abi.Timespec
}

// Now returns the time of day.
func (ctx *Context) Now() abi.Timespec {
	if ctx.Clock == nil {
		t := time.Now()
		return abi.Timespec{Sec: t.Unix(), Nsec: int64(t.Nanosecond())}
	}
	return ctx.Clock.Realtime()
}

// mountNS returns the namespace that mount operations work on.
func (ctx *Context) mountNS() *MountNamespace {
	if ctx.MountNS != nil {
		return ctx.MountNS
	}
	return ctx.FS.Root().Mount.Namespace()
}
