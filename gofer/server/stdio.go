package server

import (
	"golang.org/x/sys/unix"

	"lazaret/gofer/proto"
)

// Handlers of the standard messages that keep a file open, and of fsync.

func (r *request) lopen() error {
	num, flags := r.d.U32(), int(r.d.U32())
	if err := r.done(); err != nil {
		return err
	}
	f, err := r.fid(num)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file >= 0 || f.xattr != nil {
		return unix.EBUSY
	}
	if err := r.s.reserveOpen(); err != nil {
		return err
	}
	var st unix.Statx_t
	fd, err := r.s.openNode(f.node, flags, &st)
	if err != nil {
		r.s.unreserveOpen()
		return err
	}
	f.file, f.mode = fd, flags&unix.O_ACCMODE
	r.qid(f.node.id)
	r.enc.U32(0)
	return nil
}

// lcreate turns the directory's fid into the new file's.
func (r *request) lcreate() error {
	num := r.d.U32()
	name, err := r.name()
	if err != nil {
		return err
	}
	flags, mode, gid := int(r.d.U32()), r.d.U32(), r.d.U32()
	if err := r.done(); err != nil {
		return err
	}
	f, err := r.changeDir(num)
	if err != nil {
		return err
	}
	if f.isBusy() {
		return unix.EBUSY
	}
	if err := r.s.reserveOpen(); err != nil {
		return err
	}
	var st unix.Statx_t
	n, fd, err := r.s.create(f.node, name, flags, mode, noID, gid, &st)
	if err != nil {
		r.s.unreserveOpen()
		return err
	}
	r.qid(n.id)
	r.enc.U32(0)
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if r.s.fids[num] != f { // clunked meanwhile
		closeFDs(fd)
		r.s.open--
		r.s.putNodeLocked(n)
		return unix.EBADF
	}
	r.s.fids[num] = &fid{node: n, refs: 1, file: fd, mode: flags & unix.O_ACCMODE}
	r.s.putFIDLocked(f)
	return nil
}

func (f *fid) isBusy() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.file >= 0 || f.xattr != nil
}

func (r *request) read() error {
	num, off, count := r.d.U32(), r.d.U64(), r.d.U32()
	if err := r.done(); err != nil {
		return err
	}
	f, err := r.fid(num)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	at := r.enc.Len()
	r.enc.U32(0)
	n := min(int64(count), int64(r.room()))
	if x := f.xattr; x != nil && !x.write {
		if off < uint64(len(x.data)) {
			n = min(n, int64(uint64(len(x.data))-off))
			copy(r.enc.Grow(int(n)), x.data[off:])
			r.enc.SetU32(at, uint32(n))
		}
		return nil
	}
	if f.file < 0 || f.mode == unix.O_WRONLY || f.node.id.typ != unix.S_IFREG {
		return unix.EBADF
	}
	if int64(off) < 0 {
		return unix.EINVAL
	}
	var got int
	buf := r.enc.Grow(int(n))
	err = retry(func() (err error) { got, err = unix.Pread(f.file, buf, int64(off)); return err })
	if err != nil {
		return err
	}
	r.enc.Truncate(at + 4 + got)
	r.enc.SetU32(at, uint32(got))
	return nil
}

func (r *request) write() error {
	num, off, data := r.d.U32(), r.d.U64(), r.d.Data()
	if err := r.done(); err != nil {
		return err
	}
	f, err := r.fid(num)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if x := f.xattr; x != nil && x.write {
		if off != uint64(len(x.data)) || uint64(len(x.data)+len(data)) > x.size {
			return unix.EINVAL
		}
		x.data = append(x.data, data...)
		r.enc.U32(uint32(len(data)))
		return nil
	}
	if f.file < 0 || f.mode == unix.O_RDONLY {
		return unix.EBADF
	}
	if int64(off) < 0 {
		return unix.EINVAL
	}
	var put int
	err = retry(func() (err error) { put, err = unix.Pwrite(f.file, data, int64(off)); return err })
	if err != nil {
		return err
	}
	r.enc.U32(uint32(put))
	return nil
}

