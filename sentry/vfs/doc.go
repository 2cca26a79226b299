// Package vfs is the virtual file system: dentries, mounts, open files, descriptor
// tables and the one path walk of the kernel.
//
// A file system is an Inode type with a few operations (Inode, and where it applies
// Directory, Symlink, Xattrs) and FileOps types for what it opens. Everything else is
// here and the same for all: the dentry cache (also of names that do not exist),
// permission checks, symlinks, mounts, read-only mounts, offsets, locks, rename order.
//
// Neighbours: memfile (what can be mapped), wait (readiness), uio (buffers), auth.
// The kernel and the system calls use it through Context and Path.
//
// Lock order (outer first): rename lock of the super block, mount lock, inode lock of
// the parent directory, inode lock of the child (two directories: ancestor first, then
// by address), dentry lock, File offset lock, descriptor table lock. File system locks
// come below inode locks; wait queues are leaves.
package vfs
