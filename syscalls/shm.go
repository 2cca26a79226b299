package syscalls

import (
	"fmt"
	"sync"

	"lazaret/platform"
	"lazaret/sentry/ipc"
	"lazaret/sentry/kernel"
	"lazaret/sentry/mm"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

var shmRows = []Row{
	partial(abi.SYS_SHMGET, "shmget", Shmget, "no huge pages", Hex, Int, Hex),
	full(abi.SYS_SHMAT, "shmat", Shmat, Int, Hex, Hex),
	full(abi.SYS_SHMDT, "shmdt", Shmdt, Hex),
	full(abi.SYS_SHMCTL, "shmctl", Shmctl, Int, Int, Buf),
}

// Shmget is shmget(2).
func Shmget(t *kernel.Task, a *abi.Args) (uint64, error) {
	ns, err := ipcNS(t)
	if err != nil {
		return 0, err
	}
	return ret32(ns.Shmget(t.Ctx(), a.Int(0), a.Size(1), a.Uint(2)))
}

// shmDev is the device number of segments in /proc/PID/maps, by which shmdt knows them.
var shmDev = sync.OnceValue(func() uint64 { return vfs.NewSuper("shm", abi.TMPFS_MAGIC, nil).Dev() })

// shmRef is what a mapping of a segment shows as its file: mm.FileRef. The mapping itself
// keeps the segment.
type shmRef struct {
	ID  int32
	Key int32
}

// IncRef and DecRef implement mm.FileRef.
func (shmRef) IncRef() {}

// DecRef implements mm.FileRef.
func (shmRef) DecRef() {}

// MapName implements mm.FileRef.
func (r shmRef) MapName() string { return fmt.Sprintf("/SYSV%08x (deleted)", uint32(r.Key)) }

// MapIDs implements mm.FileRef.
func (r shmRef) MapIDs() (dev, ino uint64) { return shmDev(), uint64(uint32(r.ID)) }

// Shmat is shmat(2).
func Shmat(t *kernel.Task, a *abi.Args) (uint64, error) {
	id, addr, flags := a.Int(0), a.Addr(1), a.Uint(2)
	if addr == 0 && flags&abi.SHM_REMAP != 0 {
		return 0, abi.EINVAL
	}
	if flags&abi.SHM_RND != 0 {
		// Rounding down to the null page would mean: anywhere.
		if down := addr.RoundDown(); down != 0 || flags&abi.SHM_REMAP == 0 {
			addr = down
		}
	}
	if addr.PageOffset() != 0 {
		return 0, abi.EINVAL
	}
	ns, err := ipcNS(t)
	if err != nil {
		return 0, err
	}
	seg, err := ns.Shmat(t.Ctx(), id, flags)
	if err != nil {
		return 0, err
	}
	defer seg.Attached()
	ref := shmRef{ID: id}
	if st, err := ns.ShmStat(t.Ctx(), id); err == nil {
		ref.Key = st.Key
	}
	o := mm.MapOpts{
		Addr: addr, Len: seg.Size(), Shared: true, Object: seg, File: ref,
		Prot: platform.Read | platform.Write, MaxProt: platform.Read | platform.Write | platform.Exec,
		Fixed: addr != 0 && flags&abi.SHM_REMAP != 0, FixedNoReplace: addr != 0 && flags&abi.SHM_REMAP == 0,
	}
	if flags&abi.SHM_RDONLY != 0 {
		o.Prot, o.MaxProt = platform.Read, platform.Read|platform.Exec
	}
	if flags&abi.SHM_EXEC != 0 {
		o.Prot |= platform.Exec
	}
	at, err := t.MM().MMap(o)
	if err == abi.EEXIST {
		err = abi.EINVAL
	}
	return uint64(at), err
}

// Shmdt is shmdt(2): it unmaps what is left of the attachment that began at the address.
func Shmdt(t *kernel.Task, a *abi.Args) (uint64, error) {
	addr := a.Addr(0)
	if addr.PageOffset() != 0 {
		return 0, abi.EINVAL
	}
	var parts []abi.AddrRange
	ino := uint64(0)
	t.MM().Maps(func(v *mm.VMAInfo) {
		if v.Dev != shmDev() || v.Start < addr || uint64(v.Start-addr) != v.Off {
			return
		}
		if len(parts) == 0 {
			ino = v.Ino
		}
		if v.Ino == ino {
			parts = append(parts, v.AddrRange)
		}
	})
	if len(parts) == 0 {
		return 0, abi.EINVAL
	}
	for _, r := range parts {
		if err := t.MM().Munmap(r.Start, r.Len()); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// Shmctl is shmctl(2).
func Shmctl(t *kernel.Task, a *abi.Args) (uint64, error) {
	ns, err := ipcNS(t)
	if err != nil {
		return 0, err
	}
	id, cmd, addr, ctx := a.Int(0), a.Int(1), a.Addr(2), t.Ctx()
	if id < 0 || cmd < 0 {
		return 0, abi.EINVAL
	}
	switch cmd {
	case abi.IPC_RMID:
		return done0(ns.ShmRemove(ctx, id))
	case abi.IPC_SET:
		to, err := copyPerm(t, addr)
		if err != nil {
			return 0, err
		}
		return done0(ns.ShmSet(ctx, id, to))
	case abi.SHM_LOCK, abi.SHM_UNLOCK:
		return done0(ns.ShmLock(ctx, id, cmd == abi.SHM_LOCK))
	case abi.IPC_INFO:
		b, top := ns.ShmInfo()
		return infoOut(t, addr, b, top)
	case abi.SHM_INFO:
		b, top := ns.ShmUsage()
		return infoOut(t, addr, b, top)
	case abi.IPC_STAT, abi.SHM_STAT, abi.SHM_STAT_ANY:
		return shmStat(t, ns, id, cmd, addr)
	}
	return 0, abi.EINVAL
}

func shmStat(t *kernel.Task, ns *ipc.Namespace, id, cmd int32, addr abi.Addr) (uint64, error) {
	var st ipc.ShmStat
	var err error
	result := uint64(0)
	if cmd == abi.IPC_STAT {
		st, err = ns.ShmStat(t.Ctx(), id)
	} else {
		st, err = ns.ShmStatIndex(t.Ctx(), id, cmd == abi.SHM_STAT_ANY)
		result = uint64(st.ID)
	}
	if err != nil {
		return 0, err
	}
	st.Cpid, st.Lpid = pidFromRoot(t, st.Cpid), pidFromRoot(t, st.Lpid)
	return result, t.MM().CopyOut(addr, st.Encode(t.UserNS()))
}
