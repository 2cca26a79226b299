package proto

import "lazaret/syscalls/abi"

// FileID tells files apart: number, and time of birth since numbers are used again.
type FileID struct {
	DevMajor, DevMinor uint32
	Ino                uint64
	Btime              Timespec
}

// IDOf returns the identity of the file that a describes.
func IDOf(a *Attr) FileID { return FileID{a.DevMajor, a.DevMinor, a.Ino, a.Btime} }

// Bounds of one Txlist.
const (
	MaxList     = 1024      // names that it may carry, directories that it may be answered with
	MaxListPath = 3 << 10   // bytes of the path to the names' directory, with a slash for each
	maxListSend = 16 << 10  // bytes of names that the client sends
	listEntry   = 8 + 1 + 1 // least length of an entry without its name
)

// Listing is what a directory held when it was read, or a part of it. It does not change.
type Listing struct {
	Dir  Attr   // of the directory itself; Mode 0: not known
	Next uint64 // offset of what follows
	EOF  bool   // nothing follows

	// Few and mostly without pointers: there may be many thousands.
	names   string
	entries []listed
	attrs   []Attr
}

type listed struct {
	ino    uint64
	name   uint32 // where it begins in names
	attr   int32  // index, -1: not known
	target uint16 // length of what follows the name
	len    uint8
	typ    uint8
}

// ID returns the identity of the directory.
func (l *Listing) ID() FileID { return IDOf(&l.Dir) }

// Len returns the number of entries.
func (l *Listing) Len() int { return len(l.entries) }

// Name returns the name of the i-th entry.
func (l *Listing) Name(i int) string {
	e := &l.entries[i]
	return l.names[e.name : e.name+uint32(e.len)]
}

// Type returns the DT_* of the i-th entry and its inode number.
func (l *Listing) Type(i int) (uint8, uint64) { return l.entries[i].typ, l.entries[i].ino }

// Attr returns the attributes of the i-th entry, nil if they did not come along.
func (l *Listing) Attr(i int) *Attr {
	if k := l.entries[i].attr; k >= 0 {
		return &l.attrs[k]
	}
	return nil
}

// Target returns the target of the i-th entry if it is a symbolic link, or "" if it did not
// come along.
func (l *Listing) Target(i int) string {
	e := &l.entries[i]
	end := e.name + uint32(e.len)
	return l.names[end : end+uint32(e.target)]
}

// Plain reports whether there are entries without attributes.
func (l *Listing) Plain() bool { return len(l.attrs) < len(l.entries) }

// Join makes one listing of the parts of a directory.
func Join(parts []Listing) Listing {
	if len(parts) == 1 {
		return parts[0]
	}
	entries, attrs, bytes := 0, 0, 0
	for i := range parts {
		entries += len(parts[i].entries)
		attrs += len(parts[i].attrs)
		bytes += len(parts[i].names)
	}
	out := Listing{entries: make([]listed, 0, entries), attrs: make([]Attr, 0, attrs)}
	names := make([]byte, 0, bytes)
	for i := range parts {
		p := &parts[i]
		for _, e := range p.entries {
			e.name += uint32(len(names))
			if e.attr >= 0 {
				e.attr += int32(len(out.attrs))
			}
			out.entries = append(out.entries, e)
		}
		names = append(names, p.names...)
		out.attrs = append(out.attrs, p.attrs...)
		out.Dir, out.Next, out.EOF = p.Dir, p.Next, p.EOF
	}
	out.names = string(names)
	return out
}

// Listing makes a Listing of what ReadDirPlus returned.
func (l *DirList) Listing() Listing {
	out := Listing{Next: l.Next, EOF: l.EOF, entries: make([]listed, len(l.Entries))}
	var names []byte
	for i := range l.Entries {
		e := &l.Entries[i]
		x := listed{ino: e.Ino, name: uint32(len(names)), attr: -1, len: uint8(len(e.Name)), typ: e.Type}
		if e.Attr != nil {
			x.attr = int32(len(out.attrs))
			out.attrs = append(out.attrs, *e.Attr)
		}
		names = append(names, e.Name...)
		out.entries[i] = x
	}
	out.names = string(names)
	return out
}

// ListHow says how List lists.
type ListHow struct {
	Offset uint64 // where the first directory's listing begins
	Attrs  bool   // with the attributes of all entries, else with those of directories
	Watch  bool   // in a shared tree, watch the directories in those that are listed
	Dirs   int    // most directories, at least 1
}

// Flags of Txlist.
const (
	ListAttrs = 1 << iota // the attributes of all entries are wanted
	ListWatch             // attributes of directories are to be relied on, in shared trees too
)

