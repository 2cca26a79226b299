// Package gofer is the file system of files that a Gofer process serves: container roots
// and bind mounts. It speaks gofer/proto.
//
// A round trip to the Gofer is dear, so little is asked twice:
//
//   - A directory that is listed, or looked into a few times, is fetched whole, with the
//     attributes of its entries; later lookups in it, of names that do not exist too, cost
//     nothing. Entries become proto.Files only when something needs one.
//   - Who lists a directory in one that it listed before gets those in it and after it along
//     (ahead.go), with attributes while somebody looks at them. Who reads the files of a
//     directory that it listed gets descriptors of the next ones along (openahead.go).
//   - A regular file's host descriptor is donated once, and kept for a while after the last
//     close; reads, writes and mappings go to it directly.
//   - Attributes are remembered; those of a file that is open come from fstat(2) on its
//     descriptor.
//
// In a tree that nobody else changes (exclusive) all this is trusted for good, and if it is
// read-only its files are memfile.Constant: what the Sentry reads through private mappings of
// them may be remembered, what applications read comes from the host each time. In a shared
// tree it is trusted while the Gofer says that it watches the directory (FlagWatched), and
// dropped when an event arrives: what the host changes is seen inside when its event has come,
// some milliseconds later. The Gofer watches first and reads then. What an answer says is not
// trusted if an event came between the question and the answer (moment, eventCount), nor if
// the end of a watch did. Never trusted are the attributes of files with several names: who
// changes one under a name in a directory that is not watched is not reported. Not reported
// either are writes through a mapping on the host, and a second name that is made in a
// directory where nobody looks: the link count is seen when somebody does.
//
// With UseHost (--host-uds) FIFOs and Unix sockets of the host are what they are there: the
// Gofer opens, connects and makes them (connect.go), sentry/fs/hostfile and sentry/socket/unix use the
// descriptors. Otherwise they are the sandbox's own.
//
// Host calls: preadv, pwritev2, fstat, ftruncate, fsync, fdatasync, fallocate and close on donated
// descriptors.
//
// Lock order: fileSystem.mu, then inode.mu, and neither is held across a request;
// inode.fdMu is held while a descriptor is fetched, and is taken before them.
package gofer
