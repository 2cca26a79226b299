package auth

import (
	"slices"
	"strconv"
	"strings"

	"lazaret/syscalls/abi"
)

// maxExtents is how many lines a map may have (user_namespaces(7)).
const maxExtents = 340

// maxLevel is how deep namespaces nest.
const maxLevel = 32

// NewUserNS returns the credentials of a task that enters a new user namespace below its
// own: all capabilities there, none above (user_namespaces(7)).
func (c *Creds) NewUserNS(inode uint64) (*Creds, error) {
	if c.UserNS.Level+1 > maxLevel {
		return nil, abi.ENOSPC
	}
	if !c.UserNS.HasUID(c.EUID) || !c.UserNS.HasGID(c.EGID) {
		return nil, abi.EPERM
	}
	ns := c.UserNS.NewChild(c)
	ns.Inode = inode
	return c.EnterUserNS(ns), nil
}

// EnterUserNS returns credentials with all capabilities in ns.
func (c *Creds) EnterUserNS(ns *UserNamespace) *Creds {
	n := c.Copy()
	n.UserNS, n.SecureBits = ns, 0
	n.Permitted, n.Effective, n.Bounding = AllCaps, AllCaps, AllCaps
	n.Inheritable, n.Ambient = 0, 0
	return n
}

// IsAncestorOf reports whether ns is o or above it.
func (ns *UserNamespace) IsAncestorOf(o *UserNamespace) bool {
	for ; o != nil; o = o.Parent {
		if o == ns {
			return true
		}
	}
	return false
}

// HasUID reports whether u is mapped in ns.
func (ns *UserNamespace) HasUID(u KUID) bool {
	ns.mu.RLock()
	defer ns.mu.RUnlock()
	_, ok := toInside(ns.uids, uint32(u))
	return ok
}

// HasGID reports whether g is mapped in ns.
func (ns *UserNamespace) HasGID(g KGID) bool {
	ns.mu.RLock()
	defer ns.mu.RUnlock()
	_, ok := toInside(ns.gids, uint32(g))
	return ok
}

// SetgroupsAllowed reports whether members may call setgroups(2).
func (ns *UserNamespace) SetgroupsAllowed() bool {
	ns.mu.RLock()
	defer ns.mu.RUnlock()
	return !ns.denySetgroups && len(ns.gids) > 0
}

// Setgroups is what /proc/PID/setgroups shows: true for "allow".
func (ns *UserNamespace) Setgroups() bool {
	ns.mu.RLock()
	defer ns.mu.RUnlock()
	return !ns.denySetgroups
}

// WriteSetgroups is a write of "allow" or "deny" to /proc/PID/setgroups by creds.
func (ns *UserNamespace) WriteSetgroups(creds *Creds, allow bool) error {
	if !creds.HasCapIn(abi.CAP_SYS_ADMIN, ns) {
		return abi.EPERM
	}
	ns.mu.Lock()
	defer ns.mu.Unlock()
	if allow {
		if ns.denySetgroups {
			return abi.EPERM
		}
		return nil
	}
	if len(ns.gids) > 0 {
		return abi.EPERM
	}
	ns.denySetgroups = true
	return nil
}

// idKind tells the two maps apart.
type idKind struct {
	setID int // the capability that allows any mapping
	gids  bool
}

// WriteUIDMap is a write of data to /proc/PID/uid_map by a task with creds.
func (ns *UserNamespace) WriteUIDMap(creds *Creds, data string) error {
	return ns.writeMap(creds, data, idKind{setID: abi.CAP_SETUID})
}

// WriteGIDMap is a write of data to /proc/PID/gid_map by a task with creds.
func (ns *UserNamespace) WriteGIDMap(creds *Creds, data string) error {
	return ns.writeMap(creds, data, idKind{setID: abi.CAP_SETGID, gids: true})
}

func (ns *UserNamespace) writeMap(creds *Creds, data string, kind idKind) error {
	ext, err := parseMap(data)
	if err != nil {
		return err
	}
	if ns.Parent == nil || creds.UserNS != ns && creds.UserNS != ns.Parent || !creds.HasCapIn(abi.CAP_SYS_ADMIN, ns) {
		return abi.EPERM
	}
	ns.mu.Lock()
	defer ns.mu.Unlock()
	dst := &ns.uids
	if kind.gids {
		dst = &ns.gids
	}
	if len(*dst) > 0 {
		return abi.EPERM // a map is written once
	}
	if !ns.mayMapLocked(creds, ext, kind) {
		return abi.EPERM
	}
	if ext, err = ns.Parent.translate(ext, kind.gids); err != nil {
		return err
	}
	*dst = ext
	return nil
}

