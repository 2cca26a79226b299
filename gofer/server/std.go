package server

import (
	"strings"

	"golang.org/x/sys/unix"

	"lazaret/gofer/proto"
)

// Handlers of the standard messages that name and describe files.

func (r *request) version() error {
	msize, v := r.d.U32(), r.d.String()
	if err := r.done(); err != nil {
		return err
	}
	if msize < proto.MinMessage {
		return unix.EINVAL
	}
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.msize = int(min(msize, proto.MaxMessage))
	switch {
	case v == proto.Version && r.msize == proto.MaxMessage:
		r.s.extended = true
	case v == proto.BaseVersion || strings.HasPrefix(v, proto.BaseVersion+"."):
		v = proto.BaseVersion
	default:
		v = "unknown"
	}
	// Tversion begins the session anew.
	for num, f := range r.s.fids {
		delete(r.s.fids, num)
		r.s.putFIDLocked(f)
	}
	r.enc.U32(uint32(r.msize))
	r.enc.String(v)
	return nil
}

func (r *request) auth() error { return unix.EOPNOTSUPP }

// flush has nothing to do: requests of a connection are answered in order.
func (r *request) flush() error {
	r.d.U16()
	return r.done()
}

func (r *request) attach() error {
	num, _, _, aname, _ := r.d.U32(), r.d.U32(), r.d.String(), r.d.String(), r.d.U32()
	if err := r.done(); err != nil {
		return err
	}
	n, err := r.attachTo(num, aname)
	if err != nil {
		return err
	}
	r.qid(n.id)
	return nil
}

// attachTo enters an attach point's root as fid num.
func (r *request) attachTo(num uint32, name string) (*node, error) {
	rt := r.s.roots[name]
	if rt == nil {
		return nil, unix.ENOENT
	}
	r.s.mu.Lock()
	rt.node.refs++
	r.s.mu.Unlock()
	return rt.node, r.s.addFIDs([]uint32{num}, []*node{rt.node})
}

// qid appends a file's 9P identity.
func (r *request) qid(id identity) {
	var t uint8
	switch id.typ {
	case unix.S_IFDIR:
		t = 0x80
	case unix.S_IFLNK:
		t = 0x02
	}
	r.enc.U8(t)
	r.enc.U32(0)
	r.enc.U64(id.ino)
}

func (r *request) walk() error {
	num, newNum, n := r.d.U32(), r.d.U32(), int(r.d.U16())
	if n > 16 {
		return unix.EINVAL
	}
	var names [16]string
	for i := range n {
		var err error
		if names[i], err = r.name(); err != nil {
			return err
		}
	}
	if err := r.done(); err != nil {
		return err
	}
	f, err := r.fid(num)
	if err != nil {
		return err
	}
	nodes, err := r.s.resolve(f.node, names[:n], nil)
	if err == nil && len(nodes) < n {
		err = unix.ENOTDIR
	}
	if err != nil {
		// The protocol answers a partial walk with fewer qids; p9's client takes that for
		// success and Linux's for ENOENT, so all get the error itself.
		r.s.putNodes(nodes)
		return err
	}
	r.enc.U16(uint16(n))
	for _, c := range nodes {
		r.qid(c.id)
	}
	last := f.node
	r.s.mu.Lock()
	if n > 0 {
		last = nodes[n-1]
		for _, c := range nodes[:n-1] {
			r.s.putNodeLocked(c)
		}
	} else {
		last.refs++
	}
	if newNum == num {
		delete(r.s.fids, num)
		r.s.putFIDLocked(f)
	}
	r.s.mu.Unlock()
	return r.s.addFIDs([]uint32{newNum}, []*node{last})
}

// resolve looks names up one after the other and returns a referenced node for each; see
// reports each one's attributes. It stops after what is no directory, and at an error.
func (s *session) resolve(n *node, names []string, see func(n *node, st *unix.Statx_t)) ([]*node, error) {
	if len(names) > 0 && n.id.typ != unix.S_IFDIR {
		return nil, unix.ENOTDIR
	}
	nodes := make([]*node, 0, len(names))
	var st unix.Statx_t
	for _, name := range names {
		if n.id.typ != unix.S_IFDIR {
			break
		}
		s.watchDir(n)
		c, err := s.lookup(n, name, &st)
		if err != nil {
			return nodes, err
		}
		nodes = append(nodes, c)
		if see != nil {
			see(c, &st)
		}
		n = c
	}
	return nodes, nil
}

