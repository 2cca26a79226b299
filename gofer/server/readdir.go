package server

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"lazaret/gofer/proto"
)

// dirent is one entry of getdents64.
type dirent struct {
	ino  uint64
	next uint64
	typ  uint8
	name string
}

// dirReader reads a directory's entries from an offset on.
type dirReader struct {
	fd   int
	buf  []byte
	left []byte
	eof  bool
}

// next returns the next entry but "." and ".."; false at the end.
func (d *dirReader) next() (dirent, bool, error) {
	for {
		for len(d.left) == 0 {
			if d.eof {
				return dirent{}, false, nil
			}
			n, err := unix.Getdents(d.fd, d.buf)
			if err != nil {
				return dirent{}, false, err
			}
			d.eof = n <= 0
			d.left = d.buf[:max(n, 0)]
		}
		e, rest, ok := parseDirent(d.left)
		if !ok {
			return dirent{}, false, unix.EIO
		}
		d.left = rest
		if proto.ValidName(e.name) { // a file system may hold stranger names than we serve
			return e, true, nil
		}
	}
}

func parseDirent(b []byte) (e dirent, rest []byte, ok bool) {
	const head = 19 // d_ino, d_off, d_reclen, d_type
	if len(b) < head {
		return e, nil, false
	}
	size := int(binary.NativeEndian.Uint16(b[16:]))
	if size < head || size > len(b) {
		return e, nil, false
	}
	e.ino = binary.NativeEndian.Uint64(b)
	e.next = binary.NativeEndian.Uint64(b[8:])
	e.typ = b[18]
	name := b[head:size]
	for i, c := range name {
		if c == 0 {
			name = name[:i]
			break
		}
	}
	e.name = string(name)
	return e, b[size:], true
}

// openDir opens the directory n for reading from offset.
func (s *session) openDir(n *node, offset uint64) (dirReader, error) {
	if n.id.typ != unix.S_IFDIR {
		return dirReader{}, unix.ENOTDIR
	}
	s.watchDir(n)
	var st unix.Statx_t
	fd, err := s.openNode(n, unix.O_RDONLY|unix.O_DIRECTORY, &st)
	if err != nil {
		return dirReader{}, err
	}
	if offset != 0 {
		if _, err := unix.Seek(fd, int64(offset), unix.SEEK_SET); err != nil {
			closeFDs(fd)
			return dirReader{}, err
		}
	}
	return dirReader{fd: fd, buf: make([]byte, 32<<10)}, nil
}

// list appends entries of directory n from offset to the reply, at most limit bytes.
func (r *request) list(n *node, offset uint64, limit int) error {
	d, err := r.s.openDir(n, offset)
	if err != nil {
		return err
	}
	defer closeFDs(d.fd)
	const head, fixed = 8 + 1 + 4, 8 + 8 + 1 + 4 + proto.AttrSize + 2
	limit = min(limit, r.room()) - head
	if limit < fixed+proto.MaxName {
		return unix.EINVAL // not even one entry is sure to fit
	}
	e := &r.enc
	at := e.Len()
	e.U64(offset)
	e.U8(0)
	e.U32(0)
	start, count, next := e.Len(), uint32(0), offset
	flags := r.s.childFlags(n)
	var st unix.Statx_t
	for {
		de, ok, err := d.next()
		if err != nil {
			return err
		}
		if !ok {
			e.SetU8(at+8, 1)
			break
		}
		if e.Len()-start+fixed+len(de.name) > limit {
			break
		}
		e.U64(de.ino)
		e.U64(de.next)
		e.U8(de.typ)
		err = statAt(d.fd, de.name, &st)
		a := proto.Attr{}
		if err == nil {
			a = attrOf(&st, flags)
			if st.Mode&unix.S_IFMT == unix.S_IFDIR {
				a.Flags = r.s.subdirFlags(n, de.name, a.Flags)
			}
			e.U32(0)
		} else {
			e.U32(errnoOf(err))
		}
		e.Attr(&a)
		e.String(de.name)
		next = de.next
		count++
	}
	e.SetU64(at, next)
	e.SetU32(at+9, count)
	return nil
}
