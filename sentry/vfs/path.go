package vfs

import "lazaret/syscalls/abi"

// Path is a dentry seen through a mount: a place in the tree of a mount namespace.
//
// A Path is a plain value. Within one operation it needs no reference; who keeps one
// across operations pins it (TryIncRef or IncRef, then DecRef), which keeps the dentry's
// inode and makes its mount busy.
type Path struct {
	Mount  *Mount
	Dentry *Dentry
}

// OK reports whether p leads anywhere.
func (p Path) OK() bool { return p.Dentry != nil }

// Inode returns the inode at p.
func (p Path) Inode() Inode { return p.Dentry.inode }

// TryIncRef pins p; false if it has gone meanwhile.
func (p Path) TryIncRef() bool {
	if p.Mount != nil && !p.Mount.tryIncRef() {
		return false
	}
	if !p.Dentry.TryIncRef() {
		if p.Mount != nil {
			p.Mount.decRef()
		}
		return false
	}
	return true
}

// IncRef adds a pin to a pinned path.
func (p Path) IncRef() {
	if p.Dentry == nil {
		return
	}
	if p.Mount != nil {
		p.Mount.refs.Add(1)
	}
	p.Dentry.IncRef()
}

// DecRef drops a pin.
func (p Path) DecRef() {
	if p.Dentry == nil {
		return
	}
	p.Dentry.DecRef()
	if p.Mount != nil {
		p.Mount.decRef()
	}
}

// PathNamer is an Inode without a place in any tree that has a name for /proc/PID/fd
// and the like, such as "pipe:[7]".
type PathNamer interface {
	PathName() string
}

// PathString returns the name of p as seen from root, and whether p is below root
// (getcwd(2) puts "(unreachable)" before others). A removed file has " (deleted)" after
// its name.
func PathString(root, p Path) (name string, reachable bool) {
	return pathString(root, p, true)
}

// PathRaw is PathString without "(deleted)".
func PathRaw(root, p Path) (name string, reachable bool) {
	return pathString(root, p, false)
}

func pathString(root, p Path, mark bool) (string, bool) {
	if p.Dentry == nil {
		return "", false
	}
	if p.Dentry.super.Kernel {
		if n, ok := p.Dentry.inode.(PathNamer); ok {
			return n.PathName(), true
		}
		if p.Dentry.Parent() == nil {
			return p.Dentry.Name(), true
		}
	}
	var buf [512]byte
	b := buf[:]
	i := len(b)
	put := func(s string) {
		if i < len(s)+1 {
			n := make([]byte, 2*len(b)+len(s))
			i += len(n) - len(b)
			copy(n[i:], b[i-(len(n)-len(b)):])
			b = n
		}
		i -= len(s)
		copy(b[i:], s)
	}
	if mark && p.Dentry.Deleted() {
		put(" (deleted)")
	}
	reachable, empty := true, true
	m, d := p.Mount, p.Dentry
	for !(d == root.Dentry && m == root.Mount) {
		if m != nil && d == m.root {
			parent := m.place()
			if parent.Mount == nil {
				reachable = root.Dentry == nil
				break
			}
			m, d = parent.Mount, parent.Dentry
			continue
		}
		n := d.node.Load()
		if n.parent == nil {
			reachable = root.Dentry == nil
			break
		}
		put(n.name)
		put("/")
		empty = false
		d = n.parent
	}
	if empty {
		put("/")
	}
	return string(b[i:]), reachable
}

// Getcwd returns the working directory's name for getcwd(2): ENOENT when it was removed.
func Getcwd(ctx *Context) (string, error) {
	cwd := ctx.FS.Cwd()
	if cwd.Dentry.Deleted() {
		return "", abi.ENOENT
	}
	s, ok := PathRaw(ctx.FS.Root(), cwd)
	if !ok {
		return "(unreachable)" + s, nil
	}
	return s, nil
}
