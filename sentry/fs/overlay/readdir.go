package overlay

import (
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// dirFile is an open directory. Its listing is made when reading starts, so that
// positions stay what they were.
type dirFile struct {
	dir     *dir
	through vfs.FileOps  // of the only directory below; nil: entries
	entries []vfs.Dirent // merged, without . and ..
	read    bool
}

// Open implements vfs.Inode.
func (d *dir) Open(*vfs.Context, *vfs.File) (vfs.FileOps, error) { return &dirFile{dir: d}, nil }

// Read implements vfs.FileOps.
func (*dirFile) Read(*vfs.Context, *vfs.File, uio.Bufs, *int64) (int, error) { return 0, abi.EISDIR }

// Write implements vfs.FileOps.
func (*dirFile) Write(*vfs.Context, *vfs.File, uio.Bufs, *int64) (int, error) {
	return 0, abi.EISDIR
}

// Release implements vfs.FileOps.
func (o *dirFile) Release(f *vfs.File) {
	if o.through != nil {
		o.through.Release(f)
	}
}

// begin makes the listing.
func (o *dirFile) begin(ctx *vfs.Context, f *vfs.File) error {
	o.Release(f)
	o.through, o.entries, o.read = nil, nil, true
	d := o.dir
	if d.upper.Load() == nil && len(d.lowers) == 1 && d.fs.nLower == 1 {
		var err error
		o.through, err = d.lower.Open(ctx, f)
		return err
	}
	var err error
	o.entries, err = d.merge(ctx)
	return err
}

// ReadDir implements vfs.DirReader.
func (o *dirFile) ReadDir(ctx *vfs.Context, f *vfs.File, pos *int64, emit func(*vfs.Dirent) bool) error {
	if *pos == 0 || !o.read {
		if err := o.begin(ctx, f); err != nil {
			return err
		}
	}
	if o.through != nil {
		r, ok := o.through.(vfs.DirReader)
		if !ok {
			return abi.ENOTDIR
		}
		return r.ReadDir(ctx, f, pos, emit)
	}
	for *pos < int64(len(o.entries))+2 {
		var e vfs.Dirent
		switch *pos {
		case 0:
			e = vfs.Dirent{Name: ".", Ino: o.dir.ino, Type: abi.DT_DIR}
		case 1:
			e = vfs.Dirent{Name: "..", Ino: vfs.ParentIno(ctx, f, o.dir.ino), Type: abi.DT_DIR}
		default:
			e = o.entries[*pos-2]
		}
		e.Next = *pos + 1
		if !emit(&e) {
			return nil
		}
		*pos++
	}
	return nil
}

// list returns the names in a directory of one of the trees, without . and ..
func list(ctx *vfs.Context, d vfs.Directory) ([]vfs.Dirent, error) {
	f, err := vfs.OpenInode(ctx, d, abi.O_RDONLY|abi.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer f.DecRef()
	var out []vfs.Dirent
	err = f.ReadDir(ctx, func(e *vfs.Dirent) bool {
		if e.Name != "." && e.Name != ".." {
			out = append(out, *e)
		}
		return true
	})
	return out, err
}

// merge returns the visible names of d.
func (d *dir) merge(ctx *vfs.Context) ([]vfs.Dirent, error) {
	var out []vfs.Dirent
	seen := map[string]bool{}
	if u, ok := d.upperInode().(vfs.Directory); ok {
		names, err := list(ctx, u)
		if err != nil {
			return nil, err
		}
		for _, e := range names {
			seen[e.Name] = true
			i, err := u.Lookup(ctx, e.Name)
			if err != nil || e.Type == abi.DT_CHR && isWhiteout(ctx, i) {
				continue
			}
			e.Ino = d.upperEntryIno(ctx, e.Name, e.Ino, i)
			out = append(out, e)
		}
	}
	for _, l := range d.lowers {
		names, err := list(ctx, l)
		if err != nil {
			return nil, err
		}
		for _, e := range names {
			if seen[e.Name] {
				continue
			}
			seen[e.Name] = true
			if e.Type == abi.DT_CHR {
				if i, err := l.Lookup(ctx, e.Name); err == nil && isWhiteout(ctx, i) {
					continue
				}
			}
			out = append(out, e)
		}
	}
	return out, nil
}

// upperEntryIno returns the inode number that stat(2) gives for an upper entry.
func (d *dir) upperEntryIno(ctx *vfs.Context, name string, ino uint64, i vfs.Inode) uint64 {
	d.fs.mu.Lock()
	o, ok := d.fs.origins[i]
	d.fs.mu.Unlock()
	if ok {
		return o.ino
	}
	if t, _ := typeOf(ctx, i); t == abi.S_IFDIR && len(d.lowers) > 0 && !isOpaque(ctx, i) {
		if l, lt, err := d.lookupLower(ctx, name); err == nil && len(l) > 0 && lt == abi.S_IFDIR {
			if a, err := l[0].Attr(ctx, abi.AT_STATX_DONT_SYNC); err == nil {
				return a.Ino
			}
		}
	}
	return ino | upperIno
}
