package vfs

import (
	"slices"
	"sync"
	"sync/atomic"

	"lazaret/sentry/auth"
	"lazaret/sentry/memfile"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// Mount is a file system, or a part of one, at a place in the tree of a namespace.
type Mount struct {
	id    uint64
	super *Super
	root  *Dentry // pinned
	// Source is what mountinfo shows as the mount's source.
	Source string

	flags  atomic.Uint32 // MS_RDONLY, MS_NOSUID and so on of this mount
	refs   atomic.Int32  // pins; negative: dead
	writes atomic.Int32  // regular files open for writing through it
	placed atomic.Pointer[Path]
	ns     atomic.Pointer[MountNamespace] // nil: not in a tree
	userns *auth.UserNamespace
	acct   *memfile.Account // pays mountCost; nil: nobody

	// Guarded by mounts.mu.
	children   []*Mount
	group      *peerGroup // not nil: shared
	master     *peerGroup // not nil: slave
	unbindable bool
	locked     bool   // cannot be unmounted alone: it came with a less privileged namespace
	lockFlags  uint32 // flags that cannot be cleared, for the same reason
	expire     bool   // marked by MNT_EXPIRE
}

// perMount are the flags that belong to a mount, not to the super block.
const perMount = abi.MS_RDONLY | abi.MS_NOSUID | abi.MS_NODEV | abi.MS_NOEXEC | abi.MS_NOATIME |
	abi.MS_NODIRATIME | abi.MS_RELATIME | abi.MS_NOSYMFOLLOW

// MountLimit is fs.mount-max: the most mounts in one namespace.
const MountLimit = 100000

// mounts is the mount table of all namespaces.
var mounts struct {
	mu sync.RWMutex // rank: mount lock
	at map[Path]*Mount
}

var lastMountID, lastNSID atomic.Uint64

// MountNamespace is a tree of mounts (mount_namespaces(7)).
type MountNamespace struct {
	ID     uint64
	UserNS *auth.UserNamespace

	// Changed is notified of every change, for poll(2) of /proc/PID/mounts.
	Changed wait.Queue
	// Seq counts the changes.
	Seq atomic.Uint64

	users atomic.Int32

	// Guarded by mounts.mu.
	root  *Mount
	count int
}

// mountCost is what a mount is charged for, in bytes: itself, and for most a super block
// with its tables.
const mountCost = 4096

// newMount returns a mount of root that is nowhere yet, which acct pays for.
func newMount(acct *memfile.Account, root *Dentry, source string, flags uint32, ns *auth.UserNamespace) (*Mount, error) {
	if acct != nil {
		if err := acct.Charge(mountCost); err != nil {
			return nil, err
		}
	}
	if !root.TryIncRef() {
		if acct != nil {
			acct.Uncharge(mountCost)
		}
		return nil, abi.ENOENT
	}
	m := &Mount{id: lastMountID.Add(1), super: root.super, root: root, Source: source, userns: ns, acct: acct}
	m.flags.Store(flags & perMount)
	m.refs.Store(1) // the tree's, or the one who made it
	m.super.get()
	return m, nil
}

// NewMountNamespace returns a namespace with one user, whose root is s.
func NewMountNamespace(s *Super, source string, flags uint32, userns *auth.UserNamespace) (*MountNamespace, error) {
	m, err := newMount(nil, s.root, source, atimeDefault(flags), userns)
	if err != nil {
		return nil, err
	}
	ns := &MountNamespace{ID: lastNSID.Add(1), UserNS: userns, root: m, count: 1}
	ns.users.Store(1)
	m.ns.Store(ns)
	return ns, nil
}

// KernelMount returns a mount of s that is in no namespace: for files that the kernel
// makes itself (pipes, sockets, memfds).
func KernelMount(s *Super) *Mount {
	m, err := newMount(nil, s.root, s.Type, 0, nil)
	if err != nil {
		return nil
	}
	return m
}

// atimeDefault adds relatime, which is the default (mount(2)).
func atimeDefault(flags uint32) uint32 {
	if flags&(abi.MS_NOATIME|abi.MS_STRICTATIME) == 0 {
		flags |= abi.MS_RELATIME
	}
	if flags&abi.MS_STRICTATIME != 0 {
		flags &^= abi.MS_RELATIME | abi.MS_NOATIME
	}
	return flags
}

// Root returns the root of the tree.
func (ns *MountNamespace) Root() Path {
	mounts.mu.RLock()
	defer mounts.mu.RUnlock()
	m := ns.root
	for {
		over := mounts.at[Path{m, m.root}]
		if over == nil {
			return Path{m, m.root}
		}
		m = over
	}
}

// IncUsers adds a task or an open file of the namespace.
func (ns *MountNamespace) IncUsers() { ns.users.Add(1) }

// DecUsers removes one; with the last the tree is taken down.
func (ns *MountNamespace) DecUsers() {
	if ns.users.Add(-1) != 0 {
		return
	}
	mounts.mu.Lock()
	list := umountTreeLocked(ns.root, nil)
	mounts.mu.Unlock()
	dropMounts(list)
}

func (ns *MountNamespace) changed() {
	ns.Seq.Add(1)
	ns.Changed.Notify(wait.Pri | wait.Err)
}

// ID returns the mount id that mountinfo and statx(2) show.
func (m *Mount) ID() uint64 { return m.id }

// Root returns the mount's root dentry.
func (m *Mount) Root() *Dentry { return m.root }

// Super returns the file system instance.
func (m *Mount) Super() *Super { return m.super }

// Flags returns the MS_* flags of the mount.
func (m *Mount) Flags() uint32 { return m.flags.Load() }

// Namespace returns the namespace that m is in, nil if it is in none.
func (m *Mount) Namespace() *MountNamespace { return m.ns.Load() }

// ReadOnly reports whether the mount does not allow writing.
func (m *Mount) ReadOnly() bool { return m.flags.Load()&abi.MS_RDONLY != 0 }

// beginWrite counts a file that is open for writing: the mount and its file system cannot
// become read-only while there is one.
func (m *Mount) beginWrite() {
	if m != nil {
		m.writes.Add(1)
		m.super.writes.Add(1)
	}
}

func (m *Mount) endWrite() {
	if m != nil {
		m.writes.Add(-1)
		m.super.writes.Add(-1)
	}
}

// place returns where m is mounted; Mount is nil for the root of a tree.
func (m *Mount) place() Path {
	if p := m.placed.Load(); p != nil {
		return *p
	}
	return Path{}
}

func (m *Mount) tryIncRef() bool {
	for {
		r := m.refs.Load()
		if r < 0 {
			return false
		}
		if m.refs.CompareAndSwap(r, r+1) {
			return true
		}
	}
}

func (m *Mount) decRef() {
	if m.refs.Add(-1) == 0 && m.refs.CompareAndSwap(0, deadRefs) {
		m.root.DecRef()
		m.super.put()
		if m.acct != nil {
			m.acct.Uncharge(mountCost)
		}
	}
}

// lookupMount returns the mount on p, nil if there is none.
func lookupMount(p Path) *Mount {
	mounts.mu.RLock()
	defer mounts.mu.RUnlock()
	return mounts.at[p]
}

// attachLocked puts m at p. A mount that is there already moves onto m's root.
// Preconditions: p is pinned by m's caller or the tree.
func attachLocked(m *Mount, p Path) {
	if mounts.at == nil {
		mounts.at = make(map[Path]*Mount)
	}
	old := mounts.at[p]
	p.Dentry.refs.Add(1)
	p.Dentry.mounted.Add(1)
	place := p
	m.placed.Store(&place)
	mounts.at[p] = m
	p.Mount.children = append(p.Mount.children, m)
	if old != nil {
		detachLocked(old)
		attachLocked(old, Path{m, m.root})
		if mounts.at[p] == nil {
			mounts.at[p] = m
		}
	}
}

// detachLocked takes m off its place. It stays a tree of its own.
func detachLocked(m *Mount) {
	p := m.place()
	if p.Mount == nil {
		return
	}
	if mounts.at[p] == m {
		delete(mounts.at, p)
	}
	m.placed.Store(nil)
	if i := slices.Index(p.Mount.children, m); i >= 0 {
		p.Mount.children = slices.Delete(p.Mount.children, i, i+1)
	}
	p.Dentry.mounted.Add(-1)
	p.Dentry.DecRef()
}

// setNSLocked makes the tree at m belong to ns.
func setNSLocked(m *Mount, ns *MountNamespace) {
	eachLocked(m, func(c *Mount) {
		if old := c.ns.Load(); old != nil {
			old.count--
		}
		c.ns.Store(ns)
		if ns != nil {
			ns.count++
		}
	})
}

// eachLocked calls f for m and all below, parents first.
func eachLocked(m *Mount, f func(*Mount)) {
	f(m)
	for _, c := range slices.Clone(m.children) {
		eachLocked(c, f)
	}
}

func treeSizeLocked(m *Mount) int {
	n := 0
	eachLocked(m, func(*Mount) { n++ })
	return n
}

// umountTreeLocked takes down m and all below it and appends them to list, for
// dropMounts after the lock is released.
func umountTreeLocked(m *Mount, list []*Mount) []*Mount {
	for len(m.children) > 0 {
		list = umountTreeLocked(m.children[len(m.children)-1], list)
	}
	detachLocked(m)
	leaveGroupsLocked(m)
	setNSLocked(m, nil)
	return append(list, m)
}

// dropMounts gives up the tree's references.
func dropMounts(list []*Mount) {
	for _, m := range list {
		m.decRef()
	}
}

// mountedHere gives EBUSY when something is mounted on d. In another namespace only, it
// is taken down (as Linux does since 3.18).
func mountedHere(d *Dentry) error {
	if d.mounted.Load() == 0 {
		return nil
	}
	return abi.EBUSY
}

// Release gives up a KernelMount.
func (m *Mount) Release() { m.decRef() }
