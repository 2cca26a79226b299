package kernel

import (
	"lazaret/sentry/auth"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// newUserNS returns credentials in a new user namespace for t's child or for unshare.
func (t *Task) newUserNS(c *auth.Creds) (*auth.Creds, error) {
	fs := t.fs.Load()
	if fs.Root() != t.ns.Load().Mnt.Mounts.Root() {
		return nil, abi.EPERM // chroot(2): the namespace must not lift it
	}
	return c.NewUserNS(t.k.nsInode.Add(1))
}

// incRef and decRef count the users of a set of namespaces; the last one releases state
// that has a Release method, and the mount tree.
func (n *Namespaces) incRef() { n.each(func(ns *Namespace, _ any) { ns.refs.Add(1) }) }

func (n *Namespaces) decRef() {
	n.each(func(ns *Namespace, state any) {
		if ns.refs.Add(-1) != 0 {
			return
		}
		switch s := state.(type) {
		case *vfs.MountNamespace:
			s.DecUsers()
		case interface{ Release() }:
			s.Release()
		}
	})
}

// TryShare takes a reference for somebody who is in no set, such as a file of nsfs; false if
// the namespace has ended.
func (n *NetNamespace) TryShare() bool {
	for {
		r := n.refs.Load()
		if r <= 0 {
			return false
		}
		if n.refs.CompareAndSwap(r, r+1) {
			return true
		}
	}
}

// Drop gives up a reference.
func (n *NetNamespace) Drop() { (&Namespaces{Net: n}).decRef() }

func (n *Namespaces) each(f func(*Namespace, any)) {
	if n.UTS != nil {
		f(&n.UTS.Namespace, nil)
	}
	if n.IPC != nil {
		f(&n.IPC.Namespace, n.IPC.State)
	}
	if n.Net != nil {
		f(&n.Net.Namespace, n.Net.State)
	}
	if n.Mnt != nil {
		f(&n.Mnt.Namespace, n.Mnt.Mounts)
	}
}

// copy returns a set that may be changed, with references of its own.
func (n *Namespaces) copy() *Namespaces {
	c := *n
	c.incRef()
	return &c
}

// childNamespaces returns the set for a new task or for unshare: the caller's, with what
// flags ask for made new (copy_namespaces). fs is the new task's own; it moves into new
// mounts.
func (t *Task) childNamespaces(creds *auth.Creds, flags uint64, fs *vfs.FSInfo) (*Namespaces, error) {
	k, cur := t.k, t.ns.Load()
	if flags&cloneNamespaces&^abi.CLONE_NEWUSER == 0 {
		n := cur.copy()
		t.switchTime(n, flags)
		return n, nil
	}
	if !creds.HasCap(abi.CAP_SYS_ADMIN) {
		return nil, abi.EPERM
	}
	if flags&abi.CLONE_NEWPID != 0 && cur.PIDChildren.Level+1 >= maxPIDLevel {
		return nil, abi.ENOSPC
	}
	n := *cur
	u := creds.UserNS
	var fresh Namespaces // what starts with the one reference that it was made with
	if err := t.makeFresh(&n, &fresh, u, flags, fs); err != nil {
		fresh.decRef()
		return nil, err
	}
	n.incRef() // the shared rest
	n.merge(&fresh)
	if flags&abi.CLONE_NEWCGROUP != 0 {
		n.Cgroup = &CgroupNamespace{Namespace: k.newNS(u, NSCgroup)}
	}
	if flags&abi.CLONE_NEWPID != 0 {
		n.PIDChildren = k.newPIDNamespace(n.PIDChildren, u)
	}
	if flags&abi.CLONE_NEWTIME != 0 {
		n.TimeChild = k.NewTime(u)
		n.TimeChild.MonoNS, n.TimeChild.BootNS = cur.Time.Offsets()
	}
	t.switchTime(&n, flags)
	return &n, nil
}

// makeFresh makes the namespaces with state that flags ask for, and takes their
// predecessors out of n.
func (t *Task) makeFresh(n, fresh *Namespaces, u *auth.UserNamespace, flags uint64, fs *vfs.FSInfo) error {
	k := t.k
	var err error
	if flags&abi.CLONE_NEWUTS != 0 {
		host, domain := n.UTS.Names()
		fresh.UTS, n.UTS = k.NewUTS(u, host, domain), nil
	}
	if flags&abi.CLONE_NEWIPC != 0 {
		if fresh.IPC, err = k.NewIPC(u); err != nil {
			fresh.IPC = nil
			return err
		}
		n.IPC = nil
	}
	if flags&abi.CLONE_NEWNET != 0 {
		if fresh.Net, err = k.NewNet(u, t.container.Account); err != nil {
			fresh.Net = nil
			return err
		}
		n.Net = nil
	}
	if flags&abi.CLONE_NEWNS != 0 { // last: it moves fs
		m, err := n.Mnt.Mounts.Fork(t.container.Account, fs, u)
		if err != nil {
			return err
		}
		fresh.Mnt, n.Mnt = k.NewMnt(u, m), nil
	}
	return nil
}

// switchTime lets a new process enter the time namespace for children.
func (t *Task) switchTime(n *Namespaces, flags uint64) {
	if flags&(abi.CLONE_VM|abi.CLONE_VFORK) == 0 && n.TimeChild != nil && flags&abi.CLONE_THREAD == 0 {
		n.Time = n.TimeChild
		n.Time.enter()
	}
}

func (n *Namespaces) merge(o *Namespaces) {
	if o.UTS != nil {
		n.UTS = o.UTS
	}
	if o.IPC != nil {
		n.IPC = o.IPC
	}
	if o.Net != nil {
		n.Net = o.Net
	}
	if o.Mnt != nil {
		n.Mnt = o.Mnt
	}
}

// Offsets returns the shifts of CLOCK_MONOTONIC and CLOCK_BOOTTIME.
func (n *TimeNamespace) Offsets() (mono, boot int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.MonoNS, n.BootNS
}

// SetOffsets is a write to /proc/PID/timens_offsets; EACCES once a task has entered.
func (n *TimeNamespace) SetOffsets(mono, boot int64) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.entered {
		return abi.EACCES
	}
	n.MonoNS, n.BootNS = mono, boot
	return nil
}

