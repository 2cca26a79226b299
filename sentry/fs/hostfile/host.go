package hostfile

import (
	"errors"

	"golang.org/x/sys/unix"

	"lazaret/sentry/uio"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// hostErr translates an error of a host call. Linux on both sides: numbers agree.
func hostErr(err error) error {
	if err == nil {
		return nil
	}
	var e unix.Errno
	if errors.As(err, &e) {
		return abi.Errno(e)
	}
	return abi.EIO
}

// maxBlocks is the host's UIO_MAXIOV.
const maxBlocks = 1024

func trim(v uio.Bufs) uio.Bufs {
	if len(v) > maxBlocks {
		return v[:maxBlocks]
	}
	return v
}

// again calls a host function until a signal of the Go runtime does not disturb it.
func again(f func() (int, error)) (int, error) {
	for {
		n, err := f()
		if err == nil {
			return n, nil
		}
		if err != unix.EINTR {
			return 0, hostErr(err) // not n, which is -1: callers add up
		}
	}
}

// PollNow returns which of events are true on fd now.
func PollNow(fd int, events wait.Mask) wait.Mask {
	p := []unix.PollFd{{Fd: int32(fd), Events: int16(events)}}
	zero := unix.Timespec{}
	for {
		n, err := unix.Ppoll(p, &zero, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return 0
		}
		return wait.Mask(uint16(p[0].Revents)) &^ abi.POLLNVAL
	}
}
