package server

import (
	"bytes"
	"encoding/binary"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"lazaret/gofer/proto"
)

// What one Txlist does for directories that were not asked for: the client waits meanwhile,
// and so does whoever renames something. The time is for slow disks; it would pass on a busy
// machine too, where each answer is waited for all the longer.
const (
	aheadCalls = 2048 // host calls, a few milliseconds
	aheadTime  = 20 * time.Millisecond
	aheadDepth = 32 // descriptors that are open at once

	dirCalls = 8 // of a directory, besides those of its entries
)

// lister writes directories into a reply, each before those in it, until it is full.
type lister struct {
	e       *proto.Encoder
	end     int // what the reply's length must not exceed
	flags   uint32
	watch   *watcher // nil: nobody else changes the tree
	attrs   bool     // of all entries
	subdirs bool     // are watched, if others change the tree
	dirs    int      // that may still be listed
	done    int      // that are listed
	until   time.Time
	calls   int // made, about
	buf     []byte
	link    []byte
	subs    []byte // names of subdirectories still to be listed, each with a NUL behind it
	st      unix.Statx_t
}

// errFull says that a directory does not fit into the reply, or that no more can be watched.
const errFull = unix.EMSGSIZE

// dentsBuf is how many bytes of entries are read at once.
const dentsBuf = 32 << 10

func (r *request) xlist() error {
	d := &r.d
	num, flags, offset, dirs := d.U32(), d.U32(), d.U64(), int(d.U16())
	path, err := r.names(proto.MaxWalk)
	if err != nil {
		return err
	}
	names, err := r.names(proto.MaxList)
	if err != nil {
		return err
	}
	if err := r.done(); err != nil {
		return err
	}
	if flags&^(proto.ListAttrs|proto.ListWatch) != 0 || dirs == 0 || dirs > proto.MaxList {
		return unix.EINVAL
	}
	f, err := r.dirFID(num)
	if err != nil {
		return err
	}
	n := f.node
	dir, err := r.s.hold(n)
	if err != nil {
		return err
	}
	defer r.s.drop(n)
	if len(path) > 0 {
		p := strings.Join(path, "/")
		if len(p) > proto.MaxListPath {
			return unix.ENAMETOOLONG
		}
		if dir, err = openBeneath(dir, p, unix.O_PATH|unix.O_DIRECTORY, 0); err != nil {
			return stale(err)
		}
		defer closeFDs(dir)
	}
	if len(names) == 0 {
		names = []string{"."}
	}
	if r.dents == nil {
		r.dents = make([]byte, dentsBuf+proto.MaxTarget+1)
	}
	l := lister{
		e: &r.enc, end: r.enc.Len() + r.room(), flags: r.s.childFlags(n), attrs: flags&proto.ListAttrs != 0,
		subdirs: flags&proto.ListWatch != 0,
		dirs:    dirs, until: time.Now().Add(aheadTime), buf: r.dents[:dentsBuf], link: r.dents[dentsBuf:],
	}
	if n.root.Shared {
		l.watch = &r.s.watch
	}
	return l.run(dir, names, int64(offset))
}

