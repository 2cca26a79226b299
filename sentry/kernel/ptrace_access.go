package kernel

import "lazaret/syscalls/abi"

// AccessMode says whose ids count for MayAccess.
type AccessMode uint8

// Modes of ptrace access (ptrace(2), "Ptrace access mode checking").
const (
	AccessFS   AccessMode = iota // file system ids: /proc
	AccessReal                   // real ids: ptrace, process_vm_readv
)

// MayAccess is the check of who may look into another process (ptrace(2), "Ptrace access mode checking"):
// EPERM if t may not. attach asks for more than looking; the answer is the same here.
func (t *Task) MayAccess(o *Task, mode AccessMode) error {
	if t.tg == o.tg {
		return nil
	}
	c, oc := t.Creds(), o.Creds()
	uid, gid := c.FSUID, c.FSGID
	if mode == AccessReal {
		uid, gid = c.RUID, c.RGID
	}
	capable := c.HasCapIn(abi.CAP_SYS_PTRACE, oc.UserNS)
	same := uid == oc.EUID && uid == oc.SUID && uid == oc.RUID && gid == oc.EGID && gid == oc.SGID && gid == oc.RGID
	if !same && !capable {
		return abi.EPERM
	}
	if o.tg.dumpable.Load() != DumpUser && !capable {
		return abi.EPERM
	}
	// Commoncap: the target's capabilities must be a subset in the same namespace.
	if c.UserNS == oc.UserNS {
		if have := c.Effective; mode == AccessReal {
			have = c.Permitted
			if oc.Permitted&^have != 0 && !capable {
				return abi.EPERM
			}
		} else if oc.Permitted&^have != 0 && !capable {
			return abi.EPERM
		}
	} else if !capable {
		return abi.EPERM
	}
	return nil
}

// MayPtrace reports whether t may look into o as ptrace(2) would (real ids).
func (t *Task) MayPtrace(o *Task) bool { return t.MayAccess(o, AccessReal) == nil }
