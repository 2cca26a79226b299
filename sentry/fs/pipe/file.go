package pipe

import (
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// end is an open end of a pipe.
type end struct {
	pipe *Pipe
	mode uint32
	seen uint64 // Pipe.writerOpens when a FIFO was opened for reading without a writer
}

// Of returns the pipe behind f, nil if f is not a pipe or FIFO.
func Of(f *vfs.File) *Pipe {
	if e, ok := f.Ops.(*end); ok {
		return e.pipe
	}
	return nil
}

// Read implements vfs.FileOps.
func (e *end) Read(_ *vfs.Context, _ *vfs.File, dst uio.Bufs, _ *int64) (int, error) {
	return e.pipe.Read(dst)
}

// Write implements vfs.FileOps.
func (e *end) Write(ctx *vfs.Context, f *vfs.File, src uio.Bufs, _ *int64) (int, error) {
	return e.pipe.Write(ctx, src, packetMode(f))
}

// packetMode reports O_DIRECT, which F_SETFL may change.
func packetMode(f *vfs.File) bool { return f.Flags()&abi.O_DIRECT != 0 }

// Poll implements vfs.Poller.
func (e *end) Poll(*vfs.File) wait.Mask { return e.pipe.poll(e.mode, e.seen) }

// WaitQueue implements vfs.Poller.
func (e *end) WaitQueue(*vfs.File) *wait.Queue {
	switch e.mode {
	case vfs.ModeRead:
		return &e.pipe.readQueue
	case vfs.ModeWrite:
		return &e.pipe.writeQueue
	}
	return &e.pipe.bothQueue
}

// Queued implements vfs.Queuer.
func (e *end) Queued() int { return e.pipe.Queued() }

// Release implements vfs.FileOps.
func (e *end) Release(*vfs.File) { e.pipe.dropEnds(e.mode) }

// Ioctl implements vfs.Ioctler.
func (e *end) Ioctl(_ *vfs.Context, _ *vfs.File, cmd uint32, arg uint64, mem uio.Memory) (uint64, error) {
	if cmd != abi.FIONREAD {
		return 0, abi.ENOTTY
	}
	n := e.pipe.Queued()
	return 0, mem.CopyOut(abi.Addr(arg), []byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)})
}
