package gofer

import (
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// dirFile is an open directory: a snapshot of its names, taken at the first read and
// after each rewind. Positions are indexes into it: 0 is ".", 1 is "..".
type dirFile struct {
	dir  *directory
	list []vfs.Dirent // guarded by the VFS, which serializes readers of one open file
	read bool
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
	if *pos == 0 || !f.read {
		if err := f.snapshot(file); err != nil {
			return err
		}
	}
	for i := *pos; i < int64(len(f.list)); i++ {
		if !emit(&f.list[i]) {
			return nil
		}
		*pos = i + 1
	}
	return nil
}

func (f *dirFile) snapshot(file *vfs.File) error {
	all, err := f.dir.fetch(maxListing)
	if err != nil {
		return err
	}
	parent := f.dir.attr.Ino
	if p := file.Path.Dentry.Parent(); p != nil {
		if a, err := p.Inode().Attr(nil, abi.AT_STATX_DONT_SYNC); err == nil {
			parent = a.Ino
		}
	}
	f.list = make([]vfs.Dirent, 0, len(all)+2)
	f.list = append(f.list, vfs.Dirent{Name: ".", Ino: f.dir.attr.Ino, Type: abi.S_IFDIR >> 12, Next: 1},
		vfs.Dirent{Name: "..", Ino: parent, Type: abi.S_IFDIR >> 12, Next: 2})
	for i := range all {
		e := &all[i]
		ino := e.Ino
		if e.Attr != nil {
			a := f.dir.fs.convert(e.Attr)
			ino = a.Ino
		}
		f.list = append(f.list, vfs.Dirent{Name: e.Name, Ino: ino, Type: e.Type, Next: int64(len(f.list) + 1)})
	}
	f.read = true
	return nil
}
