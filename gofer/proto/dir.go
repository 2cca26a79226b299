package proto

import "lazaret/syscalls/abi"

// DirList is a part of a directory's listing.
type DirList struct {
	Entries []DirEntry
	Next    uint64 // offset of what follows
	EOF     bool   // nothing follows
}

// minEntry is the least length of an entry on the wire.
const minEntry = 8 + 8 + 1 + 4 + AttrSize + 2 + 1

// decode reads entries.
func (l *DirList) decode(d *Decoder) {
	l.Next = d.U64()
	l.EOF = d.U8() != 0
	n := d.U32()
	if uint64(n)*minEntry > uint64(d.Left()) || (n == 0 && !l.EOF) {
		d.bad = true
		return
	}
	l.Entries = make([]DirEntry, n)
	attrs := make([]Attr, n)
	for i := range l.Entries {
		e := &l.Entries[i]
		e.Ino = d.U64()
		e.Next = d.U64()
		e.Type = d.U8()
		e.Err = wireErrno(d.U32())
		if e.Err == nil {
			e.Attr = &attrs[i]
			d.Attr(e.Attr)
		} else {
			d.skipAttr()
		}
		e.Name = d.Name()
	}
	if !d.OK() {
		*l = DirList{}
	}
}

// ReadDirPlus lists the directory from offset (0 at first) with attributes, in one
// exchange; "." and ".." are left out. limit is the most bytes of reply wanted, 0 for as
// many as fit. It continues at next; eof says that there is no more. The directory need
// not be open.
func (f *File) ReadDirPlus(offset uint64, limit int) (entries []DirEntry, next uint64, eof bool, err error) {
	ch, err := f.c.acquire(Txreaddir)
	if err != nil {
		return nil, 0, false, err
	}
	defer f.c.release(ch)
	if limit <= 0 || limit > MaxMessage {
		limit = MaxMessage
	}
	ch.enc.U32(f.fid)
	ch.enc.U64(offset)
	ch.enc.U32(uint32(limit))
	d, fd, err := f.c.exchange(ch)
	if err != nil {
		return nil, 0, false, err
	}
	closeFD(fd)
	var l DirList
	l.decode(&d)
	if err := f.c.finish(&d); err != nil {
		return nil, 0, false, err
	}
	return l.Entries, l.Next, l.EOF, nil
}

// Mkdir makes a directory.
func (f *File) Mkdir(name string, mode, uid, gid uint32) (*File, Attr, error) {
	return f.make(name, mode&0o7777|abi.S_IFDIR, uid, gid, 0, 0, "")
}

// Mknod makes a device, FIFO, socket node or (mode S_IFREG or 0) empty file.
func (f *File) Mknod(name string, mode, major, minor, uid, gid uint32) (*File, Attr, error) {
	if mode&abi.S_IFMT == 0 {
		mode |= abi.S_IFREG
	}
	if t := mode & abi.S_IFMT; t == abi.S_IFDIR || t == abi.S_IFLNK {
		return nil, Attr{}, abi.EINVAL
	}
	return f.make(name, mode, uid, gid, major, minor, "")
}

// Symlink makes a symbolic link to target.
func (f *File) Symlink(name, target string, uid, gid uint32) (*File, Attr, error) {
	if target == "" {
		return nil, Attr{}, abi.ENOENT
	}
	if len(target) > MaxTarget {
		return nil, Attr{}, abi.ENAMETOOLONG
	}
	return f.make(name, abi.S_IFLNK|0o777, uid, gid, 0, 0, target)
}

func (f *File) make(name string, mode, uid, gid, major, minor uint32, target string) (*File, Attr, error) {
	var a Attr
	if err := checkName(name); err != nil {
		return nil, a, err
	}
	fids := f.c.newFIDs(nil, 1)
	ch, err := f.c.acquire(Txmake)
	if err != nil {
		return nil, a, err
	}
	defer f.c.release(ch)
	ch.enc.U32(f.fid)
	ch.enc.U32(fids[0])
	ch.enc.String(name)
	for _, v := range [...]uint32{mode, uid, gid, major, minor} {
		ch.enc.U32(v)
	}
	ch.enc.String(target)
	fd, err := f.c.attrReply(ch, &a)
	closeFD(fd)
	if err != nil {
		f.c.putFIDs(fids)
		return nil, a, err
	}
	return &File{c: f.c, fid: fids[0]}, a, nil
}

// Link makes name in directory f another name of target and returns target's new
// attributes. Both must belong to the same attach point (else EXDEV).
func (f *File) Link(target *File, name string) (a Attr, err error) {
	if err := checkName(name); err != nil {
		return a, err
	}
	ch, err := f.c.acquire(Txlink)
	if err != nil {
		return a, err
	}
	defer f.c.release(ch)
	ch.enc.U32(f.fid)
	ch.enc.U32(target.fid)
	ch.enc.String(name)
	fd, err := f.c.attrReply(ch, &a)
	closeFD(fd)
	return a, err
}

// Rename renames name in directory f to newName in newDir; flags are those of
// renameat2(2). Files of what was moved stay valid.
func (f *File) Rename(name string, newDir *File, newName string, flags uint32) error {
	if err := checkName(name); err != nil {
		return err
	}
	if err := checkName(newName); err != nil {
		return err
	}
	ch, err := f.c.acquire(Txrename)
	if err != nil {
		return err
	}
	defer f.c.release(ch)
	ch.enc.U32(f.fid)
	ch.enc.String(name)
	ch.enc.U32(newDir.fid)
	ch.enc.String(newName)
	ch.enc.U32(flags)
	return f.c.emptyReply(ch)
}

// Remove removes name from directory f; flags is 0 or AT_REMOVEDIR. A File of what was
// removed keeps answering GetAttr, SetAttr and Open for reading until it is closed.
func (f *File) Remove(name string, flags uint32) error {
	if err := checkName(name); err != nil {
		return err
	}
	ch, err := f.c.acquire(Tunlinkat)
	if err != nil {
		return err
	}
	defer f.c.release(ch)
	ch.enc.U32(f.fid)
	ch.enc.String(name)
	ch.enc.U32(flags)
	return f.c.emptyReply(ch)
}

// Removed tells the File that its name was removed: Close then frees the space at once.
func (f *File) Removed() { f.urgent.Store(true) }
