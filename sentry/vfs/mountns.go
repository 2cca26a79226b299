package vfs

import (
	"cmp"
	"slices"

	"lazaret/sentry/auth"
	"lazaret/sentry/memfile"
	"lazaret/syscalls/abi"
)

// Fork returns a copy of ns with one user (CLONE_NEWNS), owned by userns; acct pays for its
// mounts. fs, which is the new namespace's task's own, moves its root and working directory
// into the copy.
func (ns *MountNamespace) Fork(acct *memfile.Account, fs *FSInfo, userns *auth.UserNamespace) (*MountNamespace, error) {
	n := &MountNamespace{ID: lastNSID.Add(1), UserNS: userns}
	n.users.Store(1)
	less := userns != ns.UserNS
	how := cloneBind
	if less {
		how = cloneSlave
	}
	pairs := map[*Mount]*Mount{}
	mounts.mu.Lock()
	if ns.root == nil {
		mounts.mu.Unlock()
		return nil, abi.EINVAL
	}
	root, err := cloneTreeLocked(acct, ns.root, ns.root.root, how, nil, pairs)
	if err != nil {
		mounts.mu.Unlock()
		return nil, err
	}
	n.root = root
	setNSLocked(root, n)
	for old, c := range pairs {
		c.unbindable = old.unbindable
		if less { // the mounts can only go together, and keep their restrictions
			c.locked = c != root
			c.lockFlags = c.flags.Load() & lockable
			c.userns = userns
		}
	}
	mounts.mu.Unlock()
	if fs != nil {
		moveInto(fs, pairs)
	}
	return n, nil
}

// moveInto changes the paths of fs from the mounts of one namespace to their copies.
func moveInto(fs *FSInfo, pairs map[*Mount]*Mount) {
	if c := pairs[fs.Root().Mount]; c != nil {
		_ = fs.SetRoot(Path{c, fs.Root().Dentry}) // both pinned: it cannot fail
	}
	if c := pairs[fs.Cwd().Mount]; c != nil {
		_ = fs.SetCwd(Path{c, fs.Cwd().Dentry})
	}
}

// Enter is setns(2) with CLONE_NEWNS: root and working directory of ctx become the root
// of ns. The caller has checked capabilities and sets Context.MountNS.
func (ns *MountNamespace) Enter(ctx *Context) error {
	root := ns.Root()
	if err := ctx.FS.SetRoot(root); err != nil {
		return err
	}
	return ctx.FS.SetCwd(root)
}

// MountInfo is what /proc/PID/mountinfo says about a mount.
type MountInfo struct {
	ID, Parent    uint64
	Major, Minor  uint32
	Root          string // of the mount within its file system
	Point         string // where it is, as seen from the reader's root
	Flags         uint32 // MS_* of the mount
	Shared        uint64 // peer group, 0: none
	Master        uint64 // peer group of the master, 0: none
	PropagateFrom uint64 // nearest dominating peer group under the root, 0: none
	Unbindable    bool
	Type          string
	Source        string
	SuperFlags    uint32
	SuperOptions  string
	Mount         *Mount
}

// MountInfos returns the mounts of ns that are visible from root, in the order in which
// they were made (Linux since 6.8).
func (ns *MountNamespace) MountInfos(root Path) []MountInfo {
	var all []*Mount
	mounts.mu.RLock()
	if ns.root != nil {
		eachLocked(ns.root, func(m *Mount) { all = append(all, m) })
	}
	out := make([]MountInfo, 0, len(all))
	for _, m := range all {
		i := MountInfo{ID: m.id, Major: m.super.Major, Minor: m.super.Minor, Flags: m.flags.Load(),
			Unbindable: m.unbindable, Type: m.super.Type, Source: m.Source, SuperFlags: m.super.Flags(), Mount: m}
		i.Parent = m.id
		if p := m.place(); p.Mount != nil {
			i.Parent = p.Mount.id
		}
		if m.group != nil {
			i.Shared = m.group.id
		}
		if m.master != nil {
			i.Master = m.master.id
		}
		out = append(out, i)
	}
	mounts.mu.RUnlock()
	slices.SortFunc(out, func(a, b MountInfo) int { return cmp.Compare(a.ID, b.ID) })
	seen := out[:0]
	for _, i := range out {
		m := i.Mount
		point, ok := PathString(root, Path{m, m.root})
		if !ok {
			continue
		}
		i.Point = point
		i.Root, _ = PathString(Path{}, Path{nil, m.root})
		i.SuperOptions = m.super.ShowOptions()
		seen = append(seen, i)
	}
	return seen
}

// flagNames are the mount options that flags show as.
var flagNames = []struct {
	flag uint32
	name string
}{
	{abi.MS_NOSUID, "nosuid"}, {abi.MS_NODEV, "nodev"}, {abi.MS_NOEXEC, "noexec"},
	{abi.MS_NOATIME, "noatime"}, {abi.MS_NODIRATIME, "nodiratime"}, {abi.MS_RELATIME, "relatime"},
	{abi.MS_NOSYMFOLLOW, "nosymfollow"},
}

func rw(flags uint32) string {
	if flags&abi.MS_RDONLY != 0 {
		return "ro"
	}
	return "rw"
}

// Options returns the mount's own options as mountinfo shows them.
func (i *MountInfo) Options() string {
	s := rw(i.Flags)
	for _, f := range flagNames {
		if i.Flags&f.flag != 0 {
			s += "," + f.name
		}
	}
	return s
}

// SuperOpts returns the super block's options as mountinfo shows them.
func (i *MountInfo) SuperOpts() string {
	s := rw(i.SuperFlags)
	if i.SuperOptions != "" {
		s += "," + i.SuperOptions
	}
	return s
}

// escape is how mountinfo and mounts write spaces and such.
func escape(s string) string {
	var b []byte
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case ' ', '\t', '\n', '\\', '#':
			b = append(b, '\\', '0'+c>>6, '0'+c>>3&7, '0'+c&7)
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

// String returns the line of /proc/PID/mountinfo, without newline.
func (i *MountInfo) String() string {
	s := itoa(i.ID) + " " + itoa(i.Parent) + " " + itoa(uint64(i.Major)) + ":" + itoa(uint64(i.Minor)) + " " +
		escape(i.Root) + " " + escape(i.Point) + " " + i.Options()
	if i.Shared != 0 {
		s += " shared:" + itoa(i.Shared)
	}
	if i.Master != 0 {
		s += " master:" + itoa(i.Master)
	}
	if i.Unbindable {
		s += " unbindable"
	}
	return s + " - " + escape(i.Type) + " " + i.source() + " " + i.SuperOpts()
}

func (i *MountInfo) source() string {
	if i.Source == "" {
		return "none"
	}
	return escape(i.Source)
}

// MountsLine returns the line of /proc/PID/mounts, without newline.
func (i *MountInfo) MountsLine() string {
	opts := i.Options()
	if i.SuperFlags&abi.MS_RDONLY != 0 && i.Flags&abi.MS_RDONLY == 0 {
		opts = "ro" + opts[2:]
	}
	if i.SuperOptions != "" {
		opts += "," + i.SuperOptions
	}
	return i.source() + " " + escape(i.Point) + " " + escape(i.Type) + " " + opts + " 0 0"
}