// names reads a list of path components.
func (r *request) names(most int) ([]string, error) {
	n := int(r.d.U16())
	if n > most {
		return nil, unix.EINVAL
	}
	names := make([]string, n)
	for i := range names {
		var err error
		if names[i], err = r.name(); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// stale is the error for a name that is not what the client took it for.
func stale(err error) error {
	switch err {
	case unix.ENOENT, unix.ELOOP, unix.ENOTDIR:
		return unix.ESTALE
	}
	return err
}

// run writes the directories that are called names in dir and those in them.
func (l *lister) run(dir int, names []string, offset int64) error {
	at := l.e.Len()
	l.e.U16(0)
	fd, err := openBeneath(dir, names[0], unix.O_RDONLY|unix.O_DIRECTORY|openFlags, 0)
	if err != nil {
		return stale(err)
	}
	if offset != 0 {
		_, err = unix.Seek(fd, offset, unix.SEEK_SET)
	}
	if err == nil {
		err = l.list(fd, 0)
	}
	closeFDs(fd)
	if err != nil {
		return err
	}
	for _, name := range names[1:] {
		if !l.more() {
			break
		}
		l.ahead(dir, name, 0)
	}
	l.e.SetU16(at, uint16(l.done))
	return nil
}

// more reports whether another directory may be listed.
func (l *lister) more() bool {
	return l.dirs > 0 && l.calls < aheadCalls && time.Now().Before(l.until)
}

// ahead lists name in dir, which nobody asked for: failures are passed over, and other file
// systems, which may be slow.
func (l *lister) ahead(dir int, name string, depth int) {
	fd, err := unix.Openat2(dir, name, &unix.OpenHow{
		Flags: unix.O_RDONLY | unix.O_DIRECTORY | openFlags, Resolve: resolveFlags | unix.RESOLVE_NO_XDEV,
	})
	if err != nil {
		return
	}
	_ = l.list(fd, depth)
	closeFDs(fd)
}

// list writes the directory that fd is open on, and then those in it.
func (l *lister) list(fd, depth int) error {
	begin, mine := l.e.Len(), len(l.subs)
	eof, err := l.write(fd, depth < aheadDepth)
	if err == nil && !eof && l.done > 0 {
		err = errFull
	}
	if err != nil {
		l.e.Truncate(begin)
		l.subs = l.subs[:mine]
		if err == errFull {
			l.dirs = 0
		}
		return err
	}
	l.done++
	l.dirs--
	for at, end := mine, len(l.subs); at < end && l.more(); {
		n := bytes.IndexByte(l.subs[at:end], 0)
		name := string(l.subs[at : at+n])
		at += n + 1
		l.ahead(fd, name, depth+1)
	}
	l.subs = l.subs[:mine]
	return nil
}

// write writes one directory, as much as there is room for, and notes its subdirectories.
func (l *lister) write(fd int, descend bool) (eof bool, err error) {
	e := l.e
	l.calls += dirCalls
	flags, err := l.watched(fd)
	if err != nil {
		return false, err
	}
	if err := statAt(fd, "", &l.st); err != nil {
		return false, err
	}
	if l.end-e.Len() < proto.ListHeadSize+proto.ListEntrySize(proto.MaxName, true) {
		return false, errFull
	}
	a := attrOf(&l.st, flags)
	head := e.ListHead(&a)
	entries, attrs, next := 0, 0, uint64(0)
	descend = descend && l.dirs > 1
	for {
		n, err := unix.Getdents(fd, l.buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return false, err
		}
		if n <= 0 {
			eof = true
			break
		}
		for left := l.buf[:n]; len(left) > 0; {
			de, rest, ok := rawDirent(left)
			if !ok {
				return false, unix.EIO
			}
			left = rest
			if !proto.ValidNameBytes(de.name) {
				continue // "." and "..", and stranger names than we serve
			}
			known := l.attrs || de.typ == unix.DT_DIR || de.typ == unix.DT_UNKNOWN
			if e.Len()+proto.ListEntrySize(len(de.name), known) > l.end {
				e.SetListHead(head, next, false, entries, attrs)
				return false, nil
			}
			if known = known && statEntry(fd, de.name, &l.st) == nil; known {
				l.calls++
				a := attrOf(&l.st, l.entryFlags(fd, de.name, flags))
				if de.typ == unix.DT_UNKNOWN {
					de.typ = uint8(a.Mode & unix.S_IFMT >> 12)
				}
				e.ListEntry(de.ino, de.typ, de.name, &a, l.target(fd, de.name, &a))
				attrs++
			} else {
				e.ListEntry(de.ino, de.typ, de.name, nil, nil)
			}
			if descend && de.typ == unix.DT_DIR {
				l.subs = append(append(l.subs, de.name...), 0)
			}
			entries, next = entries+1, de.next
		}
	}
	e.SetListHead(head, next, eof, entries, attrs)
	return eof, nil
}

// target returns where the entry name leads if it is a symbolic link and there is room.
func (l *lister) target(dir int, name []byte, a *proto.Attr) []byte {
	if a.Mode&unix.S_IFMT != unix.S_IFLNK {
		return nil
	}
	n, err := readlinkEntry(dir, name, l.link)
	if err != nil || l.e.Len()+proto.ListEntrySize(len(name), true)+2+n > l.end {
		return nil
	}
	return l.link[:n]
}

// rawEntry is a dirent whose name is part of the buffer.
type rawEntry struct {
	ino, next uint64
	typ       uint8
	name      []byte
}

// rawDirent is parseDirent without a copy of the name, which has a NUL behind it.
func rawDirent(b []byte) (e rawEntry, rest []byte, ok bool) {
	const head = 19
	if len(b) < head {
		return e, nil, false
	}
	size := int(binary.NativeEndian.Uint16(b[16:]))
	if size <= head || size > len(b) {
		return e, nil, false
	}
	n := bytes.IndexByte(b[head:size], 0)
	if n < 0 {
		return e, nil, false
	}
	return rawEntry{
		ino: binary.NativeEndian.Uint64(b), next: binary.NativeEndian.Uint64(b[8:]), typ: b[18],
		name: b[head : head+n],
	}, b[size:], true
}