// List lists directories of the directory that path leads to from f. The first of names
// must be one (no names: f, or what path leads to, itself); it comes first in the result,
// perhaps not to its end. Of those that follow, and of what is below them all, the complete
// listings come along that the server finds worth sending. In a shared tree they are of
// directories that are watched; the first may not be.
func (f *File) List(path, names []string, how ListHow) ([]Listing, error) {
	size := 0
	for _, n := range path {
		size += len(n) + 1
	}
	if size > MaxListPath || len(path) > MaxWalk {
		return nil, abi.ENAMETOOLONG
	}
	for size, i := 0, 0; i < len(names); i++ {
		if size += len(names[i]) + 2; i > 0 && size > maxListSend || i >= MaxList {
			names = names[:i]
		}
	}
	for _, list := range [...][]string{path, names} {
		for _, n := range list {
			if err := checkName(n); err != nil {
				return nil, err
			}
		}
	}
	ch, err := f.c.acquire(Txlist)
	if err != nil {
		return nil, err
	}
	defer f.c.release(ch)
	e := &ch.enc
	e.U32(f.fid)
	flags := uint32(0)
	if how.Attrs {
		flags |= ListAttrs
	}
	if how.Watch {
		flags |= ListWatch
	}
	e.U32(flags)
	e.U64(how.Offset)
	dirs := max(1, min(how.Dirs, MaxList))
	e.U16(uint16(dirs))
	for _, list := range [...][]string{path, names} {
		e.U16(uint16(len(list)))
		for _, n := range list {
			e.String(n)
		}
	}
	d, fd, err := f.c.exchange(ch)
	if err != nil {
		return nil, err
	}
	closeFD(fd)
	out, ok := decodeList(&d, dirs)
	if !ok {
		return nil, f.c.fail()
	}
	return out, nil
}

// decodeList reads an Rxlist of at most dirs directories.
func decodeList(d *Decoder, dirs int) ([]Listing, bool) {
	n := int(d.U16())
	if n == 0 || n > dirs {
		return nil, false
	}
	out := make([]Listing, n)
	var names []byte
	for i := range out {
		names = out[i].decode(d, names[:0])
		if !d.OK() || i > 0 && !out[i].EOF {
			return nil, false
		}
	}
	return out, d.Done()
}

// decode reads one directory; names is a buffer.
func (l *Listing) decode(d *Decoder, names []byte) []byte {
	if d.Attr(&l.Dir); l.Dir.Mode&abi.S_IFMT != abi.S_IFDIR {
		d.bad = true
		return names
	}
	l.Next = d.U64()
	l.EOF = d.U8() != 0
	n, withAttr := d.U32(), d.U32()
	if uint64(n)*(listEntry+1)+uint64(withAttr)*AttrSize > uint64(d.Left()) || withAttr > n || n == 0 && !l.EOF {
		d.bad = true
		return names
	}
	l.entries = make([]listed, n)
	if withAttr > 0 {
		l.attrs = make([]Attr, withAttr)
	}
	attrs := 0
	for i := range l.entries {
		e := &l.entries[i]
		e.ino = d.U64()
		e.typ = d.U8()
		e.name, e.attr = uint32(len(names)), -1
		has := d.U8()
		name := d.take(int(d.U8()))
		if has > hasAttr|hasTarget || has == hasTarget || has != 0 && attrs == len(l.attrs) || !ValidNameBytes(name) {
			d.bad = true
			return names
		}
		e.len = uint8(len(name))
		names = append(names, name...)
		if has&hasAttr == 0 {
			continue
		}
		a := &l.attrs[attrs]
		e.attr = int32(attrs)
		attrs++
		d.Attr(a)
		if has&hasTarget != 0 {
			t := d.target()
			if a.Mode&abi.S_IFMT != abi.S_IFLNK {
				d.bad = true
				return names
			}
			e.target = uint16(len(t))
			names = append(names, t...)
		}
	}
	if attrs != len(l.attrs) {
		d.bad = true
	}
	l.names = string(names)
	return names
}

// Bits of has.
const (
	hasAttr   = 1
	hasTarget = 2
)

// ListEntry appends an entry of an Rxlist; a may be nil, target empty.
func (e *Encoder) ListEntry(ino uint64, typ uint8, name []byte, a *Attr, target []byte) {
	e.U64(ino)
	e.U8(typ)
	has := uint8(0)
	if a != nil {
		has |= hasAttr
	}
	if len(target) > 0 {
		has |= hasTarget
	}
	e.U8(has)
	e.U8(uint8(len(name)))
	e.b = append(e.b, name...)
	if a != nil {
		e.Attr(a)
	}
	if len(target) > 0 {
		e.U16(uint16(len(target)))
		e.b = append(e.b, target...)
	}
}

// ListHead appends what comes before the entries of the directory that dir describes;
// SetListHead completes it.
func (e *Encoder) ListHead(dir *Attr) (at int) {
	e.Attr(dir)
	at = len(e.b)
	e.U64(0)
	e.U8(0)
	e.U64(0)
	return at
}

// SetListHead fills in the head at at: the offset of what follows, whether nothing does,
// the number of entries and of those with attributes.
func (e *Encoder) SetListHead(at int, next uint64, eof bool, entries, attrs int) {
	e.SetU64(at, next)
	if eof {
		e.SetU8(at+8, 1)
	}
	e.SetU32(at+9, uint32(entries))
	e.SetU32(at+13, uint32(attrs))
}

// ListEntrySize returns the length of an entry on the wire.
func ListEntrySize(name int, withAttr bool) int {
	if withAttr {
		return listEntry + 1 + name + AttrSize
	}
	return listEntry + 1 + name
}

// ListHeadSize is the length of a directory's head on the wire.
const ListHeadSize = AttrSize + 8 + 1 + 4 + 4
