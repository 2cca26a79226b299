// Package vfs is the virtual file system: dentries, mounts, open files, descriptor
// tables and the one path walk of the kernel.
//
// A file system is an Inode type with a few operations (Inode, and where it applies
// Directory, Symlink, Xattrs) and FileOps types for what it opens. Everything else is
// here and the same for all: the dentry cache (also of names that do not exist),
// permission checks, symlinks, mounts, read-only mounts, offsets, locks, rename order.
// An inode type should embed InodeState and implement Perms: both save work in walks.
//
// The kernel and the system calls use it through Context and Path. A Path is a plain
// value. Within one operation it needs no reference: the garbage collector keeps its
// memory. Who keeps a Path longer pins it (Path.TryIncRef), which keeps its inode from
// being released and its mount from being unmounted; File and FSInfo do that themselves.
// An inode is released (Releaser) when no dentry holds it any more: its name was dropped
// from the cache or removed, and nothing pins it.
//
// The walk takes no lock: the cache's chains are read as they are, what a dentry names
// never changes, and a rename gives it a new dnode. A walk that ran into a dentry which
// was dropped from the cache at that moment begins again.
//
// Neighbours: memfile (what can be mapped), wait (readiness), uio (buffers), auth.
//
// Lock order (outer first): rename lock of the super block, inode lock (InodeState.mu)
// of the parent directory, inode lock of the child (two directories: ancestor first,
// then by dentry number), locks of the file system; mount lock (mounts.mu), dentry cache
// lock; mark lists, inotify instances. A File's offset lock comes above inode locks. The
// descriptor table lock and wait queues are leaves.
package vfs
