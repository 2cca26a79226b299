package server

import (
	"golang.org/x/sys/unix"

	"lazaret/gofer/proto"
)

// Handlers of the extensions (see package proto).

func (r *request) xattach() error {
	num, aname := r.d.U32(), r.d.String()
	if err := r.done(); err != nil {
		return err
	}
	n, err := r.attachTo(num, aname)
	if err != nil {
		return err
	}
	a, err := r.s.attr(n)
	if err != nil {
		_ = r.s.clunk(num)
		return err
	}
	r.enc.Attr(&a)
	return nil
}

func (r *request) xwalk() error {
	d := &r.d
	num, tail, flags, limit, n := d.U32(), d.U8(), int(d.U32()), d.U32(), int(d.U16())
	if n == 0 || n > proto.MaxWalk || tail > proto.TailLookup {
		return unix.EINVAL
	}
	names, nums := make([]string, n), make([]uint32, n)
	for i := range names {
		var err error
		nums[i] = d.U32()
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
	if err := r.s.checkFIDs(nums...); err != nil {
		return err
	}
	e := &r.enc
	at := e.Len()
	e.U32(0)
	e.U32(0)
	e.U16(0)
	nodes, werr := r.s.resolve(f.node, names, func(c *node, st *unix.Statx_t) {
		a := attrOf(st, r.s.attrFlags(c))
		e.Attr(&a)
	})
	k := len(nodes)
	in, searched := f.node, k-2
	if werr != nil {
		e.SetU32(at, errnoOf(werr))
		searched = k - 1
	}
	if searched >= 0 {
		in = nodes[searched]
	}
	e.SetU32(at+4, r.s.childFlags(in))
	e.SetU16(at+8, uint16(k))
	r.walkTail(tail, flags, int(min(limit, proto.MaxMessage)), nodes, n)
	return r.s.addFIDs(nums[:k], nodes)
}

// walkTail does what comes after a complete walk. Its errors are part of the reply.
func (r *request) walkTail(tail uint8, flags, limit int, nodes []*node, names int) {
	e := &r.enc
	at := e.Len()
	e.U32(0)
	if len(nodes) != names || tail == proto.TailNone {
		return
	}
	last := nodes[names-1]
	var err error
	var st unix.Statx_t
	switch {
	case tail == proto.TailOpen:
		r.fd, err = r.s.openForClient(last, flags, &st)
	case tail == proto.TailReaddir:
		err = r.list(last, 0, limit)
	case last.id.typ == unix.S_IFREG:
		r.fd, err = r.s.openForClient(last, unix.O_RDONLY, &st)
	case last.id.typ == unix.S_IFLNK:
		var target string
		if target, err = r.s.readlinkNode(last); err == nil {
			e.String(target)
		}
	}
	if err != nil {
		e.Truncate(at)
		e.U32(errnoOf(err))
	}
}

// openForClient opens n; a directory is only checked, the client gets no descriptor of it.
func (s *session) openForClient(n *node, flags int, st *unix.Statx_t) (int, error) {
	fd, err := s.openNode(n, flags, st)
	if err == nil && n.id.typ == unix.S_IFDIR {
		closeFDs(fd)
		fd = -1
	}
	if err != nil {
		fd = -1
	}
	return fd, err
}

func (r *request) xopen() error {
	num, flags := r.d.U32(), int(r.d.U32())
	if err := r.done(); err != nil {
		return err
	}
	f, err := r.fid(num)
	if err != nil {
		return err
	}
	r.s.watchFor(f.node)
	var st unix.Statx_t
	if r.fd, err = r.s.openForClient(f.node, flags, &st); err != nil {
		return err
	}
	a := attrOf(&st, r.s.attrFlags(f.node))
	r.enc.Attr(&a)
	return nil
}

func (r *request) xcreate() error {
	d := &r.d
	num, newNum, name := d.U32(), d.U32(), d.String()
	flags, mode, uid, gid := int(d.U32()), d.U32(), d.U32(), d.U32()
	if err := r.done(); err != nil {
		return err
	}
	tmp := flags&unix.O_TMPFILE == unix.O_TMPFILE
	if len(name) > proto.MaxName {
		return unix.ENAMETOOLONG
	}
	if tmp != (name == "") || (!tmp && !proto.ValidName(name)) {
		return unix.EINVAL
	}
	f, err := r.changeDir(num)
	if err != nil {
		return err
	}
	if err := r.s.checkFIDs(newNum); err != nil {
		return err
	}
	r.s.watchDir(f.node)
	var st unix.Statx_t
	var n *node
	var fd int
	if tmp {
		n, fd, err = r.s.createTmp(f.node, flags, mode, uid, gid, &st)
	} else {
		n, fd, err = r.s.create(f.node, name, flags, mode, uid, gid, &st)
	}
	if err != nil {
		return err
	}
	r.fd = fd
	a := attrOf(&st, r.s.attrFlags(n))
	r.enc.Attr(&a)
	return r.s.addFIDs([]uint32{newNum}, []*node{n})
}

func (r *request) xreaddir() error {
	num, off, limit := r.d.U32(), r.d.U64(), r.d.U32()
	if err := r.done(); err != nil {
		return err
	}
	f, err := r.dirFID(num)
	if err != nil {
		return err
	}
	return r.list(f.node, off, int(min(limit, proto.MaxMessage)))
}

func (r *request) xgetattr() error {
	num := r.d.U32()
	if err := r.done(); err != nil {
		return err
	}
	f, err := r.fid(num)
	if err != nil {
		return err
	}
	return r.attrOf(f)
}

// attrOf answers with a file's present attributes.
func (r *request) attrOf(f *fid) error {
	a, err := r.s.attr(f.node)
	if err != nil {
		return err
	}
	r.enc.Attr(&a)
	return nil
}

func (r *request) xsetattr() error {
	d := &r.d
	num := d.U32()
	a := proto.SetAttr{Valid: proto.SetMask(d.U32()), Mode: d.U32(), UID: d.U32(), GID: d.U32(), Size: d.U64()}
	a.Atime, a.Mtime = d.Time(), d.Time()
	if err := r.done(); err != nil {
		return err
	}
	f, err := r.change(num, &a)
	if err != nil {
		return err
	}
	return r.attrOf(f)
}

func (r *request) xmake() error {
	d := &r.d
	num, newNum := d.U32(), d.U32()
	name, err := r.name()
	if err != nil {
		return err
	}
	mode, uid, gid, major, minor := d.U32(), d.U32(), d.U32(), d.U32(), d.U32()
	target := d.String()
	if err := r.done(); err != nil {
		return err
	}
	f, err := r.changeDir(num)
	if err != nil {
		return err
	}
	if err := r.s.checkFIDs(newNum); err != nil {
		return err
	}
	r.s.watchDir(f.node)
	var st unix.Statx_t
	n, err := r.s.makeNode(f.node, name, mode, uid, gid, unix.Mkdev(major, minor), target, &st)
	if err != nil {
		return err
	}
	a := attrOf(&st, r.s.attrFlags(n))
	r.enc.Attr(&a)
	return r.s.addFIDs([]uint32{newNum}, []*node{n})
}

func (r *request) xlink() error {
	dnum, num := r.d.U32(), r.d.U32()
	f, err := r.linkTo(dnum, num)
	if err != nil {
		return err
	}
	return r.attrOf(f)
}

func (r *request) xfallocate() error {
	num, mode, off, length := r.d.U32(), r.d.U32(), r.d.U64(), r.d.U64()
	if err := r.done(); err != nil {
		return err
	}
	f, err := r.changeFID(num)
	if err != nil {
		return err
	}
	if f.node.id.typ != unix.S_IFREG {
		return unix.ENODEV
	}
	if int64(off) < 0 || int64(length) <= 0 {
		return unix.EINVAL
	}
	var st unix.Statx_t
	fd, err := r.s.openNode(f.node, unix.O_WRONLY, &st)
	if err != nil {
		return err
	}
	defer closeFDs(fd)
	if err := retry(func() error { return unix.Fallocate(fd, mode, int64(off), int64(length)) }); err != nil {
		return err
	}
	return r.attrOf(f)
}

// xclunk closes many fids. Wrong numbers are passed over: nobody waits for an answer.
func (r *request) xclunk() error {
	n := r.d.U32()
	if n > proto.MaxClunk {
		return unix.EINVAL
	}
	for range n {
		num := r.d.U32()
		if !r.d.OK() {
			return unix.EINVAL
		}
		_ = r.s.clunk(num)
	}
	return nil
}

func (r *request) xchannel() error {
	kind := r.d.U32()
	if err := r.done(); err != nil {
		return err
	}
	switch kind {
	case proto.ChannelRequests:
		fd, err := r.s.addChannel()
		r.fd = fd
		return err
	case proto.ChannelEvents:
		client, server, err := proto.SocketPair()
		if err != nil {
			return err
		}
		conn, err := proto.NewConn(server)
		if err == nil {
			err = r.s.watch.start(conn)
		}
		if err != nil {
			closeFDs(client, server)
			return err
		}
		r.fd = client
		return nil
	}
	return unix.EINVAL
}

func (r *request) xstopevents() error {
	if err := r.done(); err != nil {
		return err
	}
	r.s.watch.stop()
	return nil
}
