package ipc

import (
	"encoding/binary"
	"sync"

	"lazaret/sentry/auth"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// Perm is struct kern_ipc_perm: key, identity, owner and mode of an object.
type Perm struct {
	Key        int32
	ID         int32
	UID, CUID  auth.KUID
	GID, CGID  auth.KGID
	Mode       uint32
	userNS     *auth.UserNamespace
	removed    bool
	generation uint16
}

const (
	maxObjects = 32000 // SEMMNI, MSGMNI; SHMMNI is 4096
	indexBits  = 15
)

// object is something with a Perm that a registry holds.
type object interface {
	perm() *Perm
}

// registry is the table of one kind of objects. Perms are guarded by mu.
type registry[T object] struct {
	mu    sync.Mutex
	max   int
	slots map[int32]T // by index
	keys  map[int32]T
	seq   uint16
	last  int32 // index given last
}

func (r *registry[T]) init(max int) {
	r.max, r.slots, r.keys, r.last = max, make(map[int32]T), make(map[int32]T), -1
}

// allowed is ipcperms: whether ctx may do what flag's permission bits say.
func (p *Perm) allowed(ctx *vfs.Context, flag uint32) bool {
	want := (flag >> 6) | (flag >> 3) | flag
	granted := p.Mode
	c := ctx.Creds
	switch {
	case c.EUID == p.CUID || c.EUID == p.UID:
		granted >>= 6
	case c.InGroup(p.CGID) || c.InGroup(p.GID):
		granted >>= 3
	}
	return want&^granted&7 == 0 || c.HasCapIn(abi.CAP_IPC_OWNER, p.userNS)
}

// mayChange reports whether ctx may set or remove the object (ipcctl_obtain_check).
func (p *Perm) mayChange(ctx *vfs.Context) bool {
	c := ctx.Creds
	return c.EUID == p.CUID || c.EUID == p.UID || c.HasCapIn(abi.CAP_SYS_ADMIN, p.userNS)
}

// get is ipcget: the id of the object with key, made by create if flags want that. check
// looks at an existing one.
func (r *registry[T]) get(ctx *vfs.Context, ns *auth.UserNamespace, key int32, flags uint32,
	create func(Perm) (T, error), check func(T) error) (int32, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if key != abi.IPC_PRIVATE {
		if o, ok := r.keys[key]; ok {
			if flags&abi.IPC_CREAT != 0 && flags&abi.IPC_EXCL != 0 {
				return 0, abi.EEXIST
			}
			if err := check(o); err != nil {
				return 0, err
			}
			if !o.perm().allowed(ctx, flags) {
				return 0, abi.EACCES
			}
			return o.perm().ID, nil
		}
		if flags&abi.IPC_CREAT == 0 {
			return 0, abi.ENOENT
		}
	}
	if len(r.slots) >= r.max {
		return 0, abi.ENOSPC
	}
	idx := int32(0)
	for _, used := r.slots[idx]; used; _, used = r.slots[idx] {
		idx++
	}
	p := Perm{
		Key: key, UID: ctx.Creds.EUID, CUID: ctx.Creds.EUID, GID: ctx.Creds.EGID, CGID: ctx.Creds.EGID,
		Mode: flags & 0o777, userNS: ns,
	}
	if idx <= r.last {
		r.seq = (r.seq + 1) & 0xffff
	}
	p.generation = r.seq
	p.ID = int32(r.seq)<<indexBits&0x7fffffff + idx
	o, err := create(p)
	if err != nil {
		return 0, err
	}
	r.last = idx
	r.slots[idx] = o
	if key != abi.IPC_PRIVATE {
		r.keys[key] = o
	}
	return p.ID, nil
}

// find returns the object with id: EINVAL if there is none.
func (r *registry[T]) find(id int32) (T, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.findLocked(id)
}

func (r *registry[T]) findLocked(id int32) (T, error) {
	var none T
	if id < 0 {
		return none, abi.EINVAL
	}
	o, ok := r.slots[id&(1<<indexBits-1)]
	if !ok || o.perm().ID != id {
		return none, abi.EINVAL
	}
	return o, nil
}

// use returns the object with id if ctx has the rights of flag: EINVAL, EACCES.
func (r *registry[T]) use(ctx *vfs.Context, id int32, flag uint32) (T, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o, err := r.findLocked(id)
	if err == nil && !o.perm().allowed(ctx, flag) {
		err = abi.EACCES
	}
	return o, err
}

// at returns the object at an index of the table (IPC_STAT by index).
func (r *registry[T]) at(ctx *vfs.Context, idx int32, anyone bool) (T, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o, ok := r.slots[idx]
	if !ok {
		return o, abi.EINVAL
	}
	if !anyone && !o.perm().allowed(ctx, 0o444) {
		return o, abi.EACCES
	}
	return o, nil
}

// remove takes the object with id out of the table: EINVAL, EPERM.
func (r *registry[T]) remove(ctx *vfs.Context, id int32) (T, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o, err := r.findLocked(id)
	if err != nil {
		return o, err
	}
	if !o.perm().mayChange(ctx) {
		return o, abi.EPERM
	}
	r.dropLocked(o)
	return o, nil
}

func (r *registry[T]) dropLocked(o T) {
	p := o.perm()
	idx := p.ID & (1<<indexBits - 1)
	if cur, ok := r.slots[idx]; ok && cur.perm() == p {
		delete(r.slots, idx)
	}
	r.hideLocked(o)
	p.removed = true
}

// hideLocked takes the key away: the object can only be reached by id.
func (r *registry[T]) hideLocked(o T) {
	if cur, ok := r.keys[o.perm().Key]; ok && cur.perm() == o.perm() {
		delete(r.keys, o.perm().Key)
	}
	o.perm().Key = abi.IPC_PRIVATE
}

// SetPerm is what IPC_SET changes of a Perm.
type SetPerm struct {
	UID  auth.KUID
	GID  auth.KGID
	Mode uint32
}

func (r *registry[T]) set(ctx *vfs.Context, id int32, s SetPerm) (T, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o, err := r.findLocked(id)
	if err != nil {
		return o, err
	}
	p := o.perm()
	if !p.mayChange(ctx) {
		return o, abi.EPERM
	}
	p.UID, p.GID = s.UID, s.GID
	p.Mode = p.Mode&^0o777 | s.Mode&0o777
	return o, nil
}

// highest returns the number of objects and the highest index in use, -1 for none.
func (r *registry[T]) highest() (n int, idx int32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	idx = -1
	for i := range r.slots {
		idx = max(idx, i)
	}
	return len(r.slots), idx
}

// all returns the objects, for /proc/sysvipc.
func (r *registry[T]) all() []T {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]T, 0, len(r.slots))
	for _, o := range r.slots {
		out = append(out, o)
	}
	return out
}

func u32(b []byte, v uint32) []byte { return binary.LittleEndian.AppendUint32(b, v) }
func u64(b []byte, v uint64) []byte { return binary.LittleEndian.AppendUint64(b, v) }

// encode is struct ipc64_perm, 48 bytes.
func (p *Perm) encode(ns *auth.UserNamespace) []byte {
	b := make([]byte, 0, 128)
	b = u32(b, uint32(p.Key))
	b = u32(u32(b, ns.UID(p.UID)), ns.GID(p.GID))
	b = u32(u32(b, ns.UID(p.CUID)), ns.GID(p.CGID))
	b = u32(b, p.Mode)
	b = binary.LittleEndian.AppendUint16(b, p.generation)
	return append(b, make([]byte, 48-len(b))...)
}
