package syscalls

import (
	"sync"
	"time"

	"lazaret/sentry/kernel"
	"lazaret/sentry/mm"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

var rwRows = []Row{
	full(abi.SYS_READ, "read", Read, FD, Buf, Hex),
	full(abi.SYS_WRITE, "write", Write, FD, Buf, Hex),
	full(abi.SYS_PREAD64, "pread64", Pread64, FD, Buf, Hex, Int),
	full(abi.SYS_PWRITE64, "pwrite64", Pwrite64, FD, Buf, Hex, Int),
	full(abi.SYS_READV, "readv", Readv, FD, Buf, Int),
	full(abi.SYS_WRITEV, "writev", Writev, FD, Buf, Int),
	full(abi.SYS_PREADV, "preadv", Preadv, FD, Buf, Int, Int),
	full(abi.SYS_PWRITEV, "pwritev", Pwritev, FD, Buf, Int, Int),
	full(abi.SYS_PREADV2, "preadv2", Preadv2, FD, Buf, Int, Int, Int, Hex),
	full(abi.SYS_PWRITEV2, "pwritev2", Pwritev2, FD, Buf, Int, Int, Int, Hex),
	full(abi.SYS_LSEEK, "lseek", Lseek, FD, Int, Int),
}

const (
	// maxRW is the most that one read or write transfers (read(2): MAX_RW_COUNT).
	maxRW = 0x7ffff000
	// pinChunk bounds the memory that is pinned at once.
	pinChunk = 4 << 20
)

// noOffset means: at the file's own offset.
const noOffset = -1

// transfer is one read or write of application memory.
type transfer struct {
	t     *kernel.Task
	f     *vfs.File
	write bool
	off   int64  // noOffset: the file's
	flags uint32 // RWF_*
	one   [1]mm.IOVec
	pin   mm.Pinned
}

// transfers are for reuse: what a read or write needs is too large for the collector to be
// left one a call.
var transfers = sync.Pool{New: func() any { return new(transfer) }}

func newTransfer() *transfer { return transfers.Get().(*transfer) }

// done gives x, which nobody must use any more, back.
func (x *transfer) done() {
	*x = transfer{}
	transfers.Put(x)
}

// Read is read(2).
func Read(t *kernel.Task, a *abi.Args) (uint64, error) { return simple(t, a, false, noOffset) }

// Write is write(2).
func Write(t *kernel.Task, a *abi.Args) (uint64, error) { return simple(t, a, true, noOffset) }

// Pread64 is pread(2).
func Pread64(t *kernel.Task, a *abi.Args) (uint64, error) {
	if a.Long(3) < 0 {
		return 0, abi.EINVAL
	}
	return simple(t, a, false, a.Long(3))
}

// Pwrite64 is pwrite(2).
func Pwrite64(t *kernel.Task, a *abi.Args) (uint64, error) {
	if a.Long(3) < 0 {
		return 0, abi.EINVAL
	}
	return simple(t, a, true, a.Long(3))
}

func simple(t *kernel.Task, a *abi.Args, write bool, off int64) (uint64, error) {
	f, err := getFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	x := newTransfer()
	defer x.done()
	x.t, x.f, x.write, x.off = t, f, write, off
	if err := x.mayBegin(); err != nil {
		return 0, err
	}
	if !t.MM().AccessOK(a.Addr(1), a.Size(2)) {
		return 0, abi.EFAULT
	}
	x.one[0] = mm.IOVec{Addr: a.Addr(1), Len: min(a.Size(2), maxRW)}
	return x.run(x.one[:])
}

// Readv is readv(2).
func Readv(t *kernel.Task, a *abi.Args) (uint64, error) { return vector(t, a, false, noOffset, 0) }

// Writev is writev(2).
func Writev(t *kernel.Task, a *abi.Args) (uint64, error) { return vector(t, a, true, noOffset, 0) }

// Preadv is preadv(2).
func Preadv(t *kernel.Task, a *abi.Args) (uint64, error) {
	if a.Long(3) < 0 {
		return 0, abi.EINVAL
	}
	return vector(t, a, false, a.Long(3), 0)
}

// Pwritev is pwritev(2).
func Pwritev(t *kernel.Task, a *abi.Args) (uint64, error) {
	if a.Long(3) < 0 {
		return 0, abi.EINVAL
	}
	return vector(t, a, true, a.Long(3), 0)
}

// Preadv2 is preadv2(2): offset -1 is the file's own.
func Preadv2(t *kernel.Task, a *abi.Args) (uint64, error) {
	if a.Long(3) < -1 {
		return 0, abi.EINVAL
	}
	return vector(t, a, false, a.Long(3), a.Uint(5))
}

// Pwritev2 is pwritev2(2).
func Pwritev2(t *kernel.Task, a *abi.Args) (uint64, error) {
	if a.Long(3) < -1 {
		return 0, abi.EINVAL
	}
	return vector(t, a, true, a.Long(3), a.Uint(5))
}

// rwfNoAppend is RWF_NOAPPEND of Linux 6.9: at the offset, although the file is O_APPEND.
const rwfNoAppend = 0x20

const rwfKnown = abi.RWF_HIPRI | abi.RWF_DSYNC | abi.RWF_SYNC | abi.RWF_NOWAIT | abi.RWF_APPEND | rwfNoAppend

func vector(t *kernel.Task, a *abi.Args, write bool, off int64, flags uint32) (uint64, error) {
	f, err := getFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	x := newTransfer()
	defer x.done()
	x.t, x.f, x.write, x.off, x.flags = t, f, write, off, flags
	if err := x.mayBegin(); err != nil {
		return 0, err
	}
	iovs, err := copyInIovecs(t, a.Addr(1), a.Size(2))
	if err != nil {
		return 0, err
	}
	if iovTotal(iovs) == 0 {
		return 0, nil
	}
	if flags&^rwfKnown != 0 {
		return 0, abi.EOPNOTSUPP
	}
	if flags&(abi.RWF_APPEND|rwfNoAppend) == abi.RWF_APPEND|rwfNoAppend {
		return 0, abi.EINVAL
	}
	return x.run(iovs)
}

// copyInIovecs copies in an array of struct iovec of the caller's memory and limits it to
// maxRW bytes.
func copyInIovecs(t *kernel.Task, addr abi.Addr, n uint64) ([]mm.IOVec, error) {
	iovs, err := copyInForeignIovecs(t, addr, uint64(uint32(n))) // Linux has 32 bits for it here
	for i := range iovs {
		if !t.MM().AccessOK(iovs[i].Addr, iovs[i].Len) {
			return nil, abi.EFAULT
		}
	}
	return limitIovecs(iovs), err
}

// limitIovecs takes away what is beyond maxRW bytes.
func limitIovecs(iovs []mm.IOVec) []mm.IOVec {
	total := uint64(0)
	for i := range iovs {
		iovs[i].Len = min(iovs[i].Len, maxRW-total)
		total += iovs[i].Len
	}
	return iovs
}

// copyInForeignIovecs copies in an array of struct iovec of another process's memory.
func copyInForeignIovecs(t *kernel.Task, addr abi.Addr, n uint64) ([]mm.IOVec, error) {
	if n > abi.UIO_MAXIOV {
		return nil, abi.EINVAL
	}
	raw := make([]mm.IOVec, n) // the layout of struct iovec: address, length
	if err := t.MM().CopyIn(addr, abi.SliceBytes(raw)); err != nil {
		return nil, err
	}
	for i := range raw {
		if int64(raw[i].Len) < 0 {
			return nil, abi.EINVAL
		}
	}
	return raw, nil
}

// run transfers until all is done, the file has no more, or it would have to wait after
// some progress.
func (x *transfer) run(iovs []mm.IOVec) (uint64, error) {
	left := uint64(0)
	for i := range iovs {
		left += iovs[i].Len
	}
	if x.off >= 0 && x.off+int64(left) < 0 {
		return 0, abi.EINVAL
	}
	total := uint64(0)
	for {
		n, asked, err := x.chunk(iovs, left)
		total += uint64(n)
		left -= uint64(n)
		if err != nil {
			if total > 0 {
				return total, nil
			}
			return 0, x.fail(err)
		}
		if left == 0 || n < asked {
			return total, nil
		}
		if n == 0 {
			return total, nil
		}
		iovs = skipIovecs(iovs, uint64(n))
		if x.off >= 0 {
			x.off += int64(n)
		}
	}
}

// fail does what an error brings with it besides the number.
func (x *transfer) fail(err error) error {
	switch {
	case err == abi.EPIPE && x.write:
		info := abi.Siginfo{Signo: abi.SIGPIPE, Code: abi.SI_KERNEL}
		_ = x.t.SignalThread(&info)
	case err == abi.EFBIG && x.t.Ctx().XFSZ:
		x.t.Ctx().XFSZ = false
		info := abi.Siginfo{Signo: abi.SIGXFSZ, Code: abi.SI_KERNEL}
		_ = x.t.SignalThread(&info)
	}
	return err
}

// chunk transfers at most pinChunk bytes. asked is what there was to transfer.
func (x *transfer) chunk(iovs []mm.IOVec, left uint64) (n, asked int, err error) {
	want := int(min(left, pinChunk))
	if b, ok := x.f.Ops.(vfs.Blind); ok && (x.write && b.BlindWrite() || !x.write && b.BlindRead()) {
		n, err = x.try(nothing(want))
		return n, want, err
	}
	bufs, err := x.pinned(iovs, want)
	defer x.pin.Release()
	if err != nil {
		return 0, 0, err
	}
	return x.move(bufs)
}

// move transfers what is pinned, waiting if need be. A blocking write goes on until all
// of it is written.
func (x *transfer) move(all uio.Bufs) (n, asked int, err error) {
	bufs := all
	asked = bufs.Len()
	for {
		k, err := x.try(bufs)
		n += k
		if err == nil && (!x.write || k == 0 || n == asked) {
			return n, asked, nil
		}
		if err != nil && err != abi.EAGAIN {
			return n, asked, err
		}
		if x.off >= 0 {
			if err == nil {
				return n, asked, nil // files with offsets do not wait
			}
			return n, asked, err
		}
		if k > 0 {
			bufs = bufs.Skip(k)
		}
		if err == nil && x.f.Mode&vfs.ModeStream == 0 {
			return n, asked, nil
		}
		if x.f.NonBlocking() || x.flags&abi.RWF_NOWAIT != 0 {
			return n, asked, abi.EAGAIN
		}
		if err := x.sleep(bufs, &n); err != nil {
			return n, asked, err
		}
		// What a read got is all, nothing too: that is the end of the file.
		if n == asked || !x.write {
			return n, asked, nil
		}
		bufs = all.Skip(n)
	}
}

func (x *transfer) try(bufs uio.Bufs) (int, error) {
	ctx := x.t.Ctx()
	switch {
	case x.write && x.flags&abi.RWF_APPEND != 0:
		return x.f.Append(ctx, bufs)
	case x.write && x.flags&rwfNoAppend != 0:
		return x.f.WriteInPlace(ctx, bufs, x.off)
	case x.write && x.off >= 0:
		return x.f.WriteAt(ctx, bufs, x.off)
	case x.write:
		return x.f.Write(ctx, bufs)
	case x.off >= 0:
		return x.f.ReadAt(ctx, bufs, x.off)
	default:
		return x.f.Read(ctx, bufs)
	}
}

// TimeoutFile is a FileOps whose blocking reads and writes end after a while
// (SO_RCVTIMEO, SO_SNDTIMEO); zero is never.
type TimeoutFile interface {
	Timeouts() (read, write time.Duration)
}

// sleep waits until a try makes progress, which it adds to n.
func (x *transfer) sleep(bufs uio.Bufs, n *int) error {
	events := wait.In | wait.Hup | wait.Err | wait.RdHup
	if x.write {
		events = wait.Out | wait.Hup | wait.Err
	}
	var deadline time.Time
	if tf, ok := x.f.Ops.(TimeoutFile); ok {
		r, w := tf.Timeouts()
		if x.write {
			r = w
		}
		if r > 0 {
			deadline = time.Now().Add(r)
		}
	}
	q := x.f.WaitQueue()
	if q == nil {
		return abi.EAGAIN
	}
	var result error
	err := wait.Until(x.t, q, events, deadline, func() bool {
		k, err := x.try(bufs)
		*n += k
		result = err
		return k > 0 || err != abi.EAGAIN
	})
	if err == abi.ETIMEDOUT {
		return abi.EAGAIN
	}
	if err == abi.ERESTARTSYS && !deadline.IsZero() {
		return abi.EINTR // with a timeout it is never restarted (signal(7))
	}
	if err != nil {
		return err
	}
	if result == abi.EAGAIN {
		return nil
	}
	return result
}

func skipIovecs(iovs []mm.IOVec, n uint64) []mm.IOVec {
	for i := range iovs {
		if n < iovs[i].Len {
			out := append([]mm.IOVec(nil), iovs[i:]...)
			out[0].Addr += abi.Addr(n)
			out[0].Len -= n
			return out
		}
		n -= iovs[i].Len
	}
	return nil
}

// Lseek is lseek(2).
func Lseek(t *kernel.Task, a *abi.Args) (uint64, error) {
	f, err := getIOFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	pos, err := f.Seek(t.Ctx(), a.Long(1), int(a.Int(2)))
	return uint64(pos), err
}
