package vfs

import (
	"strings"

	"lazaret/sentry/auth"
	"lazaret/syscalls/abi"
)

func cloneString(s string) string { return strings.Clone(s) }

// Stat returns the attributes of what is at p and the device number (st_dev).
func Stat(ctx *Context, p Path) (Attr, uint64, error) { return StatX(ctx, p, 0) }

// DeviceNumberer is an Inode whose st_dev is not its super block's (overlay).
type DeviceNumberer interface {
	Dev() uint64
}

// Dev returns the device number (st_dev) of what d names.
func (d *Dentry) Dev() uint64 {
	if n, ok := d.inode.(DeviceNumberer); ok {
		return n.Dev()
	}
	return d.super.Dev()
}

// StatX is Stat with AT_STATX_* flags.
func StatX(ctx *Context, p Path, flags int) (Attr, uint64, error) {
	if p.Dentry.inode == nil {
		return Attr{}, 0, abi.ENOENT
	}
	a, err := p.Dentry.inode.Attr(ctx, flags)
	if p.Mount != nil && p.Dentry == p.Mount.root {
		a.Flags |= abi.STATX_ATTR_MOUNT_ROOT
	}
	return a, p.Dentry.Dev(), err
}

// changeAttr sets attributes of p with its inode locked.
func changeAttr(ctx *Context, d *Dentry, set *SetAttr) error {
	if set.Valid&SetCtime == 0 {
		set.Valid |= SetCtime
		set.Ctime = ctx.Now()
	}
	return d.inode.SetAttr(ctx, set)
}

// Chmod is fchmodat(2) of what is at p.
func Chmod(ctx *Context, p Path, mode uint32) error {
	if err := mayWriteMount(p); err != nil {
		return err
	}
	d := p.Dentry
	if d.typ == abi.S_IFLNK {
		return abi.EOPNOTSUPP
	}
	d.state.mu.Lock()
	err := chmodLocked(ctx, d, mode&0o7777)
	d.state.mu.Unlock()
	if err == nil {
		notifyInode(d, inAttrib)
	}
	return err
}

func chmodLocked(ctx *Context, d *Dentry, mode uint32) error {
	_, uid, gid, err := perms(ctx, d.inode)
	if err != nil {
		return err
	}
	if !ownerOrCapable(ctx.Creds, uid) {
		return abi.EPERM
	}
	if mode&abi.S_ISGID != 0 && !ctx.Creds.InGroup(gid) && !capOver(ctx.Creds, abi.CAP_FSETID, uid, gid) {
		mode &^= abi.S_ISGID
	}
	return changeAttr(ctx, d, &SetAttr{Valid: SetMode, Mode: mode})
}

// Chown is fchownat(2) of what is at p. Only the ids that valid (SetUID, SetGID) names
// are set; the caller has mapped them from its user namespace (EINVAL if there is no map).
func Chown(ctx *Context, p Path, valid uint32, uid auth.KUID, gid auth.KGID) error {
	if err := mayWriteMount(p); err != nil {
		return err
	}
	d := p.Dentry
	d.state.mu.Lock()
	err := chownLocked(ctx, d, &SetAttr{Valid: valid & (SetUID | SetGID), UID: uid, GID: gid})
	d.state.mu.Unlock()
	if err == nil {
		notifyInode(d, inAttrib)
	}
	return err
}

func chownLocked(ctx *Context, d *Dentry, set *SetAttr) error {
	c := ctx.Creds
	mode, uid, gid, err := perms(ctx, d.inode)
	if err != nil {
		return err
	}
	if set.Valid&SetUID != 0 && !(c.FSUID == uid && set.UID == uid) && !capOver(c, abi.CAP_CHOWN, uid, gid) {
		return abi.EPERM
	}
	if set.Valid&SetGID != 0 && !(c.FSUID == uid && (c.InGroup(set.GID) || set.GID == gid)) && !capOver(c, abi.CAP_CHOWN, uid, gid) {
		return abi.EPERM
	}
	if !d.IsDir() {
		kill := setidToKill(c, mode, uid, gid)
		if kill != 0 {
			if !ownerOrCapable(c, uid) { // the kernel's own change of mode is checked like chmod(2)
				return abi.EPERM
			}
			set.Valid |= SetMode
			set.Mode = mode &^ kill & 0o7777
		}
	}
	if err := changeAttr(ctx, d, set); err != nil {
		return err
	}
	return dropFileCaps(ctx, d)
}

// Utimens sets times (utimensat(2)). now says that UTIME_NOW was given for the time of
// the same index; valid names the times to set.
func Utimens(ctx *Context, p Path, valid uint32, atime, mtime abi.Timespec, now [2]bool) error {
	if valid&(SetAtime|SetMtime) == 0 {
		return nil
	}
	if err := mayWriteMount(p); err != nil {
		return err
	}
	d := p.Dentry
	d.state.mu.Lock()
	defer d.state.mu.Unlock()
	_, uid, _, err := perms(ctx, d.inode)
	if err != nil {
		return err
	}
	if !ownerOrCapable(ctx.Creds, uid) {
		both := valid&(SetAtime|SetMtime) == SetAtime|SetMtime && now[0] && now[1]
		if !both {
			return abi.EPERM
		}
		if err := inodePermission(ctx, d, MayWrite); err != nil {
			return err
		}
	}
	set := SetAttr{Valid: valid & (SetAtime | SetMtime)}
	t := ctx.Now()
	if valid&SetAtime != 0 { // what is not set holds UTIME_OMIT, which is no time
		set.Atime = atime
	}
	if valid&SetMtime != 0 {
		set.Mtime = mtime
	}
	if now[0] {
		set.Atime = t
	}
	if now[1] {
		set.Mtime = t
	}
	set.Valid |= SetCtime
	set.Ctime = t
	if err := d.inode.SetAttr(ctx, &set); err != nil {
		return err
	}
	notifyInode(d, inAttrib)
	return nil
}

