package auth

import (
	"slices"

	"lazaret/syscalls/abi"
)

// KUID and KGID are user and group ids in the initial user namespace.
type (
	KUID uint32
	KGID uint32
)

// Ids without a mapping show as these (overflowuid).
const (
	NoID        = ^uint32(0)
	OverflowUID = 65534
	OverflowGID = 65534
)

// CapSet is a set of capabilities, bit n for capability number n.
type CapSet uint64

// Has reports whether capability c (abi.CAP_*) is in s.
func (s CapSet) Has(c int) bool { return s&(1<<c) != 0 }

// Creds are the credentials of a task. Immutable after publication.
type Creds struct {
	RUID, EUID, SUID, FSUID KUID
	RGID, EGID, SGID, FSGID KGID
	Groups                  []KGID // supplementary, sorted

	Permitted, Effective, Inheritable, Bounding, Ambient CapSet

	SecureBits uint32
	UserNS     *UserNamespace
}

// Copy returns a copy that may be changed until it is published.
func (c *Creds) Copy() *Creds {
	n := *c
	return &n
}

// InGroup reports whether g is the file system group or a supplementary one.
func (c *Creds) InGroup(g KGID) bool {
	if c.FSGID == g {
		return true
	}
	_, ok := slices.BinarySearch(c.Groups, g)
	return ok
}

// HasCapIn reports whether c holds capability cp over namespace ns: effective in ns or
// in one of its ancestors, or as the owner of a namespace on the way (user_namespaces(7)).
func (c *Creds) HasCapIn(cp int, ns *UserNamespace) bool {
	for {
		if c.UserNS == ns {
			return c.Effective.Has(cp)
		}
		if ns.Parent == nil {
			return false
		}
		if ns.Parent == c.UserNS && ns.Owner == c.EUID {
			return true
		}
		ns = ns.Parent
	}
}

// HasCap reports whether c holds cp in its own user namespace.
func (c *Creds) HasCap(cp int) bool { return c.Effective.Has(cp) }

// ForAccess returns the credentials that access(2) and faccessat(2) check with: the real
// ids, and root's capabilities by the real user id.
func (c *Creds) ForAccess() *Creds {
	n := c.Copy()
	n.FSUID, n.FSGID = c.RUID, c.RGID
	if c.SecureBits&abi.SECBIT_NO_SETUID_FIXUP == 0 {
		n.Effective = 0
		if c.RUID == c.rootOf() {
			n.Effective = c.Permitted
		}
	}
	return n
}
