package hostfile

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// Kinds of streams, by what the host can be asked for.
const (
	kindOther  = iota // pipes, FIFOs, devices: preadv2 with RWF_NOWAIT, else poll first
	kindSocket        // recvmsg and sendmsg with MSG_DONTWAIT
	kindTTY           // poll first
	kindFIFO          // opened for us alone, with O_NONBLOCK
)

// ttyChunk bounds one write to a terminal that is only known to have some room: a write
// of more than there is room for would wait in the host.
const ttyChunk = 256

// stream is the open file over a host descriptor that can be polled.
type stream struct {
	fd    int
	kind  int
	watch *Watch
	queue wait.Queue
	refs  atomic.Int32 // open files

	// awaits: a FIFO that was opened for reading before somebody opened it for writing.
	awaits bool

	// The host refused RWF_NOWAIT for reading or writing.
	noWaitIn, noWaitOut atomic.Bool
}

// HostReady implements Handler.
func (s *stream) HostReady(events wait.Mask) { s.queue.Notify(events) }

// Poll implements vfs.Poller. What is not true now is armed, so that a caller who adds
// himself to the queue first misses nothing.
func (s *stream) Poll(*vfs.File) wait.Mask {
	const all = wait.In | wait.Out | wait.Pri | wait.RdHup
	got := PollNow(s.fd, all)
	if miss := all &^ got; got&(wait.Hup|wait.Err) == 0 {
		s.watch.Arm(miss)
	}
	if got&wait.In != 0 {
		got |= abi.POLLRDNORM
	}
	if got&wait.Out != 0 {
		got |= abi.POLLWRNORM
	}
	return got
}

// WaitQueue implements vfs.Poller.
func (s *stream) WaitQueue(*vfs.File) *wait.Queue { return &s.queue }

// Read implements vfs.FileOps.
func (s *stream) Read(_ *vfs.Context, _ *vfs.File, dst uio.Bufs, _ *int64) (int, error) {
	dst = trim(dst)
	want := dst.Len()
	if want == 0 {
		return 0, nil
	}
	n, err := s.read(dst)
	if n == 0 && err == nil && s.awaits && PollNow(s.fd, wait.In)&wait.Hup == 0 {
		err = abi.EAGAIN // no end: nobody has written yet
	}
	if err == abi.EAGAIN || (err == nil && n > 0 && n < want) {
		s.watch.Arm(wait.In | wait.RdHup) // an edge-triggered epoll waits for the next bytes
	}
	return n, err
}

func (s *stream) read(dst uio.Bufs) (int, error) {
	if s.kind == kindSocket {
		n, _, err := RecvMsg(s.fd, dst, unix.MSG_DONTWAIT)
		return n, err
	}
	if s.kind == kindFIFO {
		return again(func() (int, error) { return unix.Readv(s.fd, dst) })
	}
	if s.kind == kindOther && !s.noWaitIn.Load() {
		n, err := again(func() (int, error) { return unix.Preadv2(s.fd, dst, -1, unix.RWF_NOWAIT) })
		if err != abi.EOPNOTSUPP {
			return n, err
		}
		s.noWaitIn.Store(true)
	}
	// Linux difference: if another process that shares the description takes the bytes
	// between the two calls, the read waits in the host.
	if PollNow(s.fd, wait.In) == 0 {
		return 0, abi.EAGAIN
	}
	return again(func() (int, error) { return unix.Readv(s.fd, dst) })
}

// Write implements vfs.FileOps.
func (s *stream) Write(_ *vfs.Context, _ *vfs.File, src uio.Bufs, _ *int64) (int, error) {
	src = trim(src)
	want := src.Len()
	if want == 0 {
		return 0, nil
	}
	n, err := s.write(src, want)
	if err == abi.EAGAIN || (err == nil && n < want) {
		s.watch.Arm(wait.Out)
	}
	return n, err
}

func (s *stream) write(src uio.Bufs, want int) (int, error) {
	if s.kind == kindSocket {
		return SendMsg(s.fd, src, unix.MSG_DONTWAIT)
	}
	if s.kind == kindFIFO {
		return again(func() (int, error) { return unix.Writev(s.fd, src) })
	}
	if s.kind == kindOther && !s.noWaitOut.Load() {
		n, err := again(func() (int, error) { return unix.Pwritev2(s.fd, src, -1, unix.RWF_NOWAIT) })
		if err != abi.EOPNOTSUPP {
			return n, err
		}
		s.noWaitOut.Store(true)
	}
	done := 0
	for done < want {
		got := PollNow(s.fd, wait.Out)
		if got == 0 {
			break
		}
		part := src.Skip(done).Take(s.chunk())
		n, err := again(func() (int, error) { return unix.Writev(s.fd, part) })
		if err != nil {
			if done > 0 {
				break
			}
			return 0, err
		}
		done += n
	}
	if done == 0 {
		return 0, abi.EAGAIN
	}
	return done, nil
}

// chunk is how much may be written after the host said that there is room: a pipe then
// takes PIPE_BUF bytes.
func (s *stream) chunk() int {
	if s.kind == kindTTY {
		return ttyChunk
	}
	return abi.PageSize
}

// Release implements vfs.FileOps.
func (s *stream) Release(*vfs.File) {
	if s.refs.Add(-1) != 0 {
		return
	}
	s.watch.Close()
	unix.Close(s.fd)
}

// Ioctl implements vfs.Ioctler.
func (s *stream) Ioctl(_ *vfs.Context, _ *vfs.File, cmd uint32, arg uint64, mem uio.Memory) (uint64, error) {
	return hostIoctl(s.fd, s.kind == kindTTY, cmd, abi.Addr(arg), mem)
}
