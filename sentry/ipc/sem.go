package ipc

import (
	"sync"
	"time"

	"lazaret/sentry/memfile"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// Limits of kernel.sem.
const (
	semMSL = abi.SEMMSL
	semOPM = abi.SEMOPM
	semVMX = abi.SEMVMX

	semCost = 16 // charged for a semaphore, in bytes
)

// Sembuf is struct sembuf.
type Sembuf struct {
	Num   uint16
	Op    int16
	Flags uint16
}

type semaphore struct {
	val           int32
	pid           int32
	ncount, zcont int32 // tasks that wait for an increase, for zero
}

// SemSet is a set of semaphores.
type SemSet struct {
	ns    *Namespace
	acct  *memfile.Account
	queue wait.Queue

	p Perm // under registry.mu

	mu           sync.Mutex
	sems         []semaphore
	otime, ctime int64
	dead         bool
	undos        map[*Undo]struct{} // that have adjustments for this set
}

func (s *SemSet) perm() *Perm { return &s.p }

// Undo is what SEM_UNDO has to take back at the end of a process. Processes share one
// with CLONE_SYSVSEM. The zero Undo is empty and ready.
type Undo struct {
	mu  sync.Mutex
	adj map[*SemSet][]int16 // also under the set's mu
}

// Semget is semget(2).
func (ns *Namespace) Semget(ctx *vfs.Context, key int32, n int, flags uint32) (int32, error) {
	if n < 0 || n > semMSL {
		return 0, abi.EINVAL
	}
	create := func(p Perm) (*SemSet, error) {
		if n == 0 {
			return nil, abi.EINVAL
		}
		if ctx.Account != nil {
			if err := ctx.Account.Charge(uint64(n) * semCost); err != nil {
				return nil, err
			}
		}
		return &SemSet{ns: ns, p: p, sems: make([]semaphore, n), ctime: now(ctx), acct: ctx.Account}, nil
	}
	check := func(s *SemSet) error {
		if n > len(s.sems) {
			return abi.EINVAL
		}
		return nil
	}
	return ns.sem.get(ctx, ns.user, key, flags, create, check)
}

// Semtimedop is semtimedop(2): all operations or none, waiting until deadline (zero: for
// ever). A timeout is EAGAIN, a removed set EIDRM. undo may be nil without SEM_UNDO.
func (ns *Namespace) Semtimedop(ctx *vfs.Context, id int32, ops []Sembuf, deadline time.Time, undo *Undo) error {
	if len(ops) == 0 {
		return abi.EINVAL
	}
	if len(ops) > semOPM {
		return abi.E2BIG
	}
	need := uint32(0o444)
	top := 0
	for _, o := range ops {
		if o.Op != 0 {
			need = 0o222
		}
		top = max(top, int(o.Num))
	}
	s, err := ns.sem.use(ctx, id, need)
	if err == abi.EACCES {
		if s2, e := ns.sem.find(id); e == nil && top >= len(s2.sems) {
			return abi.EFBIG
		}
	}
	if err != nil {
		return err
	}
	if top >= len(s.sems) {
		return abi.EFBIG
	}
	return s.operate(ctx, ops, deadline, undo)
}

func (s *SemSet) operate(ctx *vfs.Context, ops []Sembuf, deadline time.Time, undo *Undo) error {
	blocked, err := s.try(ctx, ops, undo)
	if blocked < 0 {
		return err
	}
	if ops[blocked].Flags&abi.IPC_NOWAIT != 0 || ctx.Sleeper == nil {
		return abi.EAGAIN
	}
	s.count(ops[blocked], 1)
	werr := wait.Until(ctx.Sleeper, &s.queue, wait.In, deadline, func() bool {
		was := blocked
		if blocked, err = s.try(ctx, ops, undo); blocked < 0 {
			s.count(ops[was], -1)
			return true
		}
		if blocked != was {
			s.count(ops[was], -1)
			s.count(ops[blocked], 1)
		}
		return false
	})
	if werr != nil {
		s.count(ops[blocked], -1)
		if werr == abi.ETIMEDOUT {
			return abi.EAGAIN
		}
		if werr == abi.ERESTARTSYS {
			return abi.EINTR // semop(2) is never restarted
		}
		return werr
	}
	return err
}

// count notes a task that begins (1) or ceases (-1) to wait at o.
func (s *SemSet) count(o Sembuf, d int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.Op == 0 {
		s.sems[o.Num].zcont += d
	} else {
		s.sems[o.Num].ncount += d
	}
}

// try does all operations, or returns the index of the one that has to wait; -1 with or
// without an error says that it is over.
func (s *SemSet) try(ctx *vfs.Context, ops []Sembuf, undo *Undo) (int, error) {
	s.mu.Lock()
	if s.dead {
		s.mu.Unlock()
		return -1, abi.EIDRM
	}
	blocked, err := s.applyLocked(ops)
	if blocked >= 0 || err != nil {
		s.mu.Unlock()
		return blocked, err
	}
	if err := s.undoLocked(ops, undo); err != nil {
		s.revertLocked(ops)
		s.mu.Unlock()
		return -1, err
	}
	changed := false
	for _, o := range ops {
		s.sems[o.Num].pid = ctx.PID
		changed = changed || o.Op != 0
	}
	s.otime = now(ctx)
	s.mu.Unlock()
	if changed {
		s.queue.Notify(wait.In)
	}
	return -1, nil
}

func (s *SemSet) applyLocked(ops []Sembuf) (int, error) {
	for i, o := range ops {
		v := s.sems[o.Num].val
		switch {
		case o.Op == 0 && v != 0, v+int32(o.Op) < 0:
			s.revertLocked(ops[:i])
			return i, nil
		case v+int32(o.Op) > semVMX:
			s.revertLocked(ops[:i])
			return -1, abi.ERANGE
		}
		s.sems[o.Num].val += int32(o.Op)
	}
	return -1, nil
}

func (s *SemSet) revertLocked(ops []Sembuf) {
	for _, o := range ops {
		s.sems[o.Num].val -= int32(o.Op)
	}
}

// undoLocked notes the SEM_UNDO operations: ERANGE if the sum leaves the range.
func (s *SemSet) undoLocked(ops []Sembuf, undo *Undo) error {
	any := false
	for _, o := range ops {
		any = any || o.Flags&abi.SEM_UNDO != 0 && o.Op != 0
	}
	if !any || undo == nil {
		return nil
	}
	undo.mu.Lock()
	defer undo.mu.Unlock()
	adj := make([]int16, len(s.sems))
	copy(adj, undo.adj[s])
	_, charged := s.undos[undo]
	for _, o := range ops {
		if o.Flags&abi.SEM_UNDO == 0 {
			continue
		}
		n := int32(adj[o.Num]) - int32(o.Op)
		if n < -semVMX-1 || n > semVMX {
			return abi.ERANGE
		}
		adj[o.Num] = int16(n)
	}
	if !charged && s.acct != nil {
		if err := s.acct.Charge(s.undoCost()); err != nil {
			return err
		}
	}
	if undo.adj == nil {
		undo.adj = make(map[*SemSet][]int16)
	}
	undo.adj[s] = adj
	if s.undos == nil {
		s.undos = make(map[*Undo]struct{})
	}
	s.undos[undo] = struct{}{}
	return nil
}

// undoCost is what the adjustments of one Undo are charged, in bytes.
func (s *SemSet) undoCost() uint64 { return uint64(len(s.sems)) * 2 }

// Exit takes everything back; the last process that shared u has ended.
func (u *Undo) Exit(ctx *vfs.Context) {
	u.mu.Lock()
	all := u.adj
	u.adj = nil
	u.mu.Unlock()
	for s, adj := range all {
		s.mu.Lock()
		delete(s.undos, u)
		if !s.dead {
			if s.acct != nil {
				s.acct.Uncharge(s.undoCost())
			}
			for i, d := range adj {
				if d != 0 {
					s.sems[i].val = min(max(s.sems[i].val+int32(d), 0), semVMX)
					s.sems[i].pid = ctx.PID
				}
			}
			s.otime = now(ctx)
		}
		s.mu.Unlock()
		s.queue.Notify(wait.In)
	}
}

// forgetLocked drops the adjustments of semaphore i, or with -1 of all.
func (s *SemSet) forgetLocked(i int) {
	for u := range s.undos {
		u.mu.Lock()
		if adj := u.adj[s]; adj != nil {
			if i < 0 {
				clear(adj)
			} else {
				adj[i] = 0
			}
		}
		u.mu.Unlock()
	}
}

// die ends the waits of a set that is no longer in the table.
func (s *SemSet) die() {
	s.mu.Lock()
	if !s.dead && s.acct != nil {
		s.acct.Uncharge(uint64(len(s.sems))*semCost + uint64(len(s.undos))*s.undoCost())
	}
	s.dead = true
	for u := range s.undos {
		u.mu.Lock()
		delete(u.adj, s)
		u.mu.Unlock()
	}
	s.undos = nil
	s.mu.Unlock()
	s.queue.Notify(wait.In)
}

// SemRemove is IPC_RMID.
func (ns *Namespace) SemRemove(ctx *vfs.Context, id int32) error {
	s, err := ns.sem.remove(ctx, id)
	if err != nil {
		return err
	}
	s.die()
	return nil
}

// SemSetPerm is IPC_SET.
func (ns *Namespace) SemSetPerm(ctx *vfs.Context, id int32, to SetPerm) error {
	s, err := ns.sem.set(ctx, id, to)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.ctime = now(ctx)
	s.mu.Unlock()
	return nil
}

// SemGetAll is GETALL.
func (ns *Namespace) SemGetAll(ctx *vfs.Context, id int32) ([]uint16, error) {
	s, err := ns.sem.use(ctx, id, 0o444)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]uint16, len(s.sems))
	for i := range s.sems {
		out[i] = uint16(s.sems[i].val)
	}
	return out, nil
}

