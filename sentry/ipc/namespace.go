package ipc

import (
	"lazaret/sentry/auth"
	"lazaret/sentry/memfile"
	"lazaret/sentry/vfs"
)

// Namespace is what an ipc namespace holds.
type Namespace struct {
	user *auth.UserNamespace
	mf   *memfile.File

	shm registry[*Segment]
	sem registry[*SemSet]
	msg registry[*MsgQueue]
	mq  *mqfs
}

// NewNamespace returns an empty namespace owned by user; shared memory comes from mf.
func NewNamespace(user *auth.UserNamespace, mf *memfile.File) *Namespace {
	ns := &Namespace{user: user, mf: mf}
	ns.shm.init(shmMNI)
	ns.sem.init(maxObjects)
	ns.msg.init(maxObjects)
	ns.mq = newMqfs(user)
	return ns
}

// Release drops everything; the last task has left the namespace.
func (ns *Namespace) Release() {
	for _, s := range ns.shm.all() {
		ns.shm.mu.Lock()
		ns.destroyLocked(s)
		ns.shm.mu.Unlock()
	}
	for _, s := range ns.sem.all() {
		ns.sem.mu.Lock()
		ns.sem.dropLocked(s)
		ns.sem.mu.Unlock()
		s.die()
	}
	for _, q := range ns.msg.all() {
		ns.msg.mu.Lock()
		ns.msg.dropLocked(q)
		ns.msg.mu.Unlock()
		q.die()
	}
	ns.mq.release()
}

func now(ctx *vfs.Context) int64 { return ctx.Now().Sec }
