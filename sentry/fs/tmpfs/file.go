package tmpfs

import (
	"slices"

	"lazaret/sentry/memfile"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// file is a regular file: inode, open-file operations and memory object in one.
type file struct {
	node
	data data
}

// Attr implements vfs.Inode.
func (f *file) Attr(*vfs.Context, int) (vfs.Attr, error) {
	a := f.attr()
	f.data.mu.RLock()
	a.Size, a.Blocks = f.data.size, uint64(f.data.pages)*(abi.PageSize/512)
	f.data.mu.RUnlock()
	return a, nil
}

// SetAttr implements vfs.Inode.
func (f *file) SetAttr(ctx *vfs.Context, s *vfs.SetAttr) error {
	if s.Valid&vfs.SetSize != 0 {
		if err := f.data.truncate(f.fs, s.Size); err != nil {
			return err
		}
	}
	if s.Valid&vfs.SetMode != 0 && f.sealed(abi.F_SEAL_EXEC) {
		if mode, _, _ := f.Perms(); (mode^s.Mode)&0o111 != 0 {
			return abi.EPERM
		}
	}
	return f.node.SetAttr(ctx, s)
}

func (f *file) sealed(seal uint32) bool {
	f.data.mu.RLock()
	defer f.data.mu.RUnlock()
	return f.data.seals&seal != 0
}

// ReleaseInode implements vfs.Releaser.
func (f *file) ReleaseInode() {
	if f.release() {
		f.data.free(f.fs)
	}
}

// Open implements vfs.Inode.
func (f *file) Open(*vfs.Context, *vfs.File) (vfs.FileOps, error) { return (*fileOps)(f), nil }

// fileOps is an open regular file.
type fileOps file

// Read implements vfs.FileOps.
func (o *fileOps) Read(_ *vfs.Context, _ *vfs.File, dst uio.Bufs, pos *int64) (int, error) {
	n := o.data.read(o.fs, dst, uint64(*pos))
	*pos += int64(n)
	return n, nil
}

// Write implements vfs.FileOps.
func (o *fileOps) Write(ctx *vfs.Context, _ *vfs.File, src uio.Bufs, pos *int64) (int, error) {
	n, err := o.data.write(o.fs, ctx.Account, src, uint64(*pos))
	if n > 0 {
		*pos += int64(n)
		(*file)(o).touch(ctx)
		return n, nil
	}
	return 0, err
}

// Release implements vfs.FileOps.
func (o *fileOps) Release(*vfs.File) {}

// Seek implements vfs.Seeker for SEEK_DATA and SEEK_HOLE.
func (o *fileOps) Seek(_ *vfs.Context, f *vfs.File, off int64, whence int) (int64, error) {
	switch whence {
	case abi.SEEK_CUR:
		off += f.PosLocked()
	case abi.SEEK_END:
		o.data.mu.RLock()
		off += int64(o.data.size)
		o.data.mu.RUnlock()
	case abi.SEEK_DATA, abi.SEEK_HOLE:
		if off < 0 {
			return 0, abi.ENXIO
		}
		p, err := o.data.seek(uint64(off), whence)
		return int64(p), err
	}
	if off < 0 {
		return 0, abi.EINVAL
	}
	return off, nil
}

// Sync implements vfs.Syncer: there is nothing behind the memory.
func (o *fileOps) Sync(*vfs.Context, *vfs.File, bool) error { return nil }

// Allocate implements vfs.Allocator: tmpfs knows allocation and holes, no more.
func (o *fileOps) Allocate(ctx *vfs.Context, _ *vfs.File, mode uint32, off, n int64) error {
	d := &o.data
	if mode&^(abi.FALLOC_FL_KEEP_SIZE|abi.FALLOC_FL_PUNCH_HOLE) != 0 {
		return abi.EOPNOTSUPP
	}
	if mode&abi.FALLOC_FL_PUNCH_HOLE != 0 {
		if err := d.punch(o.fs, uint64(off), uint64(off+n)); err != nil {
			return err
		}
		(*file)(o).touch(ctx)
		return nil
	}
	end := uint64(off + n)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.seals&abi.F_SEAL_GROW != 0 && end > d.size && mode&abi.FALLOC_FL_KEEP_SIZE == 0 {
		return abi.EPERM
	}
	first, last := uint64(off)>>abi.PageShift, (end-1)>>abi.PageShift
	if m := o.fs.maxPages.Load(); m > 0 && last-first+1 > uint64(m) {
		return abi.ENOSPC
	}
	before := d.pages
	if have, err := d.fillLocked(o.fs, ctx.Account, first, last-first+1); err != nil {
		if d.pages > before && have > 0 && before == 0 { // undo what is certainly ours
			dropPages(o.fs, d.cutLocked(first, first+have-1))
		}
		return err
	}
	if mode&abi.FALLOC_FL_KEEP_SIZE == 0 {
		d.size = max(d.size, end)
	}
	now := ctx.Now()
	o.mu.Lock()
	o.mtime, o.ctime = now, now
	o.mu.Unlock()
	return nil
}

// Mmap implements vfs.Mapper.
func (o *fileOps) Mmap(_ *vfs.Context, _ *vfs.File, prot, flags uint32) (memfile.Mappable, error) {
	if flags&abi.MAP_SHARED != 0 && prot&abi.PROT_WRITE != 0 && (*file)(o).sealed(abi.F_SEAL_WRITE|abi.F_SEAL_FUTURE_WRITE) {
		return nil, abi.EPERM
	}
	return (*file)(o), nil
}

// Extent implements memfile.Mappable.
func (f *file) Extent(acct *memfile.Account, off, n uint64, _ bool) (memfile.Extent, error) {
	d := &f.data
	d.mu.Lock()
	defer d.mu.Unlock()
	first, end := off>>abi.PageShift, (d.size+abi.PageMask)>>abi.PageShift
	if first >= end {
		return memfile.Extent{}, abi.EFAULT
	}
	count := min(n>>abi.PageShift, end-first)
	at, run := d.runLocked(first, max(count, 1))
	if at < 0 {
		have, err := d.fillLocked(f.fs, acct, first, min(run, faultPages))
		if have == 0 {
			return memfile.Extent{}, err
		}
		at, run = d.runLocked(first, have)
	}
	f.fs.mf.IncRef(at, run<<abi.PageShift)
	return memfile.Extent{FD: f.fs.mf.FD(), Off: at, Len: run << abi.PageShift}, nil
}

// AddMapping implements memfile.Mappable.
func (f *file) AddMapping(m memfile.Mapper, r abi.AddrRange, off uint64, writable bool) error {
	d := &f.data
	d.mu.Lock()
	defer d.mu.Unlock()
	if writable && d.seals&abi.F_SEAL_WRITE != 0 {
		return abi.EPERM
	}
	d.maps = append(d.maps, mapping{m, r, off, writable})
	if writable {
		d.writable += int(r.Len() >> abi.PageShift)
	}
	return nil
}

// RemoveMapping implements memfile.Mappable: what r covers of m's mappings goes.
func (f *file) RemoveMapping(m memfile.Mapper, r abi.AddrRange, off uint64, writable bool) {
	d := &f.data
	d.mu.Lock()
	defer d.mu.Unlock()
	var rest []mapping
	d.maps = slices.DeleteFunc(d.maps, func(o mapping) bool {
		if o.m != m || o.writable != writable || !o.r.Overlaps(r) ||
			o.off-uint64(o.r.Start) != off-uint64(r.Start) {
			return false
		}
		cut := o.r.Intersect(r)
		if o.writable {
			d.writable -= int(cut.Len() >> abi.PageShift)
		}
		if o.r.Start < cut.Start {
			rest = append(rest, mapping{m, abi.AddrRange{Start: o.r.Start, End: cut.Start}, o.off, o.writable})
		}
		if cut.End < o.r.End {
			rest = append(rest, mapping{m, abi.AddrRange{Start: cut.End, End: o.r.End}, o.off + uint64(cut.End-o.r.Start), o.writable})
		}
		return true
	})
	d.maps = append(d.maps, rest...)
}

// Punch implements mm.Puncher: MADV_REMOVE makes a hole. Linux difference: the times stay,
// there is nobody here to ask for the present one.
func (f *file) Punch(off, n uint64) error {
	if off+n < off {
		return abi.EINVAL
	}
	return f.data.punch(f.fs, off, off+n)
}

// Sync implements memfile.Mappable: there is nothing behind the memory.
func (f *file) Sync(_, _ uint64) error { return nil }