func (n *TimeNamespace) enter() {
	n.mu.Lock()
	n.entered = true
	n.mu.Unlock()
}

// Unshare is unshare(2).
func (t *Task) Unshare(flags uint64) error {
	const known = cloneNamespaces | abi.CLONE_FS | abi.CLONE_FILES | abi.CLONE_VM | abi.CLONE_SIGHAND |
		abi.CLONE_SYSVSEM | abi.CLONE_THREAD
	if flags&^known != 0 {
		return abi.EINVAL
	}
	if flags&abi.CLONE_NEWUSER != 0 {
		flags |= abi.CLONE_THREAD | abi.CLONE_FS
	}
	if flags&abi.CLONE_NEWNS != 0 {
		flags |= abi.CLONE_FS
	}
	if flags&(abi.CLONE_THREAD|abi.CLONE_SIGHAND|abi.CLONE_VM) != 0 && len(t.tg.Tasks()) > 1 {
		return abi.EINVAL
	}
	creds := t.Creds()
	if flags&abi.CLONE_NEWUSER != 0 {
		n, err := t.newUserNS(creds)
		if err != nil {
			return err
		}
		creds = n
	}
	if flags&abi.CLONE_FS != 0 {
		t.UnshareFS()
	}
	if flags&cloneNamespaces&^abi.CLONE_NEWUSER != 0 {
		// CLONE_VM keeps unshare from entering the time namespace itself.
		n, err := t.childNamespaces(creds, flags|abi.CLONE_VM, t.fs.Load())
		if err != nil {
			return err
		}
		t.ns.Swap(n).decRef()
	}
	if flags&abi.CLONE_FILES != 0 {
		if err := t.UnshareFiles(); err != nil {
			return err
		}
	}
	if flags&(abi.CLONE_NEWIPC|abi.CLONE_SYSVSEM) != 0 {
		t.exitSem(t.Ctx())
	}
	if creds != t.Creds() {
		t.SetCreds(creds)
	}
	return nil
}

// UnshareFS gives the task an FSInfo of its own.
func (t *Task) UnshareFS() {
	if fs := t.fs.Load(); fs.Users() > 1 {
		t.fs.Store(fs.Fork())
		fs.DecUsers()
	}
}

// UnshareFiles gives the task a descriptor table of its own.
func (t *Task) UnshareFiles() error {
	if f := t.files.Load(); f.Users() > 1 {
		t.files.Store(f.Fork())
		f.DecUsers(t.Ctx())
	}
	return nil
}

// Setns is setns(2) with a namespace file. The caller has checked nstype.
func (t *Task) Setns(n AnyNamespace) error {
	creds := t.Creds()
	info := n.Info()
	if p, ok := n.(*PIDNamespace); ok {
		if !creds.HasCapIn(abi.CAP_SYS_ADMIN, info.UserNS) || !creds.HasCap(abi.CAP_SYS_ADMIN) {
			return abi.EPERM
		}
		if !t.PIDNS().IsAncestor(p) {
			return abi.EINVAL
		}
	} else if !creds.HasCapIn(abi.CAP_SYS_ADMIN, info.UserNS) || !creds.HasCap(abi.CAP_SYS_ADMIN) {
		return abi.EPERM
	}
	set := t.ns.Load().copy()
	var was Namespaces // references that the copy no longer needs
	switch x := n.(type) {
	case *UTSNamespace:
		was.UTS, set.UTS = set.UTS, x
	case *IPCNamespace:
		t.exitSem(t.Ctx())
		was.IPC, set.IPC = set.IPC, x
	case *NetNamespace:
		was.Net, set.Net = set.Net, x
	case *MntNamespace:
		if t.fs.Load().Users() > 1 || !creds.HasCap(abi.CAP_SYS_CHROOT) {
			set.decRef()
			return abi.EINVAL
		}
		was.Mnt, set.Mnt = set.Mnt, x
	case *CgroupNamespace:
		set.Cgroup = x
	case *PIDNamespace:
		set.PIDChildren = x
	case *TimeNamespace:
		if len(t.tg.Tasks()) > 1 {
			set.decRef()
			return abi.EUSERS
		}
		set.Time, set.TimeChild = x, x
		x.enter()
	default:
		set.decRef()
		return abi.EINVAL
	}
	if was.UTS != nil || was.IPC != nil || was.Net != nil || was.Mnt != nil {
		info.refs.Add(1)
	}
	if x, ok := n.(*MntNamespace); ok {
		if err := x.Mounts.Enter(t.Ctx()); err != nil {
			info.refs.Add(-1)
			set.Mnt = was.Mnt
			set.decRef()
			return err
		}
	}
	was.decRef()
	t.ns.Swap(set).decRef()
	return nil
}

// SetnsUser is setns(2) with a user namespace.
func (t *Task) SetnsUser(u *auth.UserNamespace) error {
	c := t.Creds()
	switch {
	case u == c.UserNS, len(t.tg.Tasks()) > 1, t.fs.Load().Users() > 1:
		return abi.EINVAL
	case !c.HasCapIn(abi.CAP_SYS_ADMIN, u):
		return abi.EPERM
	}
	t.SetCreds(c.EnterUserNS(u))
	return nil
}