// SemCount returns how many semaphores the set has, for SETALL and GETALL.
func (ns *Namespace) SemCount(id int32) (int, error) {
	s, err := ns.sem.find(id)
	if err != nil {
		return 0, err
	}
	return len(s.sems), nil
}

// SemSetAll is SETALL; values has SemCount elements.
func (ns *Namespace) SemSetAll(ctx *vfs.Context, id int32, values []uint16) error {
	s, err := ns.sem.use(ctx, id, 0o222)
	if err != nil {
		return err
	}
	for _, v := range values {
		if v > semVMX {
			return abi.ERANGE
		}
	}
	s.mu.Lock()
	if s.dead || len(values) != len(s.sems) {
		s.mu.Unlock()
		return abi.EIDRM
	}
	for i, v := range values {
		s.sems[i].val, s.sems[i].pid = int32(v), ctx.PID
	}
	s.forgetLocked(-1)
	s.ctime = now(ctx)
	s.mu.Unlock()
	s.queue.Notify(wait.In)
	return nil
}

// SemSetVal is SETVAL.
func (ns *Namespace) SemSetVal(ctx *vfs.Context, id int32, num int, val int32) error {
	if val < 0 || val > semVMX {
		return abi.ERANGE
	}
	s, err := ns.sem.use(ctx, id, 0o222)
	if err != nil {
		return err
	}
	if num < 0 || num >= len(s.sems) {
		return abi.EINVAL
	}
	s.mu.Lock()
	if s.dead {
		s.mu.Unlock()
		return abi.EIDRM
	}
	s.sems[num].val, s.sems[num].pid = val, ctx.PID
	s.forgetLocked(num)
	s.ctime = now(ctx)
	s.mu.Unlock()
	s.queue.Notify(wait.In)
	return nil
}