// clunk closes a fid; of one made by Txattrcreate it sets the attribute.
func (r *request) clunk() error {
	num := r.d.U32()
	if err := r.done(); err != nil {
		return err
	}
	f, err := r.fid(num)
	if err != nil {
		return err
	}
	f.mu.Lock()
	x := f.xattr
	f.mu.Unlock()
	var setErr error
	if x != nil && x.write {
		if uint64(len(x.data)) != x.size {
			setErr = unix.EINVAL
		} else {
			r.s.tree.RLock()
			setErr = r.s.setXattr(f.node, x.name, x.data, x.flags)
			r.s.tree.RUnlock()
		}
	}
	if err := r.s.clunk(num); err != nil {
		return err
	}
	return setErr
}

func (r *request) readdir() error {
	num, off, count := r.d.U32(), r.d.U64(), r.d.U32()
	if err := r.done(); err != nil {
		return err
	}
	f, err := r.dirFID(num)
	if err != nil {
		return err
	}
	d, err := r.s.openDir(f.node, off)
	if err != nil {
		return err
	}
	defer closeFDs(d.fd)
	const fixed = 13 + 8 + 1 + 2
	at := r.enc.Len()
	r.enc.U32(0)
	limit := int(min(int64(count), int64(r.room())))
	for {
		de, ok, err := d.next()
		if err != nil {
			return err
		}
		used := r.enc.Len() - at - 4
		if ok && used == 0 && fixed+len(de.name) > limit {
			return unix.EINVAL
		}
		if !ok || used+fixed+len(de.name) > limit {
			r.enc.SetU32(at, uint32(used))
			return nil
		}
		r.qid(identity{ino: de.ino, typ: uint16(de.typ) << 12})
		r.enc.U64(de.next)
		r.enc.U8(de.typ)
		r.enc.String(de.name)
	}
}

func (r *request) fsync() error {
	num := r.d.U32()
	if r.d.Left() > 0 {
		r.d.U32() // datasync, which older clients leave out
	}
	if err := r.done(); err != nil {
		return err
	}
	f, err := r.fid(num)
	if err != nil {
		return err
	}
	if t := f.node.id.typ; t != unix.S_IFREG && t != unix.S_IFDIR {
		return unix.EINVAL
	}
	// Not under the tree's lock during the sync: it may take seconds.
	var st unix.Statx_t
	r.s.tree.RLock()
	fd, err := r.s.openNode(f.node, unix.O_RDONLY, &st)
	r.s.tree.RUnlock()
	if err != nil {
		return err
	}
	defer closeFDs(fd)
	return retry(func() error { return unix.Fsync(fd) })
}

func (r *request) xattrwalk() error {
	num, newNum, name := r.d.U32(), r.d.U32(), r.d.String()
	if err := r.done(); err != nil {
		return err
	}
	f, err := r.fid(num)
	if err != nil {
		return err
	}
	var data []byte
	if name == "" {
		data, err = r.s.listXattr(f.node)
	} else {
		data, err = r.s.getXattr(f.node, name)
	}
	if err != nil {
		return err
	}
	if err := r.s.reserveOpen(); err != nil {
		return err
	}
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if err := r.s.checkFIDsLocked([]uint32{newNum}); err != nil || len(r.s.fids) >= r.s.cfg.MaxFIDs {
		r.s.open--
		return unix.EBUSY
	}
	f.node.refs++
	r.s.fids[newNum] = &fid{node: f.node, refs: 1, file: -1, xattr: &xattrIO{name: name, data: data}}
	r.enc.U64(uint64(len(data)))
	return nil
}

func (r *request) xattrcreate() error {
	num, name, size, flags := r.d.U32(), r.d.String(), r.d.U64(), r.d.U32()
	if err := r.done(); err != nil {
		return err
	}
	f, err := r.changeFID(num)
	if err != nil {
		return err
	}
	if size > proto.MaxXattr {
		return unix.E2BIG
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file >= 0 || f.xattr != nil {
		return unix.EBUSY
	}
	if err := r.s.reserveOpen(); err != nil {
		return err
	}
	f.xattr = &xattrIO{name: name, size: size, flags: int(flags), write: true}
	return nil
}
