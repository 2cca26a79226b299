package proto

import "lazaret/syscalls/abi"

// SetAttr is what to change of a file's attributes; Valid says which fields.
type SetAttr struct {
	Valid          SetMask
	Mode, UID, GID uint32
	Size           uint64
	Atime, Mtime   Timespec
}

// StatFS is the state of a file system, as statfs(2) names it.
type StatFS struct {
	Type, Bsize                         uint32
	Blocks, Bfree, Bavail, Files, Ffree uint64
	FSID                                uint64
	Namelen                             uint32
}

// GetAttr returns the attributes. ESTALE says that the name now belongs to another file.
func (f *File) GetAttr() (a Attr, err error) {
	ch, err := f.c.acquire(Txgetattr)
	if err != nil {
		return a, err
	}
	defer f.c.release(ch)
	ch.enc.U32(f.fid)
	fd, err := f.c.attrReply(ch, &a)
	closeFD(fd)
	return a, err
}

// SetAttr changes attributes in Linux's order of one chown, chmod, truncate, utimens, and
// returns the new ones. The gofer is privileged: set-id bits are kept unless Mode says.
func (f *File) SetAttr(s SetAttr) (a Attr, err error) {
	ch, err := f.c.acquire(Txsetattr)
	if err != nil {
		return a, err
	}
	defer f.c.release(ch)
	for _, v := range [...]uint32{f.fid, uint32(s.Valid), s.Mode, s.UID, s.GID} {
		ch.enc.U32(v)
	}
	ch.enc.U64(s.Size)
	ch.enc.Time(s.Atime)
	ch.enc.Time(s.Mtime)
	fd, err := f.c.attrReply(ch, &a)
	closeFD(fd)
	return a, err
}

// Allocate is fallocate(2) on the file, for which no descriptor need be open.
func (f *File) Allocate(mode uint32, offset, length uint64) (a Attr, err error) {
	ch, err := f.c.acquire(Txfallocate)
	if err != nil {
		return a, err
	}
	defer f.c.release(ch)
	ch.enc.U32(f.fid)
	ch.enc.U32(mode)
	ch.enc.U64(offset)
	ch.enc.U64(length)
	fd, err := f.c.attrReply(ch, &a)
	closeFD(fd)
	return a, err
}

// Readlink returns a symbolic link's target.
func (f *File) Readlink() (string, error) {
	ch, err := f.c.acquire(Treadlink)
	if err != nil {
		return "", err
	}
	defer f.c.release(ch)
	ch.enc.U32(f.fid)
	d, fd, err := f.c.exchange(ch)
	if err != nil {
		return "", err
	}
	closeFD(fd)
	s := d.target()
	return s, f.c.finish(&d)
}

// Sync writes the file's data and attributes to its disk.
func (f *File) Sync() error {
	ch, err := f.c.acquire(Tfsync)
	if err != nil {
		return err
	}
	defer f.c.release(ch)
	ch.enc.U32(f.fid)
	ch.enc.U32(0)
	return f.c.emptyReply(ch)
}

// StatFS returns the state of the file system that holds the file.
func (f *File) StatFS() (s StatFS, err error) {
	ch, err := f.c.acquire(Tstatfs)
	if err != nil {
		return s, err
	}
	defer f.c.release(ch)
	ch.enc.U32(f.fid)
	d, fd, err := f.c.exchange(ch)
	if err != nil {
		return s, err
	}
	closeFD(fd)
	s.Type, s.Bsize = d.U32(), d.U32()
	for _, p := range [...]*uint64{&s.Blocks, &s.Bfree, &s.Bavail, &s.Files, &s.Ffree, &s.FSID} {
		*p = d.U64()
	}
	s.Namelen = d.U32()
	return s, f.c.finish(&d)
}

// GetXattr returns the value of an extended attribute, or only its size if size is 0;
// ERANGE if it is longer than size.
func (f *File) GetXattr(name string, size int) ([]byte, int, error) {
	return f.readX(Txgetx, name, size)
}

// ListXattr returns the names of the extended attributes, each with a NUL after it, or
// only the size of that list if size is 0.
func (f *File) ListXattr(size int) ([]byte, int, error) { return f.readX(Txlistx, "", size) }

func (f *File) readX(typ uint8, name string, size int) ([]byte, int, error) {
	ch, err := f.c.acquire(typ)
	if err != nil {
		return nil, 0, err
	}
	defer f.c.release(ch)
	size = max(0, min(size, MaxXattr))
	ch.enc.U32(f.fid)
	if typ == Txgetx {
		ch.enc.String(name)
	}
	ch.enc.U32(uint32(size))
	d, fd, err := f.c.exchange(ch)
	if err != nil {
		return nil, 0, err
	}
	closeFD(fd)
	full := d.U32()
	data := append([]byte(nil), d.Data()...)
	if full > MaxXattr || (size > 0 && int(full) != len(data)) || len(data) > size {
		return nil, 0, f.c.fail()
	}
	return data, int(full), f.c.finish(&d)
}

// SetXattr sets an extended attribute; flags are XATTR_CREATE and XATTR_REPLACE.
func (f *File) SetXattr(name string, value []byte, flags uint32) error {
	if len(value) > MaxXattr {
		return abi.E2BIG
	}
	ch, err := f.c.acquire(Txsetx)
	if err != nil {
		return err
	}
	defer f.c.release(ch)
	ch.enc.U32(f.fid)
	ch.enc.String(name)
	ch.enc.U32(flags)
	ch.enc.Data(value)
	return f.c.emptyReply(ch)
}

// RemoveXattr removes an extended attribute.
func (f *File) RemoveXattr(name string) error {
	ch, err := f.c.acquire(Txremovex)
	if err != nil {
		return err
	}
	defer f.c.release(ch)
	ch.enc.U32(f.fid)
	ch.enc.String(name)
	return f.c.emptyReply(ch)
}
