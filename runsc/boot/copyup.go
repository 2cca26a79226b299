package boot

import (
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// maxCopyDepth bounds the directories in directories that tmpcopyup follows.
const maxCopyDepth = 200

// copyUp fills the file system in memory that was just mounted at target with what it hides
// at below (the mount option tmpcopyup); then it may become read-only. Its own mode becomes
// that of below unless keepMode says that the mount has one; its owner is the mount's.
func (m *mounter) copyUp(below vfs.Path, target string, readonly uint32, keepMode bool) error {
	top, err := m.lookup(target)
	if err != nil {
		return err
	}
	a, _, err := vfs.Stat(m.ctx, below)
	if err == nil {
		err = m.copyTree(below, top, 0)
	}
	if err == nil && !keepMode {
		err = vfs.Chmod(m.ctx, top, a.Mode&0o7777)
	}
	if err == nil && readonly != 0 {
		err = vfs.Remount(m.ctx, top, top.Mount.Flags()|readonly)
	}
	return err
}

// copyTree copies what is in the directory from into the directory to: directories, files and
// links with modes and owners, nothing else.
// TRUST: from is the image's. Links are not followed; the size of to bounds what is copied.
func (m *mounter) copyTree(from, to vfs.Path, depth int) error {
	if depth == maxCopyDepth {
		return abi.ELOOP
	}
	names, err := m.names(from)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := m.copyEntry(from, to, name, depth); err != nil {
			return err
		}
	}
	return nil
}

func (m *mounter) names(dir vfs.Path) ([]string, error) {
	f, err := vfs.OpenPath(m.ctx, dir, abi.O_RDONLY|abi.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer f.DecRef()
	var names []string
	for more := true; more && err == nil; {
		more = false
		err = f.ReadDir(m.ctx, func(d *vfs.Dirent) bool {
			more = true
			if d.Name != "." && d.Name != ".." {
				names = append(names, d.Name)
			}
			return true
		})
	}
	return names, err
}

func (m *mounter) copyEntry(from, to vfs.Path, name string, depth int) error {
	src, err := vfs.Lookup(m.ctx, from, name, 0)
	if err != nil {
		return err
	}
	a, _, err := vfs.Stat(m.ctx, src)
	if err != nil {
		return err
	}
	switch a.Type() {
	case abi.S_IFDIR:
		err = vfs.MkdirAt(m.ctx, to, name, 0o700)
	case abi.S_IFLNK:
		target, lerr := vfs.Readlink(m.ctx, src)
		if err = lerr; err == nil {
			err = vfs.SymlinkAt(m.ctx, target, to, name)
		}
	case abi.S_IFREG:
		err = m.copyFile(src, to, name)
	default:
		return nil
	}
	if err != nil {
		return err
	}
	dst, err := vfs.Lookup(m.ctx, to, name, 0)
	if err == nil && a.Type() == abi.S_IFDIR {
		err = m.copyTree(src, dst, depth+1)
	}
	if err == nil {
		err = m.copyOwner(dst, &a)
	}
	return err
}

// copyOwner gives p the owner and mode of a.
func (m *mounter) copyOwner(p vfs.Path, a *vfs.Attr) error {
	err := vfs.Chown(m.ctx, p, vfs.SetUID|vfs.SetGID, a.UID, a.GID)
	if err == nil && a.Type() != abi.S_IFLNK {
		err = vfs.Chmod(m.ctx, p, a.Mode&0o7777) // after chown, which clears set-id bits
	}
	return err
}

func (m *mounter) copyFile(src, to vfs.Path, name string) error {
	in, err := vfs.OpenPath(m.ctx, src, abi.O_RDONLY)
	if err != nil {
		return err
	}
	defer in.DecRef()
	out, err := vfs.OpenAt(m.ctx, to, name, vfs.OpenHow{Flags: abi.O_WRONLY | abi.O_CREAT | abi.O_EXCL, Mode: 0o600})
	if err != nil {
		return err
	}
	defer out.DecRef()
	buf := make([]byte, 1<<16)
	for {
		n, err := in.Read(m.ctx, uio.One(buf))
		if n == 0 || err != nil {
			return err
		}
		for done := 0; done < n; {
			w, err := out.Write(m.ctx, uio.One(buf[done:n]))
			if err != nil {
				return err
			}
			done += w
		}
	}
}
