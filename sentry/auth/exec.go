package auth

import "lazaret/syscalls/abi"

// FileCaps are a program file's capabilities (security.capability, capabilities(7)).
type FileCaps struct {
	Valid                  bool
	Effective              bool
	Permitted, Inheritable CapSet
	RootID                 KUID // owner of the user namespace that they count in
	HasRootID              bool
}

// ExecFile is what the rights of a program file depend on.
type ExecFile struct {
	Mode   uint32 // permission and set-id bits
	UID    KUID
	GID    KGID
	Caps   FileCaps
	NoSUID bool // the mount is nosuid, or belongs to a foreign user namespace
}

// ExecOptions are the caller's circumstances.
type ExecOptions struct {
	NoNewPrivs bool
	Limited    bool // traced, or shares its directories: set-id gives nothing
}

// ExecCreds computes the credentials after execve(2) of f, and whether the program must
// run in secure mode (AT_SECURE), as capabilities(7) describes.
func ExecCreds(old *Creds, f *ExecFile, o ExecOptions) (*Creds, bool, error) {
	n := old.Copy()
	gain := !f.NoSUID && !o.NoNewPrivs
	if gain {
		n.applySetID(old, f)
	}
	caps := f.Caps
	if !gain || caps.HasRootID && caps.RootID != n.rootOf() {
		caps = FileCaps{}
	}
	if caps.Valid {
		n.Permitted = caps.Permitted&n.Bounding | caps.Inheritable&n.Inheritable
		if caps.Effective && caps.Permitted&^n.Permitted != 0 && caps.Permitted&^n.Bounding != 0 {
			return nil, false, abi.EPERM
		}
	} else {
		n.Permitted = 0
	}
	effective := caps.Valid && caps.Effective
	rootUID := n.rootOf()
	if n.SecureBits&abi.SECBIT_NOROOT == 0 && (n.EUID == rootUID || n.RUID == rootUID) &&
		!(caps.Valid && n.RUID != rootUID && n.EUID == rootUID) {
		// Root gets all that the bounding set leaves.
		n.Permitted = n.Bounding | n.Inheritable
		effective = n.EUID == rootUID || effective
	}
	gained := n.Permitted&^old.Permitted != 0
	// As on Linux, a set-id program that gains nothing runs in secure mode all the same.
	setID := n.EUID != old.RUID || n.EGID != old.RGID
	if o.Limited && (setID || gained) {
		if !old.HasCap(abi.CAP_SETUID) {
			n.EUID, n.EGID = old.RUID, old.RGID
		}
		n.Permitted &= old.Permitted
	}
	n.SUID, n.FSUID, n.SGID, n.FSGID = n.EUID, n.EUID, n.EGID, n.EGID
	if caps.Valid || setID {
		n.Ambient = 0
	}
	n.Permitted |= n.Ambient
	if effective {
		n.Effective = n.Permitted
	} else {
		n.Effective = n.Ambient
	}
	n.SecureBits &^= abi.SECBIT_KEEP_CAPS
	secure := setID || old.RUID != rootUID && (effective || n.Permitted&^n.Ambient != 0)
	return n, secure, nil
}

func (c *Creds) applySetID(old *Creds, f *ExecFile) {
	// Ids that the namespace does not know are not honoured.
	if f.Mode&abi.S_ISUID != 0 && old.UserNS.HasUID(f.UID) && old.UserNS.HasGID(f.GID) {
		c.EUID = f.UID
	}
	if f.Mode&abi.S_ISGID != 0 && f.Mode&0o010 != 0 && old.UserNS.HasUID(f.UID) && old.UserNS.HasGID(f.GID) {
		c.EGID = f.GID
	}
}

// rootOf returns the kernel's id of user 0 of the namespace, NoID if it has none.
func (c *Creds) rootOf() KUID {
	if u, ok := c.UserNS.KUID(0); ok {
		return u
	}
	return KUID(NoID)
}

// ParseFileCaps reads the value of security.capability; false if it is malformed.
// TRUST: the value comes from a file system.
func ParseFileCaps(b []byte) (FileCaps, bool) {
	le := func(off int) uint32 {
		return uint32(b[off]) | uint32(b[off+1])<<8 | uint32(b[off+2])<<16 | uint32(b[off+3])<<24
	}
	if len(b) < 12 {
		return FileCaps{}, false
	}
	magic := le(0)
	f := FileCaps{Valid: true, Effective: magic&1 != 0}
	switch rev := magic & 0xff000000; {
	case rev == 0x01000000 && len(b) == 12:
		f.Permitted, f.Inheritable = CapSet(le(4)), CapSet(le(8))
		return f, true
	case rev == 0x02000000 && len(b) == 20:
	case rev == 0x03000000 && len(b) == 24:
		f.RootID, f.HasRootID = KUID(le(20)), true
	default:
		return FileCaps{}, false
	}
	f.Permitted = (CapSet(le(4)) | CapSet(le(12))<<32) & AllCaps
	f.Inheritable = (CapSet(le(8)) | CapSet(le(16))<<32) & AllCaps
	return f, true
}

// AllCaps is the set of all capabilities that the kernel knows.
const AllCaps CapSet = 1<<(abi.CAP_LAST_CAP+1) - 1
