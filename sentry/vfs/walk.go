package vfs

import (
	"lazaret/syscalls/abi"
)

// LookupFlags say how the last component of a name is treated.
type LookupFlags uint32

// Flags of Lookup. The zero value does not follow a symlink in the last component.
const (
	LookupFollow    LookupFlags = 1 << iota // follow a symlink in the last component
	LookupDirectory                         // ENOTDIR unless it is a directory
	LookupEmpty                             // "" names the start itself (AT_EMPTY_PATH)
)

const (
	maxLinks   = 40 // symlinks in one walk (path_resolution(7))
	maxRetries = 8  // walks begun again because the cache changed beneath
)

// errRetry says that a dentry was dropped from the cache while it was walked through.
const errRetry abi.Errno = 0xffff

// Kinds of the last component.
const (
	lastName = iota
	lastDot
	lastDotDot
	lastRoot // the name was only slashes
)

// walker is the state of one path walk.
type walker struct {
	ctx     *Context
	root    Path
	start   Path
	cur     Path
	flags   LookupFlags
	resolve uint64

	rest  string   // what is left of the name
	stack []string // what is left of the names outside of the symlink being followed

	last     string // in parent walks: the last component
	lastKind int
	slash    bool // a slash followed the last component
}

// init prepares a walk of name from start.
func (w *walker) init(ctx *Context, start Path, name string, flags LookupFlags, resolve uint64) error {
	if len(name) >= abi.PATH_MAX {
		return abi.ENAMETOOLONG
	}
	if name == "" && flags&LookupEmpty == 0 {
		return abi.ENOENT
	}
	*w = walker{ctx: ctx, start: start, flags: flags, resolve: resolve, rest: name}
	ctx.Links = 0
	if resolve&abi.RESOLVE_IN_ROOT != 0 {
		w.root = start
	} else {
		w.root = ctx.FS.Root()
	}
	w.cur = start
	if name != "" && name[0] == '/' {
		// RESOLVE_NO_XDEV does not forbid to begin elsewhere, only to go there.
		if resolve&abi.RESOLVE_BENEATH != 0 {
			return abi.EXDEV
		}
		w.cur = w.root
		return nil
	}
	if w.cur.Dentry == nil {
		return abi.ENOENT
	}
	return nil
}

func (w *walker) toRoot() error {
	if w.resolve&abi.RESOLVE_BENEATH != 0 {
		return abi.EXDEV
	}
	if w.resolve&abi.RESOLVE_NO_XDEV != 0 && w.root.Mount != w.cur.Mount {
		return abi.EXDEV
	}
	w.cur = w.root
	return nil
}

// next takes the next component from the name; ok is false at the end. last says that
// none follows, in this name and the ones outside of it.
func (w *walker) next() (comp string, last, ok bool) {
	for {
		s := w.rest
		i := 0
		for i < len(s) && s[i] == '/' {
			i++
		}
		if i > 0 {
			w.slash = true
		}
		s = s[i:]
		if s == "" {
			if len(w.stack) == 0 {
				w.rest = ""
				return "", true, false
			}
			w.rest = w.stack[len(w.stack)-1]
			w.stack = w.stack[:len(w.stack)-1]
			continue
		}
		j := 0
		for j < len(s) && s[j] != '/' {
			j++
		}
		comp, w.rest = s[:j], s[j:]
		return comp, w.atEnd(), true
	}
}

// atEnd reports whether only slashes are left, and notes whether there are any.
func (w *walker) atEnd() bool {
	w.slash = false
	for k := len(w.stack); ; k-- {
		s := w.rest
		if k < len(w.stack) {
			s = w.stack[k]
		}
		for i := 0; i < len(s); i++ {
			if s[i] != '/' {
				return false
			}
			w.slash = true
		}
		if k == 0 {
			return true
		}
	}
}

// walk walks all of the name, or all but the last component when parent is set.
func (w *walker) walk(parent bool) error {
	w.lastKind = lastRoot
	for {
		comp, last, ok := w.next()
		if !ok {
			break
		}
		if !w.cur.Dentry.IsDir() {
			return abi.ENOTDIR
		}
		if err := inodePermission(w.ctx, w.cur.Dentry, MayExec); err != nil {
			return err
		}
		w.last, w.lastKind = comp, kindOf(comp)
		if last && parent {
			return nil
		}
		if err := w.step(comp, last); err != nil {
			return err
		}
	}
	if parent {
		w.last = ""
		return nil
	}
	if (w.slash || w.flags&LookupDirectory != 0) && !w.cur.Dentry.IsDir() {
		return abi.ENOTDIR
	}
	return nil
}

func kindOf(comp string) int {
	if comp[0] == '.' {
		if len(comp) == 1 {
			return lastDot
		}
		if len(comp) == 2 && comp[1] == '.' {
			return lastDotDot
		}
	}
	return lastName
}

