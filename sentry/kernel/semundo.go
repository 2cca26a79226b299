package kernel

import (
	"sync"

	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// SemUndo is what the semaphore operations with SEM_UNDO of the tasks that share it have
// to take back in the end (semop(2)). Package ipc implements it.
type SemUndo interface {
	Exit(ctx *vfs.Context)
}

// semUndo is the list of a task (sysv_sem), shared with CLONE_SYSVSEM.
type semUndo struct {
	mu    sync.Mutex
	users int
	list  SemUndo // nil until somebody needs it
}

// SemUndo returns the calling task's list; fresh makes it when it is needed first.
func (t *Task) SemUndo(fresh func() SemUndo) SemUndo {
	if t.semUndo == nil {
		t.semUndo = &semUndo{users: 1}
	}
	u := t.semUndo
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.list == nil {
		u.list = fresh()
	}
	return u.list
}

// shareSemUndo is copy_semundo: the child has the list of its parent, or none.
func (t *Task) shareSemUndo(c *Task, flags uint64) {
	if flags&abi.CLONE_SYSVSEM == 0 {
		return
	}
	if t.semUndo == nil {
		t.semUndo = &semUndo{users: 1}
	}
	t.semUndo.mu.Lock()
	t.semUndo.users++
	t.semUndo.mu.Unlock()
	c.semUndo = t.semUndo
}

// exitSem gives the list up: the last one takes everything back. ctx is of
// the calling task.
func (t *Task) exitSem(ctx *vfs.Context) {
	u := t.semUndo
	if u == nil {
		return
	}
	t.semUndo = nil
	u.mu.Lock()
	u.users--
	var list SemUndo
	if u.users == 0 {
		list = u.list
	}
	u.mu.Unlock()
	if list != nil {
		list.Exit(ctx)
	}
}
