package server

import (
	"strings"

	"golang.org/x/sys/unix"

	"lazaret/gofer/proto"
)

// xopens opens files for reading that the client expects to want soon.
func (r *request) xopens() error {
	num, dirs := r.d.U32(), int(r.d.U16())
	if dirs == 0 || dirs > proto.MaxFDs {
		return unix.EINVAL
	}
	f, err := r.dirFID(num)
	if err != nil {
		return err
	}
	n := f.node
	base, err := r.s.hold(n)
	if err != nil {
		return err
	}
	defer r.s.drop(n)
	at := r.enc.Len()
	r.enc.U16(0)
	flags := r.s.childFlags(n)
	for range dirs {
		path, err := r.names(proto.MaxWalk)
		if err != nil {
			return err
		}
		names, err := r.names(proto.MaxFDs)
		if err != nil {
			return err
		}
		if err := r.openFiles(base, strings.Join(path, "/"), names, flags); err != nil && len(r.fds) == 0 {
			return err
		}
	}
	if len(r.fds) == 0 {
		return unix.EINVAL // no name at all
	}
	r.enc.SetU16(at, uint16(len(r.fds)))
	return r.done()
}

// openFiles opens names in the directory path below base. Only if nothing was opened before
// is a failure of the first an error.
func (r *request) openFiles(base int, path string, names []string, flags uint32) error {
	if len(r.fds) >= proto.MaxFDs {
		return nil
	}
	dir := base
	if len(path) > proto.MaxListPath {
		return unix.ENAMETOOLONG
	}
	if path != "" {
		fd, err := openBeneath(base, path, unix.O_PATH|unix.O_DIRECTORY, 0)
		if err != nil {
			return stale(err)
		}
		defer closeFDs(fd)
		dir = fd
	}
	for _, name := range names {
		if len(r.fds) >= proto.MaxFDs {
			return nil
		}
		var st unix.Statx_t
		fd, err := openRegular(dir, name, &st)
		if err != nil {
			if len(r.fds) == 0 {
				return err
			}
			continue
		}
		a := attrOf(&st, flags)
		r.enc.Attr(&a)
		r.fds = append(r.fds, int32(fd))
	}
	return nil
}

// openRegular opens a regular file for reading. What it is is looked at first: opening a
// device does things.
func openRegular(dir int, name string, st *unix.Statx_t) (int, error) {
	if err := statAt(dir, name, st); err != nil {
		return -1, stale(err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return -1, unix.ESTALE
	}
	id := identityOf(st)
	fd, err := openBeneath(dir, name, unix.O_RDONLY|openFlags, 0)
	if err != nil {
		return -1, stale(err)
	}
	if err := statAt(fd, "", st); err != nil || identityOf(st) != id {
		closeFDs(fd)
		return -1, unix.ESTALE
	}
	return fd, nil
}
