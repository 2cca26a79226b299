package proto

import "lazaret/syscalls/abi"

// FilesIn are regular files of one directory.
type FilesIn struct {
	Path  []string // leads to the directory
	Names []string
}

// Opened is a file that was opened for reading.
type Opened struct {
	FD   int // the caller's
	Attr Attr
}

// OpenMany opens regular files for reading, of the directories that their paths lead to
// from f. The first must be one; it comes first in the result, with those of the others
// that could be opened.
func (f *File) OpenMany(files []FilesIn) ([]Opened, error) {
	ch, err := f.c.acquire(Txopens)
	if err != nil {
		return nil, err
	}
	defer f.c.release(ch)
	e := &ch.enc
	e.U32(f.fid)
	e.U16(uint16(len(files)))
	for _, in := range files {
		for _, list := range [...][]string{in.Path, in.Names} {
			e.U16(uint16(len(list)))
			for _, n := range list {
				if err := checkName(n); err != nil {
					return nil, err
				}
				e.String(n)
			}
		}
	}
	var fds [MaxFDs]int32
	d, n, err := f.c.exchangeFDs(ch, fds[:])
	if err != nil {
		return nil, err
	}
	attrs, ok := decodeOpens(&d, n)
	if !ok {
		closeAll(fds[:n])
		return nil, f.c.fail()
	}
	out := make([]Opened, n)
	for i := range out {
		fd, err := f.c.takeFD(int(fds[i]), abi.S_IFREG)
		if err != nil {
			for _, o := range out[:i] {
				closeFD(o.FD)
			}
			closeAll(fds[i+1 : n])
			return nil, err
		}
		out[i] = Opened{fd, attrs[i]}
	}
	return out, nil
}

// decodeOpens reads an Rxopens that n descriptors came with.
func decodeOpens(d *Decoder, n int) ([]Attr, bool) {
	if int(d.U16()) != n || n == 0 {
		return nil, false
	}
	attrs := make([]Attr, n)
	for i := range attrs {
		if d.Attr(&attrs[i]); attrs[i].Mode&abi.S_IFMT != abi.S_IFREG {
			return nil, false
		}
	}
	return attrs, d.Done()
}
