// Package pseudo is what the file systems without contents of their own share (proc,
// sysfs, cgroupfs): inodes, trees made from tables, and open files whose text is made
// when they are read.
//
// Entry is one line of a table; New Tree makes directories from its paths. Anything that
// is not static (the processes in /proc) embeds Inode and brings its own Lookup.
//
// Tables are package-level data: an inode points to its line and holds no function of
// its own. Text lives in the open file from the first read to the end of the file, in
// pieces of at most ChunkBytes, and is charged to the reader's account meanwhile.
//
// Neighbours: vfs. Lock order: Seq.mu is taken below the inode lock, above whatever a
// Show function takes.
package pseudo