// step moves to comp below the current directory.
func (w *walker) step(comp string, last bool) error {
	switch w.lastKind {
	case lastDot:
		return nil
	case lastDotDot:
		return w.up()
	}
	if w.resolve&abi.RESOLVE_CACHED != 0 && w.cur.Dentry.super.cache.lookup(w.cur.Dentry, comp) == nil {
		return abi.EAGAIN
	}
	d, err := lookupChild(w.ctx, w.cur.Dentry, comp)
	if err != nil {
		return err
	}
	if d.inode == nil {
		return abi.ENOENT
	}
	return w.into(d, last)
}

// into moves to the child d of the current directory: through mounts and symlinks.
func (w *walker) into(d *Dentry, last bool) error {
	if d.typ == abi.S_IFLNK && (!last || w.slash || w.flags&LookupFollow != 0) {
		return w.follow(d, last)
	}
	w.cur.Dentry = d
	if d.mounted.Load() > 0 {
		return w.down()
	}
	return nil
}

// down goes to the topmost mount on the current place.
func (w *walker) down() error {
	for w.cur.Mount != nil && w.cur.Dentry.mounted.Load() > 0 {
		m := lookupMount(w.cur)
		if m == nil {
			return nil
		}
		if w.resolve&abi.RESOLVE_NO_XDEV != 0 {
			return abi.EXDEV
		}
		w.cur = Path{m, m.root}
	}
	return nil
}

// up goes to the parent directory, never above the root.
func (w *walker) up() error {
	for {
		if w.cur == w.root {
			if w.resolve&abi.RESOLVE_BENEATH != 0 {
				return abi.EXDEV
			}
			break
		}
		if w.resolve&abi.RESOLVE_BENEATH != 0 && w.cur == w.start {
			return abi.EXDEV
		}
		if w.cur.Mount != nil && w.cur.Dentry == w.cur.Mount.root {
			place := w.cur.Mount.place()
			if place.Mount == nil {
				break
			}
			if w.resolve&abi.RESOLVE_NO_XDEV != 0 {
				return abi.EXDEV
			}
			w.cur = place
			continue
		}
		p := w.cur.Dentry.Parent()
		if p == nil {
			break
		}
		w.cur.Dentry = p
		if w.resolve&(abi.RESOLVE_BENEATH|abi.RESOLVE_IN_ROOT) != 0 && !w.beneath() {
			return abi.EXDEV // a rename moved us out of the start
		}
		break
	}
	return w.down()
}

// beneath reports whether the current place is still below the start.
func (w *walker) beneath() bool {
	for p := w.cur; ; {
		if p == w.start {
			return true
		}
		if p.Mount != nil && p.Dentry == p.Mount.root {
			if p = p.Mount.place(); p.Mount == nil {
				return false
			}
			continue
		}
		if p.Dentry = p.Dentry.Parent(); p.Dentry == nil {
			return false
		}
	}
}

// follow follows the symlink d.
func (w *walker) follow(d *Dentry, last bool) error {
	ctx := w.ctx
	if w.resolve&abi.RESOLVE_NO_SYMLINKS != 0 {
		return abi.ELOOP
	}
	if ctx.Links++; ctx.Links > maxLinks {
		return abi.ELOOP
	}
	if w.cur.Mount != nil && w.cur.Mount.flags.Load()&abi.MS_NOSYMFOLLOW != 0 {
		return abi.ELOOP
	}
	if last {
		if err := mayFollow(ctx, w.cur.Dentry, d); err != nil {
			return err
		}
	}
	if ml, ok := d.inode.(MagicLink); ok {
		done, err := w.magic(ml)
		if done || err != nil {
			return err
		}
	}
	link, ok := d.inode.(Symlink)
	if !ok {
		return abi.EINVAL
	}
	target, err := link.Readlink(ctx)
	if err != nil {
		return err
	}
	accessed(ctx, Path{w.cur.Mount, d}, 0)
	return w.push(target)
}

// push continues the walk with a symlink's target.
func (w *walker) push(target string) error {
	if target == "" {
		return abi.ENOENT
	}
	if w.rest != "" {
		w.stack = append(w.stack, w.rest)
	}
	w.rest = target
	if target[0] == '/' {
		return w.toRoot()
	}
	return nil
}

// magic follows a link that leads to an object. done is false for one that has a name
// to be walked after all (Follow gives the zero Path).
func (w *walker) magic(ml MagicLink) (done bool, err error) {
	if w.resolve&abi.RESOLVE_NO_MAGICLINKS != 0 {
		return false, abi.ELOOP
	}
	p, err := ml.Follow(w.ctx)
	if err != nil || p.Dentry == nil {
		return false, err
	}
	if w.resolve&(abi.RESOLVE_BENEATH|abi.RESOLVE_IN_ROOT) != 0 {
		return false, abi.EXDEV
	}
	if w.resolve&abi.RESOLVE_NO_XDEV != 0 && p.Mount != w.cur.Mount {
		return false, abi.EXDEV
	}
	w.cur = p
	return true, nil
}

