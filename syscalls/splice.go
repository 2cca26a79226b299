package syscalls

import (
	"lazaret/sentry/fs/pipe"
	"lazaret/sentry/kernel"
	"lazaret/sentry/mm"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

var spliceRows = []Row{
	full(abi.SYS_SENDFILE, "sendfile", Sendfile, FD, FD, Buf, Hex),
	full(abi.SYS_SPLICE, "splice", Splice, FD, Buf, FD, Buf, Hex, Hex),
	full(abi.SYS_TEE, "tee", Tee, FD, FD, Hex, Hex),
	partial(abi.SYS_VMSPLICE, "vmsplice", Vmsplice, "pages are copied", FD, Buf, Int, Hex),
	full(abi.SYS_COPY_FILE_RANGE, "copy_file_range", CopyFileRange, FD, Buf, FD, Buf, Hex, Hex),
}

// moveChunk is how much a move between files copies at once.
const moveChunk = 64 << 10

const spliceFlags = abi.SPLICE_F_MOVE | abi.SPLICE_F_NONBLOCK | abi.SPLICE_F_MORE | abi.SPLICE_F_GIFT

// filePair is the source and the destination of a move.
type filePair struct{ in, out *vfs.File }

// getPair returns the files behind two descriptors: EBADF unless in can be read and out
// written.
func getPair(t *kernel.Task, in, out int32) (filePair, error) {
	p, err := getFiles(t, in, out)
	if err == nil && (p.in.Mode&vfs.ModeRead == 0 || p.out.Mode&vfs.ModeWrite == 0) {
		p.done()
		return filePair{}, abi.EBADF
	}
	return p, err
}

// getFiles is getPair without a look at how they are open.
func getFiles(t *kernel.Task, in, out int32) (filePair, error) {
	f, err := getIOFile(t, in)
	if err != nil {
		return filePair{}, err
	}
	g, err := getIOFile(t, out)
	if err != nil {
		f.DecRef()
		return filePair{}, err
	}
	return filePair{f, g}, nil
}

func (p filePair) done() {
	p.in.DecRef()
	p.out.DecRef()
}

// offset is where a move reads or writes: at an offset of the application's, or at the
// file's own.
type offset struct {
	f    *vfs.File
	addr abi.Addr // 0: the file's
	pos  int64
}

func getOffset(t *kernel.Task, f *vfs.File, addr abi.Addr) (offset, error) {
	o, err := readOffset(t, f, addr)
	if err == nil && o.pos < 0 {
		err = abi.EINVAL
	}
	return o, err
}

// readOffset is getOffset for those who say something else of a negative one.
func readOffset(t *kernel.Task, f *vfs.File, addr abi.Addr) (offset, error) {
	o := offset{f: f, addr: addr}
	if addr == 0 {
		if f.Mode&vfs.ModeStream == 0 {
			o.pos = f.Pos()
		}
		return o, nil
	}
	if f.Mode&vfs.ModeStream != 0 {
		return o, abi.ESPIPE
	}
	var err error
	o.pos, err = copyIn[int64](t, addr)
	return o, err
}

// at is the position to move from or to, nil for a stream, which has none.
func (o *offset) at() *int64 {
	if o.f.Mode&vfs.ModeStream != 0 {
		return nil
	}
	return &o.pos
}

// put stores the offset after the move.
func (o *offset) put(t *kernel.Task) error {
	if o.addr != 0 {
		return copyOut(t, o.addr, &o.pos)
	}
	if o.f.Mode&vfs.ModeStream == 0 {
		o.f.SetPos(o.pos)
	}
	return nil
}

// moved is the result of a move of n bytes that ended with err: progress counts.
func moved(t *kernel.Task, n uint64, err error) (uint64, error) {
	if n > 0 {
		return n, nil
	}
	if err != nil {
		x := transfer{t: t, write: true}
		return 0, x.fail(err)
	}
	return 0, nil
}

// Sendfile is sendfile(2).
func Sendfile(t *kernel.Task, a *abi.Args) (uint64, error) {
	p, err := getPair(t, a.Int(1), a.Int(0))
	if err != nil {
		return 0, err
	}
	defer p.done()
	off, err := getOffset(t, p.in, a.Addr(2))
	if err != nil {
		return 0, err
	}
	if typ := p.in.Path.Dentry.Type(); typ != abi.S_IFREG && typ != abi.S_IFBLK || p.out.Flags()&abi.O_APPEND != 0 {
		return 0, abi.EINVAL
	}
	if int64(a.Size(3)) < 0 {
		return 0, abi.EINVAL
	}
	left, done := min(a.Size(3), maxRW), uint64(0)
	buf := make([]byte, min(left, moveChunk))
	for left > 0 && err == nil {
		var n, k int
		if n, err = p.in.ReadAt(t.Ctx(), uio.One(buf[:min(left, moveChunk)]), off.pos); n <= 0 || err != nil {
			break
		}
		k, err = writeAll(t, p.out, buf[:n])
		off.pos += int64(k)
		done += uint64(k)
		left -= uint64(k)
		if k < n || t.Interrupted() {
			break
		}
	}
	if e := off.put(t); e != nil {
		return 0, e
	}
	return moved(t, done, err)
}

// writeAll writes b to f, waiting as write(2) does. The count is right also when there is
// an error.
func writeAll(t *kernel.Task, f *vfs.File, b []byte) (int, error) {
	done := 0
	for done < len(b) {
		n, err := f.Write(t.Ctx(), uio.One(b[done:]))
		done += max(n, 0)
		if err == nil && n > 0 {
			continue
		}
		if err == nil {
			return done, nil
		}
		q := f.WaitQueue()
		if err != abi.EAGAIN || f.NonBlocking() || q == nil {
			return done, err
		}
		werr := wait.Until(t, q, wait.Out|wait.Hup|wait.Err, writeDeadline(f), func() bool {
			n, err = f.Write(t.Ctx(), uio.One(b[done:]))
			return n > 0 || err != abi.EAGAIN
		})
		done += max(n, 0)
		if werr == abi.ETIMEDOUT {
			werr = abi.EAGAIN
		}
		if werr != nil {
			return done, werr
		}
		if err != nil && err != abi.EAGAIN {
			return done, err
		}
	}
	return done, nil
}

// Splice is splice(2).
func Splice(t *kernel.Task, a *abi.Args) (uint64, error) {
	n, flags := min(a.Size(4), maxRW), a.Uint(5)
	if n == 0 {
		return 0, nil
	}
	if flags&^spliceFlags != 0 {
		return 0, abi.EINVAL
	}
	p, err := getPair(t, a.Int(0), a.Int(2))
	if err != nil {
		return 0, err
	}
	defer p.done()
	src, dst := pipe.Of(p.in), pipe.Of(p.out)
	if src == nil && dst == nil {
		return 0, abi.EINVAL
	}
	if src != nil && a.Addr(1) != 0 || dst != nil && a.Addr(3) != 0 {
		return 0, abi.ESPIPE
	}
	m := move{t: t, filePair: p, src: src, dst: dst, nonblock: flags&abi.SPLICE_F_NONBLOCK != 0}
	switch {
	case src != nil && dst != nil:
		return m.run(func() (int, error) { return src.ToPipe(dst, int(n)) })
	case src != nil:
		return m.toFile(a.Addr(3), n)
	}
	off, err := getOffset(t, p.in, a.Addr(1))
	if err != nil {
		return 0, err
	}
	k, err := m.run(func() (int, error) { return dst.FromFile(t.Ctx(), p.in, off.at(), int(n)) })
	if e := off.put(t); e != nil {
		return 0, e
	}
	return k, err
}

// move is one splice or tee.
type move struct {
	t *kernel.Task
	filePair
	src, dst *pipe.Pipe // nil: not a pipe
	nonblock bool
}

// toFile moves from the pipe to a file.
func (m *move) toFile(addr abi.Addr, n uint64) (uint64, error) {
	if m.out.Flags()&abi.O_APPEND != 0 {
		return 0, abi.EINVAL
	}
	off, err := getOffset(m.t, m.out, addr)
	if err != nil {
		return 0, err
	}
	ctx := m.t.Ctx()
	if m.out.Path.Dentry.Type() == abi.S_IFREG && ctx.MaxFileSize != ^uint64(0) {
		if uint64(off.pos) >= ctx.MaxFileSize {
			ctx.XFSZ = true
			return moved(m.t, 0, abi.EFBIG)
		}
		n = min(n, ctx.MaxFileSize-uint64(off.pos))
	}
	k, err := m.run(func() (int, error) { return m.src.ToFile(ctx, m.out, off.at(), int(n)) })
	if e := off.put(m.t); e != nil {
		return 0, e
	}
	return k, err
}

// waitsForSource reports whether an EAGAIN is the source's.
func (m *move) waitsForSource() bool {
	if m.src != nil {
		return m.src.SourceEmpty()
	}
	return !m.dst.Full()
}

// run moves, and waits for the side that is not ready unless told not to.
func (m *move) run(try func() (int, error)) (uint64, error) {
	n, err := try()
	for err == abi.EAGAIN {
		source := m.waitsForSource()
		f, events := m.out, wait.Out|wait.Hup|wait.Err
		if source {
			f, events = m.in, wait.In|wait.Hup|wait.Err|wait.RdHup
		}
		q := f.WaitQueue()
		if m.nonblock || f.NonBlocking() || q == nil {
			break
		}
		werr := wait.Until(m.t, q, events, writeDeadline(f), func() bool {
			n, err = try()
			return err != abi.EAGAIN || m.waitsForSource() != source
		})
		if werr == abi.ETIMEDOUT {
			break
		}
		if werr != nil {
			return 0, werr
		}
	}
	return moved(m.t, uint64(max(n, 0)), err)
}

// Tee is tee(2).
func Tee(t *kernel.Task, a *abi.Args) (uint64, error) {
	n, flags := min(a.Size(2), maxRW), a.Uint(3)
	if flags&^spliceFlags != 0 {
		return 0, abi.EINVAL
	}
	if n == 0 {
		return 0, nil
	}
	p, err := getPair(t, a.Int(0), a.Int(1))
	if err != nil {
		return 0, err
	}
	defer p.done()
	src, dst := pipe.Of(p.in), pipe.Of(p.out)
	if src == nil || dst == nil {
		return 0, abi.EINVAL
	}
	m := move{t: t, filePair: p, src: src, dst: dst, nonblock: flags&abi.SPLICE_F_NONBLOCK != 0}
	return m.run(func() (int, error) { return src.Tee(dst, int(n)) })
}

// Vmsplice is vmsplice(2): a read or write of the pipe.
func Vmsplice(t *kernel.Task, a *abi.Args) (uint64, error) {
	flags := a.Uint(3)
	if flags&^spliceFlags != 0 {
		return 0, abi.EINVAL
	}
	f, err := getIOFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	if pipe.Of(f) == nil {
		return 0, abi.EBADF
	}
	var iovs []mm.IOVec
	if iovs, err = copyInIovecs(t, a.Addr(1), a.Size(2)); err != nil {
		return 0, err
	}
	x := transfer{t: t, f: f, write: f.Mode&vfs.ModeWrite != 0, off: noOffset}
	if flags&abi.SPLICE_F_NONBLOCK != 0 {
		x.flags = abi.RWF_NOWAIT
	}
	return x.run(iovs)
}

// rangeable checks two files as copy_file_range(2) and the clone requests do.
func (p filePair) rangeable() error {
	in, out := p.in.Path.Dentry.Type(), p.out.Path.Dentry.Type()
	switch {
	case in == abi.S_IFDIR || out == abi.S_IFDIR:
		return abi.EISDIR
	case in != abi.S_IFREG || out != abi.S_IFREG:
		return abi.EINVAL
	case p.in.Mode&vfs.ModeRead == 0 || p.out.Mode&vfs.ModeWrite == 0 || p.out.Flags()&abi.O_APPEND != 0:
		return abi.EBADF
	}
	return nil
}

// CopyFileRange is copy_file_range(2).
func CopyFileRange(t *kernel.Task, a *abi.Args) (uint64, error) {
	if a.Uint(5) != 0 {
		return 0, abi.EINVAL
	}
	p, err := getFiles(t, a.Int(0), a.Int(2))
	if err != nil {
		return 0, err
	}
	defer p.done()
	left := min(a.Size(4), maxRW)
	from, to, err := copyRanges(t, p, a.Addr(1), a.Addr(3), left)
	if err != nil {
		return 0, err
	}
	done := uint64(0)
	buf := make([]byte, min(left, moveChunk))
	for left > 0 && err == nil {
		var n, k int
		if n, err = p.in.ReadAt(t.Ctx(), uio.One(buf[:min(left, moveChunk)]), from.pos); n <= 0 || err != nil {
			break
		}
		k, err = p.out.WriteAt(t.Ctx(), uio.One(buf[:n]), to.pos)
		k = max(k, 0)
		from.pos += int64(k)
		to.pos += int64(k)
		done += uint64(k)
		left -= uint64(k)
		if k < n || t.Interrupted() {
			break
		}
	}
	if err := from.put(t); err != nil {
		return 0, err
	}
	if err := to.put(t); err != nil {
		return 0, err
	}
	return moved(t, done, err)
}

// copyRanges checks what copy_file_range(2) is to copy. Files of different types of file
// system are refused, as since Linux 5.19.
func copyRanges(t *kernel.Task, p filePair, inAddr, outAddr abi.Addr, n uint64) (from, to offset, err error) {
	if err := p.rangeable(); err != nil {
		return from, to, err
	}
	switch {
	case p.in.Inode.Super().Type != p.out.Inode.Super().Type:
		return from, to, abi.EXDEV
	}
	if from, err = readOffset(t, p.in, inAddr); err != nil {
		return from, to, err
	}
	if to, err = readOffset(t, p.out, outAddr); err != nil {
		return from, to, err
	}
	switch {
	case uint64(from.pos)+n < n || uint64(to.pos)+n < n:
		return from, to, abi.EOVERFLOW
	case from.pos < 0 || to.pos < 0:
		return from, to, abi.EINVAL
	case to.pos+int64(n) < 0:
		return from, to, abi.EFBIG
	}
	if p.in.Inode == p.out.Inode && from.pos < to.pos+int64(n) && to.pos < from.pos+int64(n) {
		return from, to, abi.EINVAL
	}
	return from, to, nil
}
