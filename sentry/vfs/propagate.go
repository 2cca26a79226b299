package vfs

import (
	"slices"
	"sync/atomic"

	"lazaret/sentry/memfile"
	"lazaret/syscalls/abi"
)

// peerGroup is a set of mounts that propagate to each other (mount_namespaces(7)), and
// the mounts that only receive from it. All of it is guarded by mounts.mu.
type peerGroup struct {
	id      uint64
	members []*Mount
	slaves  []*Mount
}

var lastGroup atomic.Uint64

func removeMount(list []*Mount, m *Mount) []*Mount {
	if i := slices.Index(list, m); i >= 0 {
		return slices.Delete(list, i, i+1)
	}
	return list
}

func makeSharedLocked(m *Mount) {
	m.unbindable = false
	if m.group == nil {
		joinLocked(m, &peerGroup{id: lastGroup.Add(1)})
	}
}

func joinLocked(m *Mount, g *peerGroup) {
	m.group = g
	g.members = append(g.members, m)
}

func setMasterLocked(m *Mount, g *peerGroup) {
	if m.master != nil {
		m.master.slaves = removeMount(m.master.slaves, m)
	}
	m.master = g
	if g != nil {
		g.slaves = append(g.slaves, m)
	}
}

// leaveSharedLocked takes m out of its group. Slaves of a group that ends become slaves
// of m's master.
func leaveSharedLocked(m *Mount) {
	g := m.group
	if g == nil {
		return
	}
	m.group = nil
	g.members = removeMount(g.members, m)
	if len(g.members) == 0 {
		for _, s := range slices.Clone(g.slaves) {
			setMasterLocked(s, m.master)
		}
	}
}

func leaveGroupsLocked(m *Mount) {
	leaveSharedLocked(m)
	setMasterLocked(m, nil)
}

func makeSlaveLocked(m *Mount) {
	m.unbindable = false
	g := m.group
	if g == nil {
		return
	}
	leaveSharedLocked(m)
	if len(g.members) > 0 {
		setMasterLocked(m, g)
	}
}

// setPropagationLocked changes the propagation type of one mount.
func setPropagationLocked(m *Mount, typ uint32) {
	switch typ {
	case abi.MS_SHARED:
		makeSharedLocked(m)
	case abi.MS_SLAVE:
		makeSlaveLocked(m)
	default:
		leaveGroupsLocked(m)
		m.unbindable = typ == abi.MS_UNBINDABLE
	}
}

// How a clone relates to what it is cloned from.
const (
	cloneBind    = iota // a bind mount: peer if shared, slave if slave
	clonePrivate        // no relation
	cloneSlave          // slave of the original's group
	cloneSlaveShared
)

// cloneLocked returns a copy of m with root as its root, not attached, which acct pays for.
func cloneLocked(acct *memfile.Account, m *Mount, root *Dentry, how int) (*Mount, error) {
	c, err := newMount(acct, root, m.Source, m.flags.Load(), m.userns)
	if err != nil {
		return nil, err
	}
	c.lockFlags = m.lockFlags
	switch how {
	case cloneBind:
		if m.group != nil {
			joinLocked(c, m.group)
		}
		if m.master != nil {
			setMasterLocked(c, m.master)
		}
	case cloneSlave, cloneSlaveShared:
		if m.group != nil {
			setMasterLocked(c, m.group)
		} else if m.master != nil {
			setMasterLocked(c, m.master)
		}
		if how == cloneSlaveShared {
			joinLocked(c, &peerGroup{id: lastGroup.Add(1)})
		}
	}
	return c, nil
}

// cloneTreeLocked copies the mounts at and below root. Mounts that skip says are left
// out with all below them.
func cloneTreeLocked(acct *memfile.Account, m *Mount, root *Dentry, how int, skip func(*Mount) bool, pairs map[*Mount]*Mount) (*Mount, error) {
	c, err := cloneLocked(acct, m, root, how)
	if err != nil {
		return nil, err
	}
	if pairs != nil {
		pairs[m] = c
	}
	for _, child := range m.children {
		place := child.place()
		if !isAncestor(root, place.Dentry) || skip != nil && skip(child) {
			continue
		}
		cc, err := cloneTreeLocked(acct, child, child.root, how, skip, pairs)
		if err != nil {
			dropMounts(umountTreeLocked(c, nil))
			return nil, err
		}
		cc.locked = child.locked
		attachLocked(cc, Path{c, place.Dentry})
	}
	return c, nil
}

// target is a mount to which an event on another propagates.
type target struct {
	m    *Mount
	from *Mount // the target or origin whose copy this one's copy is made of
	how  int
}

// targetsLocked returns where an event on m propagates to, in an order in which from
// comes before those that name it.
func targetsLocked(m *Mount) []target {
	var out []target
	seen := map[*peerGroup]bool{}
	type item struct {
		g    *peerGroup
		from *Mount
	}
	if m.group == nil {
		return nil
	}
	queue := []item{{m.group, m}}
	seen[m.group] = true
	for len(queue) > 0 {
		it := queue[0]
		queue = queue[1:]
		for _, p := range it.g.members {
			if p != it.from {
				out = append(out, target{p, it.from, cloneBind})
			}
		}
		for _, s := range it.g.slaves {
			switch {
			case s.group == nil:
				out = append(out, target{s, it.from, cloneSlave})
			case !seen[s.group]:
				seen[s.group] = true
				out = append(out, target{s, it.from, cloneSlaveShared})
				queue = append(queue, item{s.group, s})
			}
		}
	}
	return out
}

// propagateLocked attaches the tree src at p and copies of it at the places that p's
// mount propagates to.
func propagateLocked(src *Mount, p Path) error {
	ns := p.Mount.ns.Load()
	size := treeSizeLocked(src)
	if ns != nil && ns.count+size > MountLimit {
		return abi.ENOSPC
	}
	if p.Mount.group != nil {
		eachLocked(src, makeSharedLocked)
	}
	copies := map[*Mount]*Mount{p.Mount: src}
	for _, t := range targetsLocked(p.Mount) {
		if t.m.super != p.Mount.super || !isAncestor(t.m.root, p.Dentry) {
			continue
		}
		from := copies[t.from]
		if from == nil {
			from = src
		}
		tns := t.m.ns.Load()
		if tns != nil && tns.count+size > MountLimit {
			continue
		}
		c, err := cloneTreeLocked(src.acct, from, from.root, t.how, nil, nil)
		if err != nil {
			continue
		}
		copies[t.m] = c
		setNSLocked(c, tns)
		c.locked = ns != nil && tns != nil && tns.UserNS != ns.UserNS
		attachLocked(c, Path{t.m, p.Dentry})
		if tns != nil {
			tns.changed()
		}
	}
	setNSLocked(src, ns)
	attachLocked(src, p)
	if ns != nil {
		ns.changed()
	}
	return nil
}

// propagateUmountLocked takes down the copies of m that are where m's parent propagates
// to, unless something is mounted on them.
func propagateUmountLocked(m *Mount, list []*Mount) []*Mount {
	p := m.place()
	if p.Mount == nil {
		return list
	}
	for _, t := range targetsLocked(p.Mount) {
		c := mounts.at[Path{t.m, p.Dentry}]
		if c == nil || c == m || len(c.children) > 0 || c.root != m.root {
			continue
		}
		ns := c.ns.Load()
		list = umountTreeLocked(c, list)
		if ns != nil {
			ns.changed()
		}
	}
	return list
}