// Truncate is truncate(2) of what is at p.
func Truncate(ctx *Context, p Path, size int64) error {
	if size < 0 {
		return abi.EINVAL
	}
	d := p.Dentry
	switch d.typ {
	case abi.S_IFDIR:
		return abi.EISDIR
	case abi.S_IFREG:
	default:
		return abi.EINVAL
	}
	if err := Permission(ctx, p, MayWrite); err != nil {
		return err
	}
	if err := d.state.getWrite(); err != nil {
		return err
	}
	defer d.state.putWrite()
	return limitedSize(ctx, d, size)
}

// Truncate is ftruncate(2).
func (f *File) Truncate(ctx *Context, size int64) error {
	if size < 0 {
		return abi.EINVAL
	}
	if f.Mode&ModePath != 0 {
		return abi.EBADF
	}
	if f.Path.Dentry.typ != abi.S_IFREG || f.Mode&ModeWrite == 0 {
		return abi.EINVAL
	}
	return limitedSize(ctx, f.Path.Dentry, size)
}

func limitedSize(ctx *Context, d *Dentry, size int64) error {
	if uint64(size) > ctx.MaxFileSize {
		a, err := d.inode.Attr(ctx, 0)
		if err != nil {
			return err
		}
		if uint64(size) > a.Size {
			ctx.XFSZ = true
			return abi.EFBIG
		}
	}
	if uint64(size) > d.super.MaxSize {
		return abi.EFBIG
	}
	return setSize(ctx, d, uint64(size))
}

// setSize changes the size of a regular file.
func setSize(ctx *Context, d *Dentry, size uint64) error {
	d.state.mu.Lock()
	err := dropPrivs(ctx, d)
	if err == nil {
		t := ctx.Now()
		err = d.inode.SetAttr(ctx, &SetAttr{Valid: SetSize | SetMtime | SetCtime, Size: size, Mtime: t, Ctime: t})
	}
	d.state.mu.Unlock()
	if err == nil {
		notifyInode(d, inModify)
	}
	return err
}

// Accessed is an Inode that keeps access times. relatime: only if the last access is not
// later than the last change, or is a day old (mount(2)).
type Accessed interface {
	Accessed(ctx *Context, relatime bool)
}

// accessed updates the access time of what is at p, opened with flags.
func accessed(ctx *Context, p Path, flags uint32) {
	a, ok := p.Dentry.inode.(Accessed)
	if !ok || flags&abi.O_NOATIME != 0 || p.Dentry.super.ReadOnly() {
		return
	}
	relatime := true
	if p.Mount != nil {
		fl := p.Mount.flags.Load()
		if fl&(abi.MS_NOATIME|abi.MS_RDONLY) != 0 || fl&abi.MS_NODIRATIME != 0 && p.Dentry.IsDir() {
			return
		}
		relatime = fl&abi.MS_RELATIME != 0
	}
	a.Accessed(ctx, relatime)
}

// NeedsAtime decides for an Accessed whether the access time is to be updated.
func NeedsAtime(now, atime, mtime, ctime abi.Timespec, relatime bool) bool {
	if !relatime {
		return now != atime
	}
	return !after(atime, mtime) || !after(atime, ctime) || now.Sec-atime.Sec >= 24*60*60
}

func after(a, b abi.Timespec) bool {
	return a.Sec > b.Sec || a.Sec == b.Sec && a.Nsec > b.Nsec
}

// StatFS is statfs(2) of what is at p.
func StatFS(ctx *Context, p Path) (abi.Statfs, error) {
	s := p.Dentry.super
	st := abi.Statfs{Bsize: abi.PageSize, Namelen: abi.NAME_MAX}
	if fs, ok := s.FS.(StatFSer); ok {
		var err error
		if st, err = fs.StatFS(ctx); err != nil {
			return st, err
		}
	}
	if st.Type == 0 {
		st.Type = s.Magic
	}
	if st.Frsize == 0 {
		st.Frsize = st.Bsize
	}
	if st.Fsid == [2]int32{} {
		st.Fsid[0] = int32(s.Dev())
	}
	st.Flags = statfsFlags(p)
	return st, nil
}

func statfsFlags(p Path) int64 {
	fl := int64(abi.ST_VALID)
	if p.Dentry.super.ReadOnly() {
		fl |= abi.ST_RDONLY
	}
	if p.Mount == nil {
		return fl
	}
	for _, b := range [...][2]uint32{{abi.MS_RDONLY, abi.ST_RDONLY}, {abi.MS_NOSUID, abi.ST_NOSUID},
		{abi.MS_NODEV, abi.ST_NODEV}, {abi.MS_NOEXEC, abi.ST_NOEXEC}, {abi.MS_NOATIME, abi.ST_NOATIME},
		{abi.MS_NODIRATIME, abi.ST_NODIRATIME}, {abi.MS_RELATIME, abi.ST_RELATIME}, {abi.MS_NOSYMFOLLOW, abi.ST_NOSYMFOLLOW}} {
		if p.Mount.Flags()&b[0] != 0 {
			fl |= int64(b[1])
		}
	}
	return fl
}