// mayMapLocked is new_idmap_permitted: one's own id alone, or with the capability over
// the parent namespace.
func (ns *UserNamespace) mayMapLocked(creds *Creds, ext []Extent, kind idKind) bool {
	if len(ext) == 1 && ext[0].Len == 1 && ns.Owner == creds.EUID {
		if !kind.gids {
			if k, ok := ns.Parent.KUID(ext[0].LowerFirst); ok && k == creds.EUID {
				return true
			}
		} else if k, ok := ns.Parent.KGID(ext[0].LowerFirst); ok && k == creds.EGID && ns.denySetgroups {
			return true
		}
	}
	return creds.HasCapIn(kind.setID, ns.Parent)
}

// translate turns ids of ns (the parent) into the kernel's.
func (ns *UserNamespace) translate(ext []Extent, gids bool) ([]Extent, error) {
	ns.mu.RLock()
	defer ns.mu.RUnlock()
	m := ns.uids
	if gids {
		m = ns.gids
	}
	out := make([]Extent, len(ext))
	for i, e := range ext {
		first, ok := toKernel(m, e.LowerFirst)
		last, ok2 := toKernel(m, e.LowerFirst+e.Len-1)
		if !ok || !ok2 || last-first != e.Len-1 {
			return nil, abi.EPERM
		}
		out[i] = Extent{First: e.First, LowerFirst: first, Len: e.Len}
	}
	return out, nil
}

// parseMap reads the lines of a map. TRUST: data is the application's.
func parseMap(data string) ([]Extent, error) {
	if len(data) >= 4096 {
		return nil, abi.EINVAL
	}
	var out []Extent
	for line := range strings.SplitSeq(strings.TrimSuffix(data, "\n"), "\n") {
		f := strings.Fields(line)
		if len(f) != 3 {
			return nil, abi.EINVAL
		}
		var v [3]uint32
		for i, s := range f {
			n, err := strconv.ParseUint(s, 10, 32)
			if err != nil {
				return nil, abi.EINVAL
			}
			v[i] = uint32(n)
		}
		e := Extent{First: v[0], LowerFirst: v[1], Len: v[2]}
		if e.Len == 0 || e.First == NoID || e.LowerFirst == NoID || e.First+e.Len <= e.First || e.LowerFirst+e.Len <= e.LowerFirst {
			return nil, abi.EINVAL
		}
		for _, o := range out {
			if e.First < o.First+o.Len && o.First < e.First+e.Len || e.LowerFirst < o.LowerFirst+o.Len && o.LowerFirst < e.LowerFirst+e.Len {
				return nil, abi.EINVAL
			}
		}
		out = append(out, e)
		if len(out) > maxExtents {
			return nil, abi.EINVAL
		}
	}
	if len(out) == 0 {
		return nil, abi.EINVAL
	}
	return out, nil
}

// UIDMap returns the map as a reader in namespace viewer sees it (/proc/PID/uid_map).
func (ns *UserNamespace) UIDMap(viewer *UserNamespace) []Extent {
	ns.mu.RLock()
	ext := slices.Clone(ns.uids)
	ns.mu.RUnlock()
	return viewer.view(ns, ext, false)
}

// GIDMap is UIDMap for groups.
func (ns *UserNamespace) GIDMap(viewer *UserNamespace) []Extent {
	ns.mu.RLock()
	ext := slices.Clone(ns.gids)
	ns.mu.RUnlock()
	return viewer.view(ns, ext, true)
}

func (viewer *UserNamespace) view(ns *UserNamespace, ext []Extent, gids bool) []Extent {
	if viewer == ns && ns.Parent != nil {
		viewer = ns.Parent
	}
	viewer.mu.RLock()
	defer viewer.mu.RUnlock()
	m := viewer.uids
	if gids {
		m = viewer.gids
	}
	for i := range ext {
		ext[i].LowerFirst, _ = toInside(m, ext[i].LowerFirst)
	}
	return ext
}

// SetMaps sets both maps of a namespace from outside (a container's configuration). The
// lower ids are the kernel's.
func (ns *UserNamespace) SetMaps(uids, gids []Extent) {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	ns.uids, ns.gids = slices.Clone(uids), slices.Clone(gids)
}
