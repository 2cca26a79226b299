package kernel

// NewInode returns an inode number for a namespace that is made outside of this package.
func (k *Kernel) NewInode() uint64 { return k.nsInode.Add(1) }

// Copy returns the same set with references of its own, for a further process that enters
// from outside.
func (n *Namespaces) Copy() *Namespaces { return n.copy() }

// Share returns the namespace for another container.
func (n *UTSNamespace) Share() *UTSNamespace {
	n.refs.Add(1)
	return n
}

// Share returns the namespace for another container.
func (n *IPCNamespace) Share() *IPCNamespace {
	n.refs.Add(1)
	return n
}
