// Package overlay merges a writable upper tree over read-only lower trees, as Linux's
// overlayfs does: whiteouts hide lower names, opaque directories hide lower contents,
// and the first change of a lower file copies it up.
//
// An overlay inode holds the inodes it is made of, and passes what it can straight to
// them: for a file that was not copied up, attributes, reads and mappings are the lower
// file system's own. A file opened for reading before it is copied up goes on reading
// the lower one, as on Linux. Hard links of lower files stay together when one is copied
// up (Linux: index=on), and inode numbers do not change (the table of origins is kept in
// memory, so both need an upper tree that is in memory as well). Renaming a directory
// with a lower part gives EXDEV, which callers answer by copying.
//
// Neighbours: vfs, which calls this and whose inodes it calls.
//
// Lock order: VFS inode lock, node.mu of a file, node.mu of its directory and so on
// upwards, FS.mu, locks of the upper file system.
package overlay
