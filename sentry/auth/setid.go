package auth

import (
	"slices"

	"lazaret/syscalls/abi"
)

// Keep is the id argument that means "leave as it is".
const Keep = NoID

// MaxGroups is NGROUPS_MAX.
const MaxGroups = 65536

// fixCaps adjusts capabilities after a change of user ids (capabilities(7), "Effect of
// user ID changes on capabilities").
func (c *Creds) fixCaps(old *Creds) {
	if c.SecureBits&abi.SECBIT_NO_SETUID_FIXUP != 0 {
		return
	}
	root := c.rootOf()
	had := old.RUID == root || old.EUID == root || old.SUID == root
	has := c.RUID == root || c.EUID == root || c.SUID == root
	if had && !has {
		if c.SecureBits&abi.SECBIT_KEEP_CAPS == 0 {
			c.Permitted, c.Effective = 0, 0
		}
		c.Ambient = 0
	}
	if old.EUID == root && c.EUID != root {
		c.Effective = 0
	}
	if old.EUID != root && c.EUID == root {
		c.Effective = c.Permitted
	}
}

func (c *Creds) kuid(id uint32) (KUID, error) {
	u, ok := c.UserNS.KUID(id)
	if !ok || id == NoID {
		return 0, abi.EINVAL
	}
	return u, nil
}

func (c *Creds) kgid(id uint32) (KGID, error) {
	g, ok := c.UserNS.KGID(id)
	if !ok || id == NoID {
		return 0, abi.EINVAL
	}
	return g, nil
}

// SetUID is setuid(2).
func (c *Creds) SetUID(id uint32) (*Creds, error) {
	u, err := c.kuid(id)
	if err != nil {
		return nil, err
	}
	n := c.Copy()
	switch {
	case c.HasCap(abi.CAP_SETUID):
		n.RUID, n.SUID = u, u
	case u != c.RUID && u != c.SUID:
		return nil, abi.EPERM
	}
	n.EUID, n.FSUID = u, u
	n.fixCaps(c)
	return n, nil
}

// SetGID is setgid(2).
func (c *Creds) SetGID(id uint32) (*Creds, error) {
	g, err := c.kgid(id)
	if err != nil {
		return nil, err
	}
	n := c.Copy()
	switch {
	case c.HasCap(abi.CAP_SETGID):
		n.RGID, n.SGID = g, g
	case g != c.RGID && g != c.SGID:
		return nil, abi.EPERM
	}
	n.EGID, n.FSGID = g, g
	return n, nil
}

// SetREUID is setreuid(2); Keep leaves an id.
func (c *Creds) SetREUID(ruid, euid uint32) (*Creds, error) {
	n, capable := c.Copy(), c.HasCap(abi.CAP_SETUID)
	if ruid != Keep {
		u, err := c.kuid(ruid)
		if err != nil {
			return nil, err
		}
		if u != c.RUID && u != c.EUID && !capable {
			return nil, abi.EPERM
		}
		n.RUID = u
	}
	if euid != Keep {
		u, err := c.kuid(euid)
		if err != nil {
			return nil, err
		}
		if u != c.RUID && u != c.EUID && u != c.SUID && !capable {
			return nil, abi.EPERM
		}
		n.EUID = u
	}
	if ruid != Keep || euid != Keep && n.EUID != c.RUID {
		n.SUID = n.EUID
	}
	n.FSUID = n.EUID
	n.fixCaps(c)
	return n, nil
}

// SetREGID is setregid(2); Keep leaves an id.
func (c *Creds) SetREGID(rgid, egid uint32) (*Creds, error) {
	n, capable := c.Copy(), c.HasCap(abi.CAP_SETGID)
	if rgid != Keep {
		g, err := c.kgid(rgid)
		if err != nil {
			return nil, err
		}
		if g != c.RGID && g != c.EGID && !capable {
			return nil, abi.EPERM
		}
		n.RGID = g
	}
	if egid != Keep {
		g, err := c.kgid(egid)
		if err != nil {
			return nil, err
		}
		if g != c.RGID && g != c.EGID && g != c.SGID && !capable {
			return nil, abi.EPERM
		}
		n.EGID = g
	}
	if rgid != Keep || egid != Keep && n.EGID != c.RGID {
		n.SGID = n.EGID
	}
	n.FSGID = n.EGID
	return n, nil
}

// SetRESUID is setresuid(2); Keep leaves an id.
func (c *Creds) SetRESUID(ruid, euid, suid uint32) (*Creds, error) {
	n, capable := c.Copy(), c.HasCap(abi.CAP_SETUID)
	for _, p := range []struct {
		id  uint32
		dst *KUID
	}{{ruid, &n.RUID}, {euid, &n.EUID}, {suid, &n.SUID}} {
		if p.id == Keep {
			continue
		}
		u, err := c.kuid(p.id)
		if err != nil {
			return nil, err
		}
		if u != c.RUID && u != c.EUID && u != c.SUID && !capable {
			return nil, abi.EPERM
		}
		*p.dst = u
	}
	n.FSUID = n.EUID
	n.fixCaps(c)
	return n, nil
}

// SetRESGID is setresgid(2); Keep leaves an id.
func (c *Creds) SetRESGID(rgid, egid, sgid uint32) (*Creds, error) {
	n, capable := c.Copy(), c.HasCap(abi.CAP_SETGID)
	for _, p := range []struct {
		id  uint32
		dst *KGID
	}{{rgid, &n.RGID}, {egid, &n.EGID}, {sgid, &n.SGID}} {
		if p.id == Keep {
			continue
		}
		g, err := c.kgid(p.id)
		if err != nil {
			return nil, err
		}
		if g != c.RGID && g != c.EGID && g != c.SGID && !capable {
			return nil, abi.EPERM
		}
		*p.dst = g
	}
	n.FSGID = n.EGID
	return n, nil
}

