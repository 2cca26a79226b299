package pseudo

import (
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// File is the inode of a node that is a file.
type File struct {
	Inode
	node *Node
}

// Dir is the inode of a node that is a directory.
type Dir struct {
	Inode
	ReadOnlyDir
	node    *Node
	inoBase uint64
}

// Link is the inode of a node that is a symlink.
type Link struct {
	Inode
	node *Node
}

// NewInode returns an inode of n. Inode numbers are inoBase plus the node's index.
func NewInode(s *vfs.Super, n *Node, inoBase uint64) vfs.Inode {
	switch n.Mode & abi.S_IFMT {
	case abi.S_IFDIR:
		d := &Dir{node: n, inoBase: inoBase}
		d.init(s, n, inoBase)
		return d
	case abi.S_IFLNK:
		l := &Link{node: n}
		l.init(s, n, inoBase)
		return l
	}
	f := &File{node: n}
	f.init(s, n, inoBase)
	return f
}

func (i *Inode) init(s *vfs.Super, n *Node, inoBase uint64) {
	i.Sup, i.Ino, i.Mode, i.Len = s, inoBase+n.Index, n.Mode, n.Size
}

// Readlink implements vfs.Symlink.
func (l *Link) Readlink(*vfs.Context) (string, error) { return l.node.Link, nil }

// Open implements vfs.Inode.
func (i *File) Open(*vfs.Context, *vfs.File) (vfs.FileOps, error) { return &Seq{}, nil }

// Show implements Shower.
func (i *File) Show(ctx *vfs.Context, f *vfs.File, b *Buf) error {
	if i.node.Show == nil {
		b.Str(i.node.Text)
		return nil
	}
	return i.node.Show(&Call{Ctx: ctx, File: f, FS: i.Sup.FS, Node: i.node}, b)
}

// Store implements Storer.
func (i *File) Store(ctx *vfs.Context, f *vfs.File, data []byte, pos int64) error {
	if i.node.Store == nil {
		return abi.EIO
	}
	return i.node.Store(&Call{Ctx: ctx, File: f, FS: i.Sup.FS, Node: i.node, Pos: pos}, data)
}

// Lookup implements vfs.Directory.
func (d *Dir) Lookup(_ *vfs.Context, name string) (vfs.Inode, error) {
	if n := d.node.Child(name); n != nil {
		return NewInode(d.Sup, n, d.inoBase), nil
	}
	return nil, abi.ENOENT
}

// Attr implements vfs.Inode.
func (d *Dir) Attr(ctx *vfs.Context, flags int) (vfs.Attr, error) {
	a, err := d.Inode.Attr(ctx, flags)
	for _, c := range d.node.children {
		if c.IsDir() {
			a.Nlink++
		}
	}
	return a, err
}

// Open implements vfs.Inode.
func (d *Dir) Open(*vfs.Context, *vfs.File) (vfs.FileOps, error) { return dirOps{}, nil }

type dirOps struct{ DirOps }

// ReadDir implements vfs.DirReader.
func (dirOps) ReadDir(ctx *vfs.Context, f *vfs.File, pos *int64, emit func(*vfs.Dirent) bool) error {
	d, ok := f.Inode.(*Dir)
	if !ok {
		return abi.ENOTDIR
	}
	e := Emitter{pos, emit}
	if e.Dots(ctx, f, d.Ino) {
		d.node.Emit(&e, 2, d.inoBase)
	}
	return nil
}

// Emit emits the children of n, the first at position first; false: the reader has
// enough.
func (n *Node) Emit(e *Emitter, first int64, inoBase uint64) bool {
	for i, c := range n.children {
		if !e.Entry(first+int64(i), c.Name, inoBase+c.Index, c.Mode) {
			return false
		}
	}
	return true
}
