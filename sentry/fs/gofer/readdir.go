package gofer

import (
	"lazaret/gofer/proto"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// dirFile is an open directory: a snapshot of its names, taken at the first read and
// after each rewind. Positions are indexes into it: 0 is ".", 1 is "..".
type dirFile struct {
	dir *directory

	// Guarded by the VFS, which serializes readers of one open file.
	list        *proto.Listing // nil: not read yet
	ino, parent uint64
}

// maxListing bounds what one open directory may make the Gofer send, in bytes.
const maxListing = 256 << 20

// Open implements vfs.Inode.
func (d *directory) Open(*vfs.Context, *vfs.File) (vfs.FileOps, error) {
	return &dirFile{dir: d}, nil
}

// Read implements vfs.FileOps.
func (f *dirFile) Read(*vfs.Context, *vfs.File, uio.Bufs, *int64) (int, error) {
	return 0, abi.EISDIR
}

// Write implements vfs.FileOps.
func (f *dirFile) Write(*vfs.Context, *vfs.File, uio.Bufs, *int64) (int, error) {
	return 0, abi.EISDIR
}

// Release implements vfs.FileOps.
func (f *dirFile) Release(*vfs.File) {}

// Sync implements vfs.Syncer.
func (f *dirFile) Sync(*vfs.Context, *vfs.File, bool) error {
	file, err := f.dir.getFile()
	if err != nil {
		return err
	}
	return file.Sync()
}

// ReadDir implements vfs.DirReader.
func (f *dirFile) ReadDir(ctx *vfs.Context, file *vfs.File, pos *int64, emit func(*vfs.Dirent) bool) error {
	if *pos == 0 || f.list == nil {
		if err := f.snapshot(file); err != nil {
			return err
		}
	}
	var e vfs.Dirent
	for i := *pos; i < int64(f.list.Len())+2; i++ {
		f.entry(i, &e)
		if !emit(&e) {
			return nil
		}
		*pos = i + 1
	}
	return nil
}

// entry sets e to the i-th entry.
func (f *dirFile) entry(i int64, e *vfs.Dirent) {
	switch i {
	case 0:
		*e = vfs.Dirent{Name: ".", Ino: f.ino, Type: abi.DT_DIR}
	case 1:
		*e = vfs.Dirent{Name: "..", Ino: f.parent, Type: abi.DT_DIR}
	default:
		k := int(i - 2)
		typ, ino := f.list.Type(k)
		*e = vfs.Dirent{Name: f.list.Name(k), Ino: ino, Type: typ}
		if a := f.list.Attr(k); a != nil {
			e.Ino = a.Ino // d_ino of a mount point is the one below
		}
	}
	e.Next = i + 1
}

func (f *dirFile) snapshot(file *vfs.File) error {
	l, err := f.dir.fetch(maxListing, forReading)
	if err != nil {
		return err
	}
	f.dir.fs.wasRead()
	f.list, f.ino = l, f.dir.key.ino
	f.parent = vfs.ParentIno(&vfs.Context{}, file, f.ino)
	return nil
}
