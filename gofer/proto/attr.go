package proto

import "lazaret/syscalls/abi"

// Timespec is a time since the epoch.
type Timespec struct {
	Sec  int64
	Nsec uint32
}

// Attr flags.
const (
	// FlagWatched: changes that others make to the file are reported, or impossible.
	FlagWatched = 1 << iota
	// FlagReadOnly: the attach point refuses changes.
	FlagReadOnly
	// FlagShared: others may change the attach point's files.
	FlagShared

	flagsAll = FlagWatched | FlagReadOnly | FlagShared
)

// Attr are a file's attributes, as statx(2) names them.
type Attr struct {
	Mask                 uint32 // STATX_* of the fields that are known
	Flags                uint32 // Flag*
	Mode                 uint32 // type and permissions
	Nlink                uint32
	UID, GID             uint32
	RdevMajor, RdevMinor uint32
	DevMajor, DevMinor   uint32
	Ino                  uint64
	Size                 uint64 // bytes
	Blocks               uint64 // of 512 bytes
	Blksize              uint32 // bytes
	Attributes           uint64 // STATX_ATTR_*
	Atime, Mtime         Timespec
	Ctime, Btime         Timespec
}

// AttrSize is the length of an Attr on the wire.
const AttrSize = 10*4 + 3*8 + 4 + 8 + 4*12

// Attr appends a.
func (e *Encoder) Attr(a *Attr) {
	for _, v := range [...]uint32{a.Mask, a.Flags, a.Mode, a.Nlink, a.UID, a.GID,
		a.RdevMajor, a.RdevMinor, a.DevMajor, a.DevMinor} {
		e.U32(v)
	}
	e.U64(a.Ino)
	e.U64(a.Size)
	e.U64(a.Blocks)
	e.U32(a.Blksize)
	e.U64(a.Attributes)
	e.Time(a.Atime)
	e.Time(a.Mtime)
	e.Time(a.Ctime)
	e.Time(a.Btime)
}

// Attr reads an Attr. Values that no file can have make OK false.
func (d *Decoder) Attr(a *Attr) {
	for _, p := range [...]*uint32{&a.Mask, &a.Flags, &a.Mode, &a.Nlink, &a.UID, &a.GID,
		&a.RdevMajor, &a.RdevMinor, &a.DevMajor, &a.DevMinor} {
		*p = d.U32()
	}
	a.Ino = d.U64()
	a.Size = d.U64()
	a.Blocks = d.U64()
	a.Blksize = d.U32()
	a.Attributes = d.U64()
	a.Atime = d.Time()
	a.Mtime = d.Time()
	a.Ctime = d.Time()
	a.Btime = d.Time()
	if !validType(a.Mode) || int64(a.Size) < 0 || a.Flags&^flagsAll != 0 || a.Blksize > 1<<30 {
		d.bad = true
	}
}

// skipAttr passes over an Attr that has no meaning (the entry's stat failed).
func (d *Decoder) skipAttr() { d.take(AttrSize) }

// Time appends a time.
func (e *Encoder) Time(t Timespec) {
	e.U64(uint64(t.Sec))
	e.U32(t.Nsec)
}

// Time reads a time.
func (d *Decoder) Time() Timespec {
	t := Timespec{Sec: int64(d.U64()), Nsec: d.U32()}
	if t.Nsec >= 1e9 {
		d.bad = true
	}
	return t
}

func validType(mode uint32) bool {
	switch mode & abi.S_IFMT {
	case abi.S_IFREG, abi.S_IFDIR, abi.S_IFLNK, abi.S_IFIFO, abi.S_IFSOCK, abi.S_IFCHR, abi.S_IFBLK:
		return mode&^(abi.S_IFMT|0o7777) == 0
	}
	return false
}
