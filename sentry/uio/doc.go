// Package uio holds the views of application memory that I/O works on.
//
// Bufs is a list of byte blocks. For a read or a write the kernel pins the pages that
// the application named and passes the blocks to the file: there is no copy in between,
// and touching a block neither blocks nor faults, so that a file may do it under its own
// locks. The bytes belong to the application, which may change them at any moment: a
// parser copies what it checks.
//
// Memory is the other way in, for structures at addresses: ioctl arguments and the like.
package uio