// mayFollow is fs.protected_symlinks: in a sticky world-writable directory only one's
// own links and those of the directory's owner are followed (proc_sys_fs(5)).
func mayFollow(ctx *Context, dir, link *Dentry) error {
	if Protected.Symlinks.Load() == 0 {
		return nil
	}
	mode, duid, _, err := perms(ctx, dir.inode)
	if err != nil || mode&(abi.S_ISVTX|abi.S_IWOTH) != abi.S_ISVTX|abi.S_IWOTH {
		return err
	}
	_, luid, _, err := perms(ctx, link.inode)
	if err != nil {
		return err
	}
	if luid == ctx.Creds.FSUID || luid == duid {
		return nil
	}
	return abi.EACCES
}

// lookupChild returns the dentry of name in dir, of a name that nothing has or ENOENT.
func lookupChild(ctx *Context, dir *Dentry, name string) (*Dentry, error) {
	d := dir.super.cache.lookup(dir, name)
	if d != nil && dir.flags.Load()&dRevalidate == 0 {
		return d, nil
	}
	if d != nil {
		if dir.inode.(Revalidator).Revalidate(ctx, name, d.inode) {
			return d, nil
		}
		if d.mounted.Load() > 0 {
			return d, nil
		}
	}
	if len(name) > abi.NAME_MAX {
		return nil, abi.ENAMETOOLONG
	}
	if dir.state == nil {
		return nil, abi.ENOTDIR
	}
	dir.state.mu.Lock()
	defer dir.state.mu.Unlock()
	inode, d, err := findLocked(ctx, dir, name)
	switch {
	case err != nil || d != nil:
		return d, err
	case inode == nil && !dir.remembers():
		return nil, abi.ENOENT
	}
	return hash(ctx, newDentry(dir, name), inode)
}

// lookupLocked returns the dentry of name in dir, which is locked; its inode is nil when
// nothing has that name.
func lookupLocked(ctx *Context, dir *Dentry, name string) (*Dentry, error) {
	inode, d, err := findLocked(ctx, dir, name)
	switch {
	case err != nil || d != nil:
		return d, err
	case inode == nil && !dir.remembers():
		return newDentry(dir, name), nil
	}
	return hash(ctx, newDentry(dir, name), inode)
}

// remembers reports whether what is not in the directory d is remembered.
func (d *Dentry) remembers() bool {
	return d.flags.Load()&dCheapMisses == 0 && !d.Deleted()
}

// findLocked returns the cached dentry of name in dir, which is locked, or what the file
// system has for it: an inode, or nothing.
func findLocked(ctx *Context, dir *Dentry, name string) (Inode, *Dentry, error) {
	c := &dir.super.cache
	if d := c.lookup(dir, name); d != nil {
		if dir.flags.Load()&dRevalidate == 0 || d.mounted.Load() > 0 || dir.inode.(Revalidator).Revalidate(ctx, name, d.inode) {
			return nil, d, nil
		}
		c.drop(d)
	}
	if len(name) > abi.NAME_MAX {
		return nil, nil, abi.ENAMETOOLONG
	}
	fsDir, err := dir.dir()
	if err != nil || dir.Deleted() {
		return nil, nil, err
	}
	inode, err := fsDir.Lookup(ctx, name)
	if err == abi.ENOENT && !dir.super.NoMissing {
		return nil, nil, nil
	}
	return inode, nil, err
}

// hash puts a new dentry into the cache, naming inode or, if that is nil, nothing.
// Preconditions: the directory is locked.
func hash(ctx *Context, d *Dentry, inode Inode) (*Dentry, error) {
	if inode != nil {
		if err := d.instantiate(ctx, inode); err != nil {
			return nil, err
		}
	}
	if !d.super.cache.insert(d) {
		d.kill()
		return nil, errRetry
	}
	return d, nil
}

// resolve walks name and returns where it leads.
func resolve(ctx *Context, start Path, name string, flags LookupFlags, how uint64) (Path, error) {
	var w walker
	for i := 0; ; i++ {
		err := w.init(ctx, start, name, flags, how)
		if err == nil {
			err = w.walk(false)
		}
		if err == nil {
			return w.cur, nil
		}
		if err != errRetry {
			return Path{}, err
		}
		if i == maxRetries {
			return Path{}, abi.ESTALE
		}
	}
}

// Lookup returns where name leads from start (a directory; for absolute names unused).
func Lookup(ctx *Context, start Path, name string, flags LookupFlags) (Path, error) {
	return resolve(ctx, start, name, flags, 0)
}

// LookupResolve is Lookup with openat2(2)'s RESOLVE_* flags.
func LookupResolve(ctx *Context, start Path, name string, flags LookupFlags, how uint64) (Path, error) {
	return resolve(ctx, start, name, flags, how)
}
