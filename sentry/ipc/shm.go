package ipc

import (
	"sync"
	"time"

	"lazaret/sentry/auth"
	"lazaret/sentry/memfile"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

const (
	shmMNI  = abi.SHMMNI
	shmMax  = 1<<64 - 1 - 1<<24 // kernel.shmmax
	shmDest = 0o1000            // SHM_DEST: goes with the last detach
	shmLock = 0o2000            // SHM_LOCKED
)

// Segment is a shared memory segment. It is the memfile.Mappable of its attachments.
type Segment struct {
	*memfile.Shm
	ns   *Namespace
	size uint64 // as asked for
	cpid int32

	p Perm // under registry.mu

	mu                  sync.Mutex
	lpid                int32
	atime, dtime, ctime int64
	mapped              uint64 // bytes
	attaching           int    // between Shmat and its mapping
	destroyed           bool
}

func (s *Segment) perm() *Perm { return &s.p }

// Shmget is shmget(2).
func (ns *Namespace) Shmget(ctx *vfs.Context, key int32, size uint64, flags uint32) (int32, error) {
	create := func(p Perm) (*Segment, error) {
		if size < abi.SHMMIN || size > shmMax {
			return nil, abi.EINVAL
		}
		if flags&abi.SHM_HUGETLB != 0 {
			return nil, abi.ENOSYS // no huge pages are reserved
		}
		pages := (size + abi.PageSize - 1) &^ (abi.PageSize - 1)
		if pages < size {
			return nil, abi.EINVAL
		}
		return &Segment{
			Shm: memfile.NewShm(ns.mf, ctx.Account, pages), ns: ns, size: size, p: p, cpid: ctx.PID, ctime: now(ctx),
		}, nil
	}
	check := func(s *Segment) error {
		if s.size < size {
			return abi.EINVAL
		}
		return nil
	}
	return ns.shm.get(ctx, ns.user, key, flags, create, check)
}

// Shmat begins shmat(2): it returns the segment to map, all of it, shared, read-only with
// SHM_RDONLY. The caller maps it and then calls Attached, mapped or not.
func (ns *Namespace) Shmat(ctx *vfs.Context, id int32, flags uint32) (*Segment, error) {
	need := uint32(0o444)
	if flags&abi.SHM_RDONLY == 0 {
		need |= 0o222
	}
	if flags&abi.SHM_EXEC != 0 {
		need |= 0o111
	}
	ns.shm.mu.Lock()
	defer ns.shm.mu.Unlock()
	s, err := ns.shm.findLocked(id)
	if err != nil {
		return nil, err
	}
	if !s.p.allowed(ctx, need) {
		return nil, abi.EACCES
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attaching++
	s.lpid, s.atime = ctx.PID, now(ctx)
	return s, nil
}

// Attached ends an attachment that Shmat began.
func (s *Segment) Attached() {
	s.mu.Lock()
	s.attaching--
	s.mu.Unlock()
	s.reap()
}

// Detached notes who detached last (shmdt(2)); the caller has unmapped.
func (s *Segment) Detached(ctx *vfs.Context) {
	s.mu.Lock()
	s.lpid = ctx.PID
	s.mu.Unlock()
}

// AddMapping implements memfile.Mappable.
func (s *Segment) AddMapping(m memfile.Mapper, r abi.AddrRange, off uint64, writable bool) error {
	if err := s.Shm.AddMapping(m, r, off, writable); err != nil {
		return err
	}
	s.mu.Lock()
	s.mapped += r.Len()
	s.mu.Unlock()
	return nil
}

// RemoveMapping implements memfile.Mappable.
func (s *Segment) RemoveMapping(m memfile.Mapper, r abi.AddrRange, off uint64, writable bool) {
	s.Shm.RemoveMapping(m, r, off, writable)
	s.mu.Lock()
	s.mapped -= r.Len()
	s.dtime = time.Now().Unix()
	s.mu.Unlock()
	s.reap()
}

// attachedLocked is shm_nattch: how many times the whole segment is mapped.
func (s *Segment) attachedLocked() uint64 {
	return (s.mapped + s.Size() - 1) / s.Size()
}

// reap destroys a removed segment that nobody has attached any more.
func (s *Segment) reap() {
	s.ns.shm.mu.Lock()
	defer s.ns.shm.mu.Unlock()
	s.mu.Lock()
	unused := s.mapped == 0 && s.attaching == 0
	s.mu.Unlock()
	if unused && s.p.Mode&shmDest != 0 {
		s.ns.destroyLocked(s)
	}
}

// destroyLocked takes the segment out of the table; its pages go with the last mapping.
// Preconditions: ns.shm.mu is held.
func (ns *Namespace) destroyLocked(s *Segment) {
	ns.shm.dropLocked(s)
	s.mu.Lock()
	was := s.destroyed
	s.destroyed = true
	s.mu.Unlock()
	if !was {
		s.Shm.DecRef()
	}
}

// ShmRemove is IPC_RMID: the segment is gone when nobody has it attached, and reached by id
// alone until then.
func (ns *Namespace) ShmRemove(ctx *vfs.Context, id int32) error {
	ns.shm.mu.Lock()
	s, err := ns.shm.findLocked(id)
	if err == nil && !s.p.mayChange(ctx) {
		err = abi.EPERM
	}
	if err != nil {
		ns.shm.mu.Unlock()
		return err
	}
	s.p.Mode |= shmDest
	ns.shm.hideLocked(s)
	ns.shm.mu.Unlock()
	s.reap()
	return nil
}

// ShmSet is IPC_SET.
func (ns *Namespace) ShmSet(ctx *vfs.Context, id int32, to SetPerm) error {
	s, err := ns.shm.set(ctx, id, to)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.ctime = now(ctx)
	s.mu.Unlock()
	return nil
}

// ShmLock is SHM_LOCK and SHM_UNLOCK, which are noted: nothing is swapped here.
func (ns *Namespace) ShmLock(ctx *vfs.Context, id int32, lock bool) error {
	ns.shm.mu.Lock()
	defer ns.shm.mu.Unlock()
	s, err := ns.shm.findLocked(id)
	if err != nil {
		return err
	}
	if !s.p.mayChange(ctx) && !ctx.Creds.HasCapIn(abi.CAP_IPC_LOCK, ns.user) {
		return abi.EPERM
	}
	s.p.Mode &^= shmLock
	if lock {
		s.p.Mode |= shmLock
	}
	return nil
}

// ShmStat is a copy of a segment's state.
type ShmStat struct {
	Perm
	Size                uint64
	Atime, Dtime, Ctime int64
	Cpid, Lpid          int32
	Attached, Resident  uint64
}

func (s *Segment) stat() ShmStat {
	s.ns.shm.mu.Lock()
	p := s.p
	s.ns.shm.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	return ShmStat{p, s.size, s.atime, s.dtime, s.ctime, s.cpid, s.lpid, s.attachedLocked(), s.Resident()}
}

// ShmStat is IPC_STAT.
func (ns *Namespace) ShmStat(ctx *vfs.Context, id int32) (ShmStat, error) {
	s, err := ns.shm.use(ctx, id, 0o444)
	if err != nil {
		return ShmStat{}, err
	}
	return s.stat(), nil
}

// ShmStatIndex is SHM_STAT, or for anyone SHM_STAT_ANY; the result's ID is the call's.
func (ns *Namespace) ShmStatIndex(ctx *vfs.Context, idx int32, anyone bool) (ShmStat, error) {
	s, err := ns.shm.at(ctx, idx, anyone)
	if err != nil {
		return ShmStat{}, err
	}
	return s.stat(), nil
}

// ShmAll returns all segments (/proc/sysvipc/shm).
func (ns *Namespace) ShmAll() []ShmStat {
	var out []ShmStat
	for _, s := range ns.shm.all() {
		out = append(out, s.stat())
	}
	return out
}

// Encode is struct shmid64_ds.
func (s *ShmStat) Encode(ns *auth.UserNamespace) []byte {
	b := s.Perm.encode(ns)
	b = u64(b, s.Size)
	b = u64(u64(u64(b, uint64(s.Atime)), uint64(s.Dtime)), uint64(s.Ctime))
	b = u32(u32(b, uint32(s.Cpid)), uint32(s.Lpid))
	return u64(u64(u64(b, s.Attached), 0), 0)
}

// ShmInfo is IPC_INFO: struct shminfo64 and the highest index in use.
func (ns *Namespace) ShmInfo() ([]byte, int32) {
	_, high := ns.shm.highest()
	var b []byte
	for _, v := range []uint64{shmMax, abi.SHMMIN, shmMNI, shmMNI, shmMax} {
		b = u64(b, v)
	}
	return append(b, make([]byte, 32)...), max(high, 0)
}

// ShmUsage is SHM_INFO: struct shm_info and the highest index in use.
func (ns *Namespace) ShmUsage() ([]byte, int32) {
	n, high := ns.shm.highest()
	var total, resident uint64
	for _, s := range ns.ShmAll() {
		total += (s.Size + abi.PageSize - 1) / abi.PageSize
		resident += s.Resident / abi.PageSize
	}
	b := u64(nil, uint64(n))
	for _, v := range []uint64{total, resident, 0, 0, 0} {
		b = u64(b, v)
	}
	return b, max(high, 0)
}
