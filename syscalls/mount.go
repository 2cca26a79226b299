package syscalls

import (
	"lazaret/sentry/auth"
	"lazaret/sentry/kernel"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

var mountRows = []Row{
	full(abi.SYS_MOUNT, "mount", Mount, Path, Path, Path, Hex, Buf),
	full(abi.SYS_UMOUNT2, "umount2", Umount2, Path, Hex),
	full(abi.SYS_PIVOT_ROOT, "pivot_root", PivotRoot, Path, Path),
	full(abi.SYS_FSOPEN, "fsopen", Fsopen, Path, Hex),
	partial(abi.SYS_FSCONFIG, "fsconfig", Fsconfig, "no descriptors or binary values as options", FD, Int, Path, Buf, Int),
	full(abi.SYS_FSMOUNT, "fsmount", Fsmount, FD, Hex, Hex),
	full(abi.SYS_FSPICK, "fspick", Fspick, FD, Path, Hex),
	full(abi.SYS_OPEN_TREE, "open_tree", OpenTree, FD, Path, Hex),
	partial(abi.SYS_MOVE_MOUNT, "move_mount", MoveMount, "no MOVE_MOUNT_SET_GROUP", FD, Path, FD, Path, Hex),
	partial(abi.SYS_MOUNT_SETATTR, "mount_setattr", MountSetattr, "no id-mapped mounts", FD, Path, Hex, Buf, Hex),
	full(abi.SYS_UNSHARE, "unshare", Unshare, Hex),
	full(abi.SYS_SETNS, "setns", Setns, FD, Hex),
}

// copyOptional copies in a string of at most a page; a null pointer is the empty string.
func copyOptional(t *kernel.Task, addr abi.Addr) (string, error) {
	if addr == 0 {
		return "", nil
	}
	s, err := t.MM().CopyInString(addr, abi.PageSize)
	if err == abi.ENAMETOOLONG {
		err = abi.EINVAL
	}
	return s, err
}

// Mount is mount(2).
func Mount(t *kernel.Task, a *abi.Args) (uint64, error) {
	fstype, err := copyOptional(t, a.Addr(2))
	if err != nil {
		return 0, err
	}
	source, err := copyOptional(t, a.Addr(0))
	if err != nil {
		return 0, err
	}
	data, err := copyOptional(t, a.Addr(4))
	if err != nil {
		return 0, err
	}
	target, err := copyPath(t, a.Addr(1))
	if err != nil {
		return 0, err
	}
	return done0(vfs.MountAt(t.Ctx(), fstype, source, target, a.Size(3), data))
}

// Umount2 is umount2(2).
func Umount2(t *kernel.Task, a *abi.Args) (uint64, error) {
	target, err := copyPath(t, a.Addr(0))
	if err != nil {
		return 0, err
	}
	return done0(vfs.UmountAt(t.Ctx(), target, a.Uint(1)))
}

// PivotRoot is pivot_root(2).
func PivotRoot(t *kernel.Task, a *abi.Args) (uint64, error) {
	ctx := t.Ctx()
	if m := t.Namespaces().Mnt; !t.Creds().HasCapIn(abi.CAP_SYS_ADMIN, m.UserNS) {
		return 0, abi.EPERM
	}
	var p [2]vfs.Path
	for i := range p {
		name, err := copyPath(t, a.Addr(i))
		if err != nil {
			return 0, err
		}
		if p[i], err = vfs.Lookup(ctx, t.FS().Cwd(), name, vfs.LookupFollow|vfs.LookupDirectory); err != nil {
			return 0, err
		}
	}
	return done0(vfs.PivotRoot(ctx, p[0], p[1], sharersOfMounts(t)))
}

// sharersOfMounts returns root and working directory of all tasks in t's mount namespace.
func sharersOfMounts(t *kernel.Task) []*vfs.FSInfo {
	k, own := t.Kernel(), t.Namespaces().Mnt
	seen := map[*vfs.FSInfo]bool{}
	var list []*vfs.FSInfo
	for _, g := range k.Groups(k.RootPIDNS) {
		for _, o := range g.Tasks() {
			ns, fs := o.Namespaces(), o.FS()
			if ns != nil && ns.Mnt == own && fs != nil && !seen[fs] {
				seen[fs] = true
				list = append(list, fs)
			}
		}
	}
	return list
}

// Unshare is unshare(2).
func Unshare(t *kernel.Task, a *abi.Args) (uint64, error) { return done0(t.Unshare(a.Size(0))) }

// nsFile is the open file of a namespace (/proc/PID/ns).
type nsFile interface {
	Namespace() kernel.AnyNamespace     // nil for a user namespace
	UserNamespace() *auth.UserNamespace // nil for others
	Kind() kernel.NSKind
}

// Setns is setns(2).
func Setns(t *kernel.Task, a *abi.Args) (uint64, error) {
	f, err := getIOFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	want := a.Uint(1)
	switch o := f.Ops.(type) {
	case nsFile:
		if want != 0 && uint64(want) != uint64(o.Kind()) {
			return 0, abi.EINVAL
		}
		if u := o.UserNamespace(); u != nil {
			return done0(t.SetnsUser(u))
		}
		return done0(t.Setns(o.Namespace()))
	case *kernel.PidFD:
		return done0(setnsAll(t, o, want))
	}
	return 0, abi.EINVAL
}

// setnsAll enters several namespaces of the process behind a pidfd: the user namespace
// first, which may give the rights to enter the others.
func setnsAll(t *kernel.Task, p *kernel.PidFD, want uint32) error {
	const known = abi.CLONE_NEWCGROUP | abi.CLONE_NEWIPC | abi.CLONE_NEWNET | abi.CLONE_NEWNS | abi.CLONE_NEWPID |
		abi.CLONE_NEWTIME | abi.CLONE_NEWUSER | abi.CLONE_NEWUTS
	if want == 0 || want&^known != 0 {
		return abi.EINVAL
	}
	o := p.Task()
	if o == nil {
		return abi.ESRCH
	}
	ns := o.Namespaces()
	if ns == nil {
		return abi.ESRCH
	}
	if err := t.MayAccess(o, kernel.AccessReal); err != nil {
		return err
	}
	if want&abi.CLONE_NEWUSER != 0 {
		if err := t.SetnsUser(o.UserNS()); err != nil {
			return err
		}
	}
	for _, s := range [...]struct {
		flag uint32
		ns   kernel.AnyNamespace
	}{
		{abi.CLONE_NEWCGROUP, ns.Cgroup}, {abi.CLONE_NEWIPC, ns.IPC}, {abi.CLONE_NEWUTS, ns.UTS}, {abi.CLONE_NEWNET, ns.Net},
		{abi.CLONE_NEWPID, o.PIDNS()}, {abi.CLONE_NEWTIME, ns.Time}, {abi.CLONE_NEWNS, ns.Mnt},
	} {
		if want&s.flag != 0 {
			if err := t.Setns(s.ns); err != nil {
				return err
			}
		}
	}
	return nil
}
