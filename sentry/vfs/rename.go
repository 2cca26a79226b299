package vfs

import (
	"lazaret/syscalls/abi"
)

// RenameAt2 is renameat2(2).
func RenameAt2(ctx *Context, oldStart Path, oldName string, newStart Path, newName string, flags uint32) error {
	if flags&^(abi.RENAME_NOREPLACE|abi.RENAME_EXCHANGE|abi.RENAME_WHITEOUT) != 0 {
		return abi.EINVAL
	}
	if flags&abi.RENAME_EXCHANGE != 0 && flags&(abi.RENAME_NOREPLACE|abi.RENAME_WHITEOUT) != 0 {
		return abi.EINVAL
	}
	return retry(func() error {
		var from, to walker
		if err := parentWalk(ctx, &from, oldStart, oldName); err != nil {
			return err
		}
		if err := parentWalk(ctx, &to, newStart, newName); err != nil {
			return err
		}
		if from.cur.Mount != to.cur.Mount {
			return abi.EXDEV
		}
		if from.lastKind != lastName {
			return abi.EBUSY
		}
		if to.lastKind != lastName {
			if flags&abi.RENAME_NOREPLACE != 0 {
				return abi.EEXIST
			}
			return abi.EBUSY
		}
		return rename(ctx, &from, &to, flags)
	})
}

// renaming is a rename in progress, with both directories locked.
type renaming struct {
	ctx      *Context
	from, to *walker
	flags    uint32
	src, dst *Dentry // dst's inode is nil when nothing is replaced
	oldDir   *Dentry
	newDir   *Dentry
}

func rename(ctx *Context, from, to *walker, flags uint32) error {
	if err := mayWriteMount(from.cur); err != nil {
		return err
	}
	r := renaming{ctx: ctx, from: from, to: to, flags: flags, oldDir: from.cur.Dentry, newDir: to.cur.Dentry}
	if !r.oldDir.TryIncRef() {
		return errRetry
	}
	defer r.oldDir.DecRef()
	if !r.newDir.TryIncRef() {
		return errRetry
	}
	defer r.newDir.DecRef()
	unlock := lockDirs(r.oldDir, r.newDir)
	same, err := r.lockedRename()
	unlock()
	if err != nil || same {
		return err
	}
	notifyRename(&r)
	if r.dst.inode != nil {
		if flags&abi.RENAME_EXCHANGE == 0 {
			notifyRemoved(r.dst)
		}
		r.dst.DecRef()
	}
	r.src.DecRef()
	return nil
}

// lockDirs locks two directories, which may be the same: the ancestor first.
func lockDirs(a, b *Dentry) func() {
	if a.state == b.state {
		a.state.mu.Lock()
		return a.state.mu.Unlock
	}
	a.super.renameMu.Lock()
	first, second := a, b
	if isAncestor(b, a) || !isAncestor(a, b) && b.id < a.id {
		first, second = b, a
	}
	first.state.mu.Lock()
	second.state.mu.Lock()
	return func() {
		second.state.mu.Unlock()
		first.state.mu.Unlock()
		a.super.renameMu.Unlock()
	}
}

// lockedRename does the rename. src and, if there is one, dst come back pinned. same
// says that both names are the same file, which is a success that changes nothing.
func (r *renaming) lockedRename() (same bool, err error) {
	if r.src, err = lookupLocked(r.ctx, r.oldDir, r.from.last); err != nil {
		return false, err
	}
	if r.src.inode == nil {
		return false, abi.ENOENT
	}
	if r.dst, err = lookupLocked(r.ctx, r.newDir, r.to.last); err != nil {
		return false, err
	}
	if err := r.checkNames(); err != nil {
		return false, err
	}
	if r.dst.inode != nil && r.src.inode == r.dst.inode {
		return true, nil
	}
	if err := r.checkRights(); err != nil {
		return false, err
	}
	if !r.src.TryIncRef() {
		return false, errRetry
	}
	if r.dst.inode != nil && !r.dst.TryIncRef() {
		r.src.DecRef()
		return false, errRetry
	}
	if err := r.commit(); err != nil {
		r.src.DecRef()
		if r.dst.inode != nil {
			r.dst.DecRef()
		}
		return false, err
	}
	return false, nil
}

// checkNames checks what depends on what the names are, in Linux's order of errors.
func (r *renaming) checkNames() error {
	exchange := r.flags&abi.RENAME_EXCHANGE != 0
	switch {
	case r.flags&abi.RENAME_NOREPLACE != 0 && r.dst.inode != nil:
		return abi.EEXIST
	case exchange && r.dst.inode == nil:
		return abi.ENOENT
	case exchange && !r.dst.IsDir() && r.to.slash:
		return abi.ENOTDIR
	}
	if !r.src.IsDir() && (r.from.slash || !exchange && r.to.slash) {
		return abi.ENOTDIR
	}
	if r.oldDir != r.newDir {
		if r.src.IsDir() && isAncestor(r.src, r.newDir) {
			return abi.EINVAL
		}
		if r.dst.inode != nil && r.dst.IsDir() && isAncestor(r.dst, r.oldDir) {
			if exchange {
				return abi.EINVAL
			}
			return abi.ENOTEMPTY
		}
	}
	return nil
}

// checkRights is vfs_rename's part of the checks.
func (r *renaming) checkRights() error {
	if err := mayDelete(r.ctx, r.oldDir, r.src); err != nil {
		return err
	}
	exchange := r.flags&abi.RENAME_EXCHANGE != 0
	if r.dst.inode == nil {
		if err := mayCreate(r.ctx, r.newDir); err != nil {
			return err
		}
	} else {
		if err := mayDelete(r.ctx, r.newDir, r.dst); err != nil {
			return err
		}
		if !exchange && r.src.IsDir() != r.dst.IsDir() {
			if r.src.IsDir() {
				return abi.ENOTDIR
			}
			return abi.EISDIR
		}
	}
	if r.oldDir != r.newDir { // ".." of a directory that moves is written
		if r.src.IsDir() {
			if err := inodePermission(r.ctx, r.src, MayWrite); err != nil {
				return err
			}
		}
		if exchange && r.dst.IsDir() {
			if err := inodePermission(r.ctx, r.dst, MayWrite); err != nil {
				return err
			}
		}
	}
	if err := mountedHere(r.src); err != nil {
		return err
	}
	return mountedHere(r.dst)
}

// commit changes the file system and then the cache.
func (r *renaming) commit() error {
	oldDir, err := r.oldDir.dir()
	if err != nil {
		return err
	}
	newDir, err := r.newDir.dir()
	if err != nil {
		return err
	}
	exchange := r.flags&abi.RENAME_EXCHANGE != 0
	if r.dst.inode != nil && r.dst.IsDir() && !exchange {
		r.dst.state.mu.Lock()
		defer r.dst.state.mu.Unlock()
	}
	err = oldDir.Rename(r.ctx, r.from.last, r.src.inode, newDir, r.to.last, r.dst.inode,
		r.flags&^abi.RENAME_NOREPLACE)
	if err != nil {
		return err
	}
	c := &r.src.super.cache
	if exchange {
		c.exchange(r.src, r.dst)
		return nil
	}
	if r.dst.inode != nil {
		r.dst.setFlag(dDeleted)
	}
	c.move(r.src, r.newDir, cloneString(r.to.last), r.dst)
	return nil
}