// fsCaps are the capabilities that follow the file system user id.
const fsCaps = CapSet(1)<<abi.CAP_CHOWN | 1<<abi.CAP_DAC_OVERRIDE | 1<<abi.CAP_DAC_READ_SEARCH |
	1<<abi.CAP_FOWNER | 1<<abi.CAP_FSETID | 1<<abi.CAP_LINUX_IMMUTABLE | 1<<abi.CAP_MKNOD | 1<<abi.CAP_MAC_OVERRIDE

// SetFSUID is setfsuid(2): c itself when nothing changes. It never fails.
func (c *Creds) SetFSUID(id uint32) *Creds {
	u, err := c.kuid(id)
	if err != nil || u == c.FSUID ||
		u != c.RUID && u != c.EUID && u != c.SUID && u != c.FSUID && !c.HasCap(abi.CAP_SETUID) {
		return c
	}
	n := c.Copy()
	n.FSUID = u
	if root := c.rootOf(); c.SecureBits&abi.SECBIT_NO_SETUID_FIXUP == 0 {
		if c.FSUID == root && u != root {
			n.Effective &^= fsCaps
		}
		if c.FSUID != root && u == root {
			n.Effective |= c.Permitted & fsCaps
		}
	}
	return n
}

// SetFSGID is setfsgid(2): c itself when nothing changes. It never fails.
func (c *Creds) SetFSGID(id uint32) *Creds {
	g, err := c.kgid(id)
	if err != nil || g == c.FSGID ||
		g != c.RGID && g != c.EGID && g != c.SGID && g != c.FSGID && !c.HasCap(abi.CAP_SETGID) {
		return c
	}
	n := c.Copy()
	n.FSGID = g
	return n
}

// SetGroups is setgroups(2).
func (c *Creds) SetGroups(ids []uint32) (*Creds, error) {
	if !c.HasCap(abi.CAP_SETGID) || !c.UserNS.SetgroupsAllowed() {
		return nil, abi.EPERM
	}
	if len(ids) > MaxGroups {
		return nil, abi.EINVAL
	}
	n := c.Copy()
	n.Groups = make([]KGID, len(ids))
	for i, id := range ids {
		g, err := c.kgid(id)
		if err != nil {
			return nil, err
		}
		n.Groups[i] = g
	}
	slices.Sort(n.Groups)
	return n, nil
}

// SetCaps is capset(2) for the caller.
func (c *Creds) SetCaps(effective, permitted, inheritable CapSet) (*Creds, error) {
	effective, permitted, inheritable = effective&AllCaps, permitted&AllCaps, inheritable&AllCaps
	switch {
	case !c.HasCap(abi.CAP_SETPCAP) && inheritable&^(c.Inheritable|c.Permitted) != 0,
		inheritable&^(c.Inheritable|c.Bounding) != 0,
		permitted&^c.Permitted != 0,
		effective&^permitted != 0:
		return nil, abi.EPERM
	}
	n := c.Copy()
	n.Effective, n.Permitted, n.Inheritable = effective, permitted, inheritable
	n.Ambient &= permitted & inheritable
	return n, nil
}

// DropBounding is PR_CAPBSET_DROP.
func (c *Creds) DropBounding(capNo uint64) (*Creds, error) {
	if !c.HasCap(abi.CAP_SETPCAP) {
		return nil, abi.EPERM
	}
	if capNo > abi.CAP_LAST_CAP {
		return nil, abi.EINVAL
	}
	n := c.Copy()
	n.Bounding &^= 1 << capNo
	return n, nil
}

// SetAmbient is PR_CAP_AMBIENT with RAISE or LOWER.
func (c *Creds) SetAmbient(capNo uint64, raise bool) (*Creds, error) {
	if capNo > abi.CAP_LAST_CAP {
		return nil, abi.EINVAL
	}
	n := c.Copy()
	if !raise {
		n.Ambient &^= 1 << capNo
		return n, nil
	}
	if !c.Permitted.Has(int(capNo)) || !c.Inheritable.Has(int(capNo)) || c.SecureBits&abi.SECBIT_NO_CAP_AMBIENT_RAISE != 0 {
		return nil, abi.EPERM
	}
	n.Ambient |= 1 << capNo
	return n, nil
}

// SetSecureBits is PR_SET_SECUREBITS.
func (c *Creds) SetSecureBits(b uint32) (*Creds, error) {
	locked := c.SecureBits & abi.SECURE_ALL_LOCKS
	if locked>>1&(c.SecureBits^b) != 0 || locked&^b != 0 || b&^(abi.SECURE_ALL_LOCKS|abi.SECURE_ALL_BITS) != 0 ||
		!c.HasCap(abi.CAP_SETPCAP) {
		return nil, abi.EPERM
	}
	n := c.Copy()
	n.SecureBits = b
	return n, nil
}

// SetKeepCaps is PR_SET_KEEPCAPS.
func (c *Creds) SetKeepCaps(on bool) (*Creds, error) {
	if c.SecureBits&abi.SECBIT_KEEP_CAPS_LOCKED != 0 {
		return nil, abi.EPERM
	}
	n := c.Copy()
	n.SecureBits &^= abi.SECBIT_KEEP_CAPS
	if on {
		n.SecureBits |= abi.SECBIT_KEEP_CAPS
	}
	return n, nil
}
