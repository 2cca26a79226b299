package vfs

import (
	"encoding/binary"

	"lazaret/syscalls/abi"
)

// Access control lists (acl(5)) as extended attributes.
//
// Linux difference: only lists that say no more than a mode are taken; they change it, as
// they do on Linux, and are not kept. What reads lists hears that there is none.

const (
	aclAccess  = "system.posix_acl_access"
	aclDefault = "system.posix_acl_default"
)

func isACL(name string) bool { return name == aclAccess || name == aclDefault }

// Layout of the attribute: a version, then entries of tag, permissions and id.
const (
	aclVersion   = 2
	aclHeadSize  = 4
	aclEntrySize = 8
)

// Tags of entries.
const (
	aclUserObj  = 0x01
	aclUser     = 0x02
	aclGroupObj = 0x04
	aclGroup    = 0x08
	aclMask     = 0x10
	aclOther    = 0x20
)

// aclMode returns the permission bits that a list stands for. full says that it says more
// than a mode can; EINVAL that it is none.
func aclMode(value []byte) (mode uint32, full bool, err error) {
	if len(value) < aclHeadSize {
		return 0, false, abi.EINVAL
	}
	if binary.LittleEndian.Uint32(value) != aclVersion {
		return 0, false, abi.EOPNOTSUPP
	}
	entries := value[aclHeadSize:]
	if len(entries)%aclEntrySize != 0 {
		return 0, false, abi.EINVAL
	}
	seen := uint16(0)
	for ; len(entries) > 0; entries = entries[aclEntrySize:] {
		tag, perm := binary.LittleEndian.Uint16(entries), binary.LittleEndian.Uint16(entries[2:])
		if perm&^7 != 0 {
			return 0, false, abi.EINVAL
		}
		shift := 0
		switch tag {
		case aclUserObj:
			shift = 6
		case aclGroupObj:
			shift = 3
		case aclOther:
		case aclUser, aclGroup, aclMask:
			full = true
			continue
		default:
			return 0, false, abi.EINVAL
		}
		if seen&tag != 0 {
			return 0, false, abi.EINVAL
		}
		seen |= tag
		mode |= uint32(perm) << shift
	}
	if seen != aclUserObj|aclGroupObj|aclOther {
		return 0, false, abi.EINVAL
	}
	return mode, full, nil
}

// setACL sets a list, or takes it away if value is empty. There is never one to be taken.
func setACL(ctx *Context, p Path, name string, value []byte) error {
	d := p.Dentry
	mode, full := uint32(0), false
	if len(value) > 0 {
		var err error
		if mode, full, err = aclMode(value); err != nil {
			return err
		}
	}
	if name == aclDefault && !d.IsDir() && len(value) > 0 {
		return abi.EACCES
	}
	old, uid, _, err := perms(ctx, d.inode)
	switch {
	case err != nil:
		return err
	case !ownerOrCapable(ctx.Creds, uid):
		return abi.EPERM
	case len(value) == 0:
		return nil
	case full || name == aclDefault:
		return abi.EOPNOTSUPP
	}
	return Chmod(ctx, p, old&0o7000|mode)
}
