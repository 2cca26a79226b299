package overlay

import (
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// Rename implements vfs.Directory. A directory with a lower part cannot be renamed: its
// contents would have to follow.
func (d *dir) Rename(ctx *vfs.Context, oldName string, child vfs.Inode, newDir vfs.Directory, newName string, victim vfs.Inode, flags uint32) error {
	if flags&abi.RENAME_WHITEOUT != 0 {
		return abi.EINVAL // what it leaves would be taken for one of ours, and not be seen
	}
	to, ok := newDir.(*dir)
	if !ok {
		return abi.EXDEV
	}
	exchange := flags&abi.RENAME_EXCHANGE != 0
	src, ok := child.(overlayNode)
	if !ok || hasLower(child) || exchange && hasLower(victim) {
		return abi.EXDEV
	}
	if v, ok := victim.(*dir); ok && !exchange {
		if err := v.checkEmpty(ctx); err != nil {
			return err
		}
	}
	if err := src.base().copyUp(ctx, ^uint64(0)); err != nil {
		return err
	}
	if v, ok := victim.(overlayNode); ok {
		if err := v.base().countNames(ctx); err != nil {
			return err
		}
	}
	from, err := d.upperDir(ctx)
	if err != nil {
		return err
	}
	into, err := to.upperDir(ctx)
	if err != nil {
		return err
	}
	if exchange {
		return d.exchange(ctx, from, oldName, src, to, into, newName, victim)
	}
	return d.move(ctx, from, oldName, src, to, into, newName, victim, flags)
}

// hasLower reports whether i is a directory with a lower part.
func hasLower(i vfs.Inode) bool {
	d, ok := i.(*dir)
	return ok && len(d.lowers) > 0
}

func (d *dir) move(ctx *vfs.Context, from vfs.Directory, oldName string, src overlayNode, to *dir, into vfs.Directory, newName string, victim vfs.Inode, flags uint32) error {
	n := src.base()
	// The file may be there under another name only: one that was not copied up itself.
	if _, err := from.Lookup(ctx, oldName); err == abi.ENOENT {
		if err := from.Link(ctx, oldName, n.upperInode()); err != nil {
			return err
		}
	}
	if n.typ == abi.S_IFDIR && to.lowerHas(ctx, newName) {
		if err := setOpaque(ctx, n.upperInode()); err != nil {
			return err
		}
	}
	if err := to.removeFromUpper(ctx, into, newName); err != nil {
		return err
	}
	white := uint32(0)
	if d.lowerHas(ctx, oldName) {
		white = abi.RENAME_WHITEOUT
	}
	if err := from.Rename(ctx, oldName, n.upperInode(), into, newName, nil, white); err != nil {
		return err
	}
	n.place(to, newName)
	if v, ok := victim.(overlayNode); ok {
		v.base().lostName(ctx)
	}
	return nil
}

func (d *dir) exchange(ctx *vfs.Context, from vfs.Directory, oldName string, src overlayNode, to *dir, into vfs.Directory, newName string, victim vfs.Inode) error {
	dst, ok := victim.(overlayNode)
	if !ok {
		return abi.EXDEV
	}
	if err := dst.base().copyUp(ctx, ^uint64(0)); err != nil {
		return err
	}
	if src.base().typ == abi.S_IFDIR && to.lowerHas(ctx, newName) {
		if err := setOpaque(ctx, src.base().upperInode()); err != nil {
			return err
		}
	}
	if dst.base().typ == abi.S_IFDIR && d.lowerHas(ctx, oldName) {
		if err := setOpaque(ctx, dst.base().upperInode()); err != nil {
			return err
		}
	}
	err := from.Rename(ctx, oldName, src.base().upperInode(), into, newName, dst.base().upperInode(), abi.RENAME_EXCHANGE)
	if err != nil {
		return err
	}
	src.base().place(to, newName)
	dst.base().place(d, oldName)
	return nil
}

// place notes where n is now.
func (n *node) place(parent *dir, name string) {
	n.mu.Lock()
	n.parent, n.name = parent, name
	n.mu.Unlock()
}
