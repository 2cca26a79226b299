package syscalls

import (
	"lazaret/sentry/mm"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// mayBegin checks that the file is open for the transfer, which comes before a look at
// the addresses.
func (x *transfer) mayBegin() error {
	need := uint32(vfs.ModeRead)
	if x.write {
		need = vfs.ModeWrite
	}
	switch {
	case x.f.Mode&vfs.ModePath != 0:
		return abi.EBADF
	case x.off >= 0 && x.f.Mode&vfs.ModeStream != 0:
		return abi.ESPIPE
	case x.f.Mode&need == 0:
		return abi.EBADF
	}
	return nil
}

// blank stands for memory that a file does not look at.
var blank [64 << 10]byte

func nothing(n int) uio.Bufs {
	var v uio.Bufs
	for ; n > 0; n -= len(blank) {
		v = append(v, blank[:min(n, len(blank))])
	}
	return v
}

// pinned pins want bytes of iovs. Where a part cannot be accessed the kind of file decides
// how far the transfer goes: to the very byte for those with offsets; a stream takes and
// gives whole blocks, of which one that faults stays behind.
func (x *transfer) pinned(iovs []mm.IOVec, want int) (uio.Bufs, error) {
	if err := x.t.MM().PinInto(&x.pin, iovs, !x.write, want); err != nil && want > 0 {
		return nil, x.fault(err)
	}
	bufs := x.pin.Bufs
	n := bufs.Len()
	if n == want || x.f.Mode&vfs.ModeStream == 0 {
		return bufs, nil
	}
	if !x.write {
		if q, ok := x.f.Ops.(vfs.Queuer); !ok || q.Queued() <= n {
			return bufs, nil
		}
	}
	if n &^= abi.PageMask; n == 0 {
		return nil, x.fault(abi.EFAULT)
	}
	return bufs.Take(n), nil
}

// fault returns what comes of a transfer whose first byte cannot be accessed: a read that
// has nothing to give does not notice. nil: that is the end of the file.
func (x *transfer) fault(err error) error {
	if x.write || err != abi.EFAULT {
		return err
	}
	if x.f.Mode&vfs.ModeStream != 0 {
		if x.f.NonBlocking() && x.f.Poll()&(wait.In|wait.Hup|wait.Err|wait.RdHup) == 0 {
			return abi.EAGAIN
		}
		return err
	}
	off := x.off
	if off < 0 {
		off = x.f.Pos()
	}
	var one [1]byte
	n, rerr := x.f.ReadAt(x.t.Ctx(), uio.One(one[:]), off)
	if rerr != nil {
		return rerr
	}
	if n == 0 {
		return nil
	}
	return err
}
