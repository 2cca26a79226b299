// Package tmpfs is the file system in memory (tmpfs(5)), and memfds, which are its files
// without names.
//
// File contents are pages of the sandbox's memory file, charged to whoever first writes
// them, and mapped into applications as they are. Names and attributes are Go objects,
// bounded by nr_inodes.
//
// Neighbours: vfs (whose Inode types it implements), memfile (pages).
//
// Lock order: node.mu, then data.mu; both are leaves below the VFS's inode locks. No
// lock is held while a Mapper is told to invalidate.
package tmpfs
