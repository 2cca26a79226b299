package vfs

import (
	"strings"
	"sync/atomic"

	"lazaret/syscalls/abi"
)

// Dentry is a name in a directory and what it names, as the VFS remembers it. What it
// names never changes: a name that is made, removed or replaced gets a new dentry, and a
// rename gives a dentry a new dnode. So readers need no lock.
//
// A dentry is kept by the cache while it is hashed, and by pins (IncRef) of those who
// hold it across system calls: open files, working directories, mounts. Holding a
// pointer without a pin is safe, but the inode may be released meanwhile.
type Dentry struct {
	super *Super
	inode Inode       // nil: the name does not exist
	state *InodeState // of inode
	typ   uint32      // S_IFMT bits of inode

	node     atomic.Pointer[dnode] // current name and parent
	refs     atomic.Int32          // pins; negative: dead
	flags    atomic.Uint32         // d* bits
	mounted  atomic.Int32          // mounts on this dentry, in any namespace
	children atomic.Int32          // hashed children
	id       uint64                // for hashing; never used again

	self dnode // the first node, to save an allocation
}

// dnode is a place of a dentry in the cache; parent and name of a node do not change.
type dnode struct {
	d      *Dentry
	parent *Dentry // nil: root of a super block, or without a name
	name   string
	hash   uint64
	next   atomic.Pointer[dnode]
	hashed atomic.Bool
}

// Flags of a dentry.
const (
	dUsed        = 1 << iota // looked up since the clock hand passed
	dDeleted                 // the name was removed
	dRevalidate              // a Directory that is a Revalidator
	dCheapMisses             // a Directory whose misses are cheap (CheapMisser)
	dPermitter               // the inode is a Permitter
	dWatched                 // an inotify mark was put on the inode through it: stays cached
	dLinkable                // O_TMPFILE without O_EXCL: linkat(2) may give it a name
)

// deadRefs is added to refs when a dentry or mount dies.
const deadRefs = -1 << 30

var lastDentry atomic.Uint64

func newDentry(parent *Dentry, name string) *Dentry {
	d := &Dentry{super: parent.super, id: lastDentry.Add(1)}
	d.self = dnode{d: d, parent: parent, name: strings.Clone(name)}
	d.node.Store(&d.self)
	return d
}

// instantiate makes a new dentry name inode.
func (d *Dentry) instantiate(ctx *Context, inode Inode) error {
	mode, _, _, err := perms(ctx, inode)
	if err != nil {
		return err
	}
	d.inode = inode
	d.typ = mode & abi.S_IFMT
	var fl uint32
	if d.typ == abi.S_IFDIR {
		if _, ok := inode.(Revalidator); ok {
			fl |= dRevalidate
		}
		if c, ok := inode.(CheapMisser); ok && c.CheapMisses() {
			fl |= dCheapMisses
		}
	}
	if _, ok := inode.(Permitter); ok {
		fl |= dPermitter
	}
	d.flags.Store(fl)
	d.state = d.super.stateOf(inode)
	return nil
}

// Inode returns what d names, nil when that does not exist.
func (d *Dentry) Inode() Inode { return d.inode }

// Super returns the file system instance.
func (d *Dentry) Super() *Super { return d.super }

// Name returns the last component of d's name, "/" for a root.
func (d *Dentry) Name() string { return d.node.Load().name }

// Parent returns the directory of d; nil for a root or a file without a name.
func (d *Dentry) Parent() *Dentry { return d.node.Load().parent }

// Type returns the S_IFMT bits.
func (d *Dentry) Type() uint32 { return d.typ }

// IsDir reports whether d is a directory.
func (d *Dentry) IsDir() bool { return d.typ == abi.S_IFDIR }

// Deleted reports whether d's name was removed.
func (d *Dentry) Deleted() bool { return d.flags.Load()&dDeleted != 0 }

// TryIncRef pins d; false if it is dead.
func (d *Dentry) TryIncRef() bool {
	for {
		r := d.refs.Load()
		if r < 0 {
			return false
		}
		if d.refs.CompareAndSwap(r, r+1) {
			return true
		}
	}
}

// IncRef adds a pin to a pinned dentry.
func (d *Dentry) IncRef() { d.refs.Add(1) }

// DecRef drops a pin.
func (d *Dentry) DecRef() {
	if d.refs.Add(-1) != 0 {
		return
	}
	if n := d.node.Load(); !n.hashed.Load() {
		d.kill()
	} else if d.super.Unkept && n.parent != nil {
		d.super.cache.drop(d)
	}
}

// kill releases an unhashed dentry that is not pinned.
func (d *Dentry) kill() bool {
	if !d.refs.CompareAndSwap(0, deadRefs) {
		return false
	}
	if d.inode != nil {
		d.super.putState(d.inode, d.state)
	}
	return true
}

// setFlag sets a flag bit.
func (d *Dentry) setFlag(f uint32) {
	if d.flags.Load()&f == 0 {
		d.flags.Or(f)
	}
}

// dir returns the inode as a Directory.
func (d *Dentry) dir() (Directory, error) {
	if d.typ == abi.S_IFDIR {
		if dir, ok := d.inode.(Directory); ok {
			return dir, nil
		}
	}
	return nil, abi.ENOTDIR
}

// isAncestor reports whether a is d or an ancestor of d in the same super block.
func isAncestor(a, d *Dentry) bool {
	for ; d != nil; d = d.Parent() {
		if d == a {
			return true
		}
	}
	return false
}
