package auth

import "sync"

// Extent is one line of /proc/PID/uid_map: [First, First+Len) inside the namespace are
// [LowerFirst, LowerFirst+Len) in the initial namespace.
type Extent struct{ First, LowerFirst, Len uint32 }

// UserNamespace is a user namespace. Parent, Owner and Level do not change.
type UserNamespace struct {
	Parent *UserNamespace
	Owner  KUID
	Group  KGID
	Level  int
	Inode  uint64 // identity in /proc/PID/ns; set by who makes the namespace

	mu            sync.RWMutex
	uids, gids    []Extent
	denySetgroups bool
}

// NewInitial returns the initial namespace, in which every id maps to itself.
func NewInitial() *UserNamespace {
	all := []Extent{{0, 0, NoID}}
	return &UserNamespace{uids: all, gids: all}
}

// NewChild returns a namespace below ns without mappings, made by creds.
func (ns *UserNamespace) NewChild(creds *Creds) *UserNamespace {
	return &UserNamespace{Parent: ns, Owner: creds.EUID, Group: creds.EGID, Level: ns.Level + 1}
}

func toInside(m []Extent, id uint32) (uint32, bool) {
	for _, e := range m {
		if id-e.LowerFirst < e.Len && id >= e.LowerFirst {
			return id - e.LowerFirst + e.First, true
		}
	}
	return NoID, false
}

func toKernel(m []Extent, id uint32) (uint32, bool) {
	for _, e := range m {
		if id-e.First < e.Len && id >= e.First {
			return id - e.First + e.LowerFirst, true
		}
	}
	return NoID, false
}

// UID returns what members of ns see for u: the overflow id when it is not mapped.
func (ns *UserNamespace) UID(u KUID) uint32 {
	ns.mu.RLock()
	defer ns.mu.RUnlock()
	if id, ok := toInside(ns.uids, uint32(u)); ok {
		return id
	}
	return OverflowUID
}

// GID is UID for groups.
func (ns *UserNamespace) GID(g KGID) uint32 {
	ns.mu.RLock()
	defer ns.mu.RUnlock()
	if id, ok := toInside(ns.gids, uint32(g)); ok {
		return id
	}
	return OverflowGID
}

// KUID returns the kernel's id for id in ns, false when it is not mapped.
func (ns *UserNamespace) KUID(id uint32) (KUID, bool) {
	ns.mu.RLock()
	defer ns.mu.RUnlock()
	k, ok := toKernel(ns.uids, id)
	return KUID(k), ok
}

// KGID is KUID for groups.
func (ns *UserNamespace) KGID(id uint32) (KGID, bool) {
	ns.mu.RLock()
	defer ns.mu.RUnlock()
	k, ok := toKernel(ns.gids, id)
	return KGID(k), ok
}
