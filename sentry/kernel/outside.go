package kernel

// NewInode returns an inode number for a namespace that is made outside of this package.
func (k *Kernel) NewInode() uint64 { return k.nsInode.Add(1) }

// Copy returns the same set with references of its own, for a further process that enters
// from outside.
func (n *Namespaces) Copy() *Namespaces { return n.copy() }