// SemGet is GETVAL, GETPID, GETNCNT and GETZCNT.
func (ns *Namespace) SemGet(ctx *vfs.Context, id int32, num, cmd int) (int32, error) {
	s, err := ns.sem.use(ctx, id, 0o444)
	if err != nil {
		return 0, err
	}
	if num < 0 || num >= len(s.sems) {
		return 0, abi.EINVAL
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch m := &s.sems[num]; cmd {
	case abi.GETVAL:
		return m.val, nil
	case abi.GETPID:
		return m.pid, nil
	case abi.GETNCNT:
		return m.ncount, nil
	case abi.GETZCNT:
		return m.zcont, nil
	}
	return 0, abi.EINVAL
}

// SemStat is a copy of a set's state.
type SemStat struct {
	Perm
	Otime, Ctime int64
	Sems         int
}

func (s *SemSet) stat() SemStat {
	s.ns.sem.mu.Lock()
	p := s.p
	s.ns.sem.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	return SemStat{p, s.otime, s.ctime, len(s.sems)}
}

// SemStat is IPC_STAT.
func (ns *Namespace) SemStat(ctx *vfs.Context, id int32) (SemStat, error) {
	s, err := ns.sem.use(ctx, id, 0o444)
	if err != nil {
		return SemStat{}, err
	}
	return s.stat(), nil
}

// SemStatIndex is SEM_STAT, or for anyone SEM_STAT_ANY.
func (ns *Namespace) SemStatIndex(ctx *vfs.Context, idx int32, anyone bool) (SemStat, error) {
	s, err := ns.sem.at(ctx, idx, anyone)
	if err != nil {
		return SemStat{}, err
	}
	return s.stat(), nil
}

// SemAll returns all sets (/proc/sysvipc/sem).
func (ns *Namespace) SemAll() []SemStat {
	var out []SemStat
	for _, s := range ns.sem.all() {
		out = append(out, s.stat())
	}
	return out
}

// SemInfo is IPC_INFO, with usage SEM_INFO: struct seminfo and the highest index in use.
func (ns *Namespace) SemInfo(usage bool) ([]byte, int32) {
	n, high := ns.sem.highest()
	semusz, semaem := uint32(20), uint32(semVMX)
	if usage {
		semusz, semaem = uint32(n), 0
		for _, s := range ns.SemAll() {
			semaem += uint32(s.Sems)
		}
	}
	var b []byte
	for _, v := range []uint32{abi.SEMMNS, abi.SEMMNI, abi.SEMMNS, abi.SEMMNS, semMSL, semOPM, semOPM, semusz, semVMX, semaem} {
		b = u32(b, v)
	}
	return b, max(high, 0)
}
