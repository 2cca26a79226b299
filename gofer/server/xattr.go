package server

import (
	"strings"

	"golang.org/x/sys/unix"

	"lazaret/gofer/proto"
)

// xattrName checks an attribute's name. The other namespaces belong to the host: trusted
// ones steer file systems such as overlay.
func xattrName(name string) error {
	if name == "" || len(name) > 255 || strings.IndexByte(name, 0) >= 0 {
		return unix.ERANGE
	}
	for _, p := range [...]string{"user.", "security.", "system.posix_acl_"} {
		if strings.HasPrefix(name, p) {
			return nil
		}
	}
	if strings.HasPrefix(name, "trusted.") {
		return unix.EPERM
	}
	return unix.EOPNOTSUPP
}

// xattrCalls are one operation by path (links not followed) and by descriptor.
type xattrCalls struct {
	byPath func(path string) error
	byFD   func(fd int) error
}

// xattr runs one operation on n.
func (s *session) xattr(n *node, c xattrCalls) error {
	p, err := s.place(n)
	if err != nil {
		return err
	}
	defer s.leave(p)
	switch {
	case p.name != "":
		return inDir(p.dir, func() error { return c.byPath(p.name) })
	case n.id.typ == unix.S_IFDIR:
		return inDir(p.dir, func() error { return c.byPath(".") })
	}
	err = c.byFD(p.dir)
	if err == unix.EBADF { // O_PATH
		return unix.ESTALE
	}
	return err
}

func (s *session) getXattr(n *node, name string) ([]byte, error) {
	if err := xattrName(name); err != nil {
		if err == unix.EPERM {
			err = unix.ENODATA // what an unprivileged reader is told
		}
		return nil, err
	}
	buf := make([]byte, proto.MaxXattr)
	var k int
	err := s.xattr(n, xattrCalls{
		func(path string) (err error) { k, err = unix.Lgetxattr(path, name, buf); return err },
		func(fd int) (err error) { k, err = unix.Fgetxattr(fd, name, buf); return err },
	})
	if err != nil {
		return nil, err
	}
	return buf[:k], nil
}

// listXattr returns the names that getXattr would serve, each with a NUL after it.
func (s *session) listXattr(n *node) ([]byte, error) {
	buf := make([]byte, proto.MaxXattr)
	var k int
	err := s.xattr(n, xattrCalls{
		func(path string) (err error) { k, err = unix.Llistxattr(path, buf); return err },
		func(fd int) (err error) { k, err = unix.Flistxattr(fd, buf); return err },
	})
	if err != nil {
		return nil, err
	}
	var out []byte
	for _, name := range strings.Split(string(buf[:k]), "\x00") {
		if name != "" && xattrName(name) == nil {
			out = append(append(out, name...), 0)
		}
	}
	return out, nil
}

func (s *session) setXattr(n *node, name string, value []byte, flags int) error {
	if err := xattrName(name); err != nil {
		return err
	}
	if len(value) > proto.MaxXattr {
		return unix.E2BIG
	}
	return s.xattr(n, xattrCalls{
		func(path string) error { return unix.Lsetxattr(path, name, value, flags) },
		func(fd int) error { return unix.Fsetxattr(fd, name, value, flags) },
	})
}

func (s *session) removeXattr(n *node, name string) error {
	if err := xattrName(name); err != nil {
		return err
	}
	return s.xattr(n, xattrCalls{
		func(path string) error { return unix.Lremovexattr(path, name) },
		func(fd int) error { return unix.Fremovexattr(fd, name) },
	})
}

func (r *request) xgetx() error {
	num, name, size := r.d.U32(), r.d.String(), r.d.U32()
	if err := r.done(); err != nil {
		return err
	}
	f, err := r.fid(num)
	if err != nil {
		return err
	}
	data, err := r.s.getXattr(f.node, name)
	return r.sized(data, size, err)
}

func (r *request) xlistx() error {
	num, size := r.d.U32(), r.d.U32()
	if err := r.done(); err != nil {
		return err
	}
	f, err := r.fid(num)
	if err != nil {
		return err
	}
	data, err := r.s.listXattr(f.node)
	return r.sized(data, size, err)
}

// sized answers with data, or with its length alone if size is 0.
func (r *request) sized(data []byte, size uint32, err error) error {
	if err != nil {
		return err
	}
	if size != 0 && uint64(len(data)) > uint64(size) {
		return unix.ERANGE
	}
	r.enc.U32(uint32(len(data)))
	if size == 0 {
		data = nil
	}
	r.enc.Data(data)
	return nil
}

func (r *request) xsetx() error {
	num, name, flags, value := r.d.U32(), r.d.String(), r.d.U32(), r.d.Data()
	if err := r.done(); err != nil {
		return err
	}
	f, err := r.changeFID(num)
	if err != nil {
		return err
	}
	return r.s.setXattr(f.node, name, value, int(flags))
}

func (r *request) xremovex() error {
	num, name := r.d.U32(), r.d.String()
	if err := r.done(); err != nil {
		return err
	}
	f, err := r.changeFID(num)
	if err != nil {
		return err
	}
	return r.s.removeXattr(f.node, name)
}
