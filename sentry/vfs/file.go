package vfs

import (
	"sync"
	"sync/atomic"

	"lazaret/sentry/auth"
)

// Mode bits of an open file.
const (
	ModeRead   = 1 << iota // opened for reading
	ModeWrite              // opened for writing
	ModeStream             // no position: lseek, pread and pwrite give ESPIPE
	ModePath               // O_PATH: no I/O
	ModeDir                // a directory
)

// File is an open file description (open(2)): what descriptors refer to.
type File struct {
	refs atomic.Int64

	Path  Path        // where it was opened; files without a name have a dentry of their own
	Inode Inode       // Path.Dentry's inode at open
	Ops   FileOps     // nil for O_PATH
	Mode  uint32      // Mode* bits, fixed after open
	Creds *auth.Creds // of the opener

	flags atomic.Uint32 // O_APPEND, O_NONBLOCK and other status flags

	posMu sync.Mutex // serializes users of pos, as f_pos_lock
	pos   int64

	owner fileOwner // F_SETOWN and F_SETSIG
}
