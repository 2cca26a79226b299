package vfs

import (
	"lazaret/sentry/memfile"
	"lazaret/sentry/uio"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// FileOps are what an open file does. None of them sleeps for readiness: Read and Write
// of something that is not ready return abi.EAGAIN, and the caller waits with Poller
// and tries again unless the file is O_NONBLOCK.
type FileOps interface {
	// Read reads into dst at *pos and advances *pos. 0 bytes is the end. Streams (files
	// whose File.Mode has ModeStream) ignore pos.
	Read(ctx *Context, f *File, dst uio.Bufs, pos *int64) (int, error)

	// Write writes src at *pos, or at the end if f is O_APPEND, and advances *pos.
	Write(ctx *Context, f *File, src uio.Bufs, pos *int64) (int, error)

	// Release is called once, when the last reference to f goes.
	Release(f *File)
}

// Poller is a file whose readiness changes. Files that are not Pollers are always ready
// for In and Out.
type Poller interface {
	// Poll returns the events that are true now.
	Poll(f *File) wait.Mask
	// WaitQueue is notified when events may have become true.
	WaitQueue(f *File) *wait.Queue
}

// DirReader is an open directory.
type DirReader interface {
	// ReadDir calls emit for the entries from position *pos on, setting *pos to the
	// position after each entry that emit accepted, until emit returns false. The VFS
	// does not add "." and "..": the file system emits them.
	ReadDir(ctx *Context, f *File, pos *int64, emit func(*Dirent) bool) error
}

// Dirent is one name in a directory.
type Dirent struct {
	Name string
	Ino  uint64
	Type uint8 // DT_*: the file type bits >> 12
	Next int64 // position after this entry (d_off)
}

// Seeker is a file with a seek of its own (directories, /proc files). Others get the
// ordinary one: a byte offset, SEEK_END by Attr's size.
type Seeker interface {
	Seek(ctx *Context, f *File, off int64, whence int) (int64, error)
}

// HoleSeeker is a file with the ordinary seek that knows its holes: SeekHole is
// lseek(2) with SEEK_DATA or SEEK_HOLE.
type HoleSeeker interface {
	SeekHole(off int64, whence int) (int64, error)
}

// Ioctler is a file with ioctls of its own.
type Ioctler interface {
	// Ioctl returns abi.ENOTTY for requests that it does not know.
	Ioctl(ctx *Context, f *File, cmd uint32, arg uint64, mem uio.Memory) (uint64, error)
}

// Mapper is a file that can be mapped.
type Mapper interface {
	// Mmap returns the memory object. prot and flags are mmap(2)'s; EACCES and ENODEV
	// are the usual refusals, rights of f are checked by the caller.
	Mmap(ctx *Context, f *File, prot, flags uint32) (memfile.Mappable, error)
}

// Syncer is a file with something to write back (fsync(2), fdatasync(2)).
type Syncer interface {
	Sync(ctx *Context, f *File, dataOnly bool) error
}

// Allocator is a file that implements fallocate(2).
type Allocator interface {
	Allocate(ctx *Context, f *File, mode uint32, off, n int64) error
}

// Blind is a file that reads or writes without touching the memory (/dev/null): that it
// cannot be accessed is no error then.
type Blind interface {
	BlindRead() bool
	BlindWrite() bool
}

// Queuer is a stream that knows how many bytes can be read now.
type Queuer interface {
	Queued() int
}

// Flusher is a file that acts on each close(2) of a descriptor, not only on the last.
type Flusher interface {
	Flush(ctx *Context, f *File) error
}

// StatFSer is a Super's file system that knows its size; see Super.
type StatFSer interface {
	StatFS(ctx *Context) (abi.Statfs, error)
}