func (s *session) putNodes(nodes []*node) {
	for _, n := range nodes {
		s.putNode(n)
	}
}

func (r *request) getattr() error {
	num, _ := r.d.U32(), r.d.U64()
	if err := r.done(); err != nil {
		return err
	}
	f, err := r.fid(num)
	if err != nil {
		return err
	}
	a, err := r.s.attr(f.node)
	if err != nil {
		return err
	}
	e := &r.enc
	e.U64(uint64(a.Mask & 0xfff)) // the bits of P9_GETATTR_* are those of statx
	r.qid(f.node.id)
	e.U32(a.Mode)
	e.U32(a.UID)
	e.U32(a.GID)
	e.U64(uint64(a.Nlink))
	e.U64(unix.Mkdev(a.RdevMajor, a.RdevMinor))
	e.U64(a.Size)
	e.U64(uint64(a.Blksize))
	e.U64(a.Blocks)
	for _, t := range [...]proto.Timespec{a.Atime, a.Mtime, a.Ctime, a.Btime} {
		e.U64(uint64(t.Sec))
		e.U64(uint64(t.Nsec))
	}
	e.U64(0) // generation
	e.U64(0) // data version
	return nil
}

func (r *request) setattr() error {
	d := &r.d
	num := d.U32()
	a := proto.SetAttr{Valid: proto.SetMask(d.U32()), Mode: d.U32(), UID: d.U32(), GID: d.U32(), Size: d.U64()}
	for _, t := range [...]*proto.Timespec{&a.Atime, &a.Mtime} {
		t.Sec = int64(d.U64())
		t.Nsec = uint32(min(d.U64(), 1e9))
	}
	if err := r.done(); err != nil {
		return err
	}
	_, err := r.change(num, &a)
	return err
}

// change is what both setattr messages do.
func (r *request) change(num uint32, a *proto.SetAttr) (*fid, error) {
	if a.Valid&^proto.SetAll != 0 || a.Atime.Nsec >= 1e9 || a.Mtime.Nsec >= 1e9 {
		return nil, unix.EINVAL
	}
	f, err := r.changeFID(num)
	if err != nil {
		return nil, err
	}
	return f, r.s.setAttr(f.node, a)
}

func (r *request) readlink() error {
	num := r.d.U32()
	if err := r.done(); err != nil {
		return err
	}
	f, err := r.fid(num)
	if err != nil {
		return err
	}
	target, err := r.s.readlinkNode(f.node)
	if err != nil {
		return err
	}
	r.enc.String(target)
	return nil
}

func (r *request) statfs() error {
	num := r.d.U32()
	if err := r.done(); err != nil {
		return err
	}
	f, err := r.fid(num)
	if err != nil {
		return err
	}
	fd, err := r.s.hold(f.node)
	if err != nil {
		return err
	}
	defer r.s.drop(f.node)
	var st unix.Statfs_t
	if err := retry(func() error { return unix.Fstatfs(fd, &st) }); err != nil {
		return err
	}
	e := &r.enc
	e.U32(uint32(st.Type))
	e.U32(uint32(st.Bsize))
	for _, v := range [...]uint64{st.Blocks, st.Bfree, st.Bavail, st.Files, st.Ffree} {
		e.U64(v)
	}
	e.U64(uint64(uint32(st.Fsid.Val[0])) | uint64(uint32(st.Fsid.Val[1]))<<32)
	e.U32(uint32(st.Namelen))
	return nil
}

// lock: nobody else is there to lock against; the Sentry keeps its own locks.
func (r *request) lock() error {
	num := r.d.U32()
	if _, err := r.fid(num); err != nil {
		return err
	}
	r.enc.U8(0)
	return nil
}

func (r *request) getlock() error {
	num, _, start, length := r.d.U32(), r.d.U8(), r.d.U64(), r.d.U64()
	pid, client := r.d.U32(), r.d.String()
	if err := r.done(); err != nil {
		return err
	}
	if _, err := r.fid(num); err != nil {
		return err
	}
	r.enc.U8(2) // unlocked
	r.enc.U64(start)
	r.enc.U64(length)
	r.enc.U32(pid)
	r.enc.String(client)
	return nil
}
