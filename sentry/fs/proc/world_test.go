package proc

import (
	"strings"
	"testing"

	"lazaret/platform"
	"lazaret/sentry/auth"
	"lazaret/sentry/fs/tmpfs"
	"lazaret/sentry/kernel"
	"lazaret/sentry/memfile"
	"lazaret/sentry/mm"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// fakePlatform is a platform on which nothing runs.
type fakePlatform struct{}

func (fakePlatform) NewAddressSpace() (platform.AddressSpace, error) { return fakeAS{}, nil }
func (fakePlatform) NewContext() platform.Context                    { return fakeContext{} }
func (fakePlatform) UserRange() abi.AddrRange {
	return abi.AddrRange{Start: 1 << 16, End: 0x7ffffffff000}
}
func (fakePlatform) Close() {}

type fakeAS struct{}

func (fakeAS) Map(abi.AddrRange, int, int64, platform.Access) error { return nil }
func (fakeAS) Unmap(abi.AddrRange) error                            { return nil }
func (fakeAS) Protect(abi.AddrRange, platform.Access) error         { return nil }
func (a fakeAS) Fork() (platform.AddressSpace, error)               { return a, nil }
func (fakeAS) Release()                                             {}

type fakeContext struct{}

func (fakeContext) Switch(platform.AddressSpace, *platform.Regs) (platform.Event, error) {
	return platform.Event{}, abi.EIO
}
func (fakeContext) FPState() ([]byte, error) { return nil, nil }
func (fakeContext) SetFPState([]byte) error  { return nil }
func (fakeContext) Interrupt()               {}
func (fakeContext) Release()                 {}

// world is a kernel with a container whose root is a tmpfs with /proc.
type world struct {
	testing.TB
	k    *kernel.Kernel
	sys  *System
	c    *kernel.Container
	ns   *kernel.Namespaces
	boot *vfs.Context
}

const (
	argBase = 0x10000000
	nonRoot = 1000
)

func newWorld(t testing.TB) *world {
	t.Helper()
	mf, err := memfile.New("test", 1<<28)
	if err != nil {
		t.Fatal(err)
	}
	k := kernel.New(kernel.Config{Platform: fakePlatform{}, MemFile: mf, CPUs: 2})
	w := &world{TB: t, k: k}
	w.sys = Register(k, HostInfo{MemTotal: 8 << 30, CPUs: 2, Release: "6.12.0-lz", Version: "#1 SMP"})
	vfs.RegisterFileSystem(tmpfs.New(mf))
	acct := &memfile.Account{}
	acct.SetLimit(1 << 30)
	if w.c, err = k.NewContainer("c", acct, nil); err != nil {
		t.Fatal(err)
	}
	u := k.RootUserNS
	creds := &auth.Creds{UserNS: u, Permitted: auth.AllCaps, Effective: auth.AllCaps, Bounding: auth.AllCaps}
	w.boot = &vfs.Context{Creds: creds, Account: acct, Clock: k.Clock, MaxFileSize: ^uint64(0),
		Sleeper: BootSleeper{kernel.NewOutsideSleeper(), w.c.PIDNS(), w.c}}
	super, err := tmpfs.New(mf).NewSuper(w.boot, &vfs.MountSpec{})
	if err != nil {
		t.Fatal(err)
	}
	mnt, err := vfs.NewMountNamespace(super, "rootfs", 0, u)
	if err != nil {
		t.Fatal(err)
	}
	w.boot.FS, w.boot.MountNS = vfs.NewFSInfo(mnt.Root(), mnt.Root(), 0o22), mnt
	for _, d := range []string{"/proc", "/proc2"} {
		if err := vfs.MkdirAt(w.boot, mnt.Root(), d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	w.mount("/proc", "")
	ipc, _ := k.NewIPC(u)
	net, _ := k.NewNet(u, nil)
	w.ns = &kernel.Namespaces{UTS: k.NewUTS(u, "box", "(none)"), IPC: ipc, Net: net, Mnt: k.NewMnt(u, mnt),
		Cgroup: k.RootCgroupNS, Time: k.RootTimeNS, PIDChildren: w.c.PIDNS()}
	return w
}

func (w *world) mount(at, data string) {
	w.Helper()
	if err := vfs.MountAt(w.boot, "proc", "proc", at, 0, data); err != nil {
		w.Fatalf("mount %s %q: %v", at, data, err)
	}
}

// process makes a process of user uid with arguments and environment.
func (w *world) process(uid uint32, args, env string) *kernel.Task {
	w.Helper()
	m, err := mm.New(w.k.Platform, w.k.MemFile, w.c.Account)
	if err != nil {
		w.Fatal(err)
	}
	if _, err := m.MMap(mm.MapOpts{Addr: argBase, Len: 4 * abi.PageSize, Prot: platform.Read | platform.Write, Fixed: true}); err != nil {
		w.Fatal(err)
	}
	if err := m.CopyOut(argBase, []byte(args+env)); err != nil {
		w.Fatal(err)
	}
	mid := abi.Addr(argBase + len(args))
	m.SetRanges(mm.Ranges{Args: abi.AddrRange{Start: argBase, End: mid}, Env: abi.AddrRange{Start: mid, End: mid + abi.Addr(len(env))},
		Code: abi.AddrRange{Start: 0x400000, End: 0x401000}, StackStart: argBase, Auxv: []byte("auxv")})
	creds := w.boot.Creds.Copy()
	if uid != 0 {
		k, g := auth.KUID(uid), auth.KGID(uid)
		creds.RUID, creds.EUID, creds.SUID, creds.FSUID = k, k, k, k
		creds.RGID, creds.EGID, creds.SGID, creds.FSGID = g, g, g, g
		creds.Permitted, creds.Effective = 0, 0
	}
	ns := *w.ns
	t, err := w.k.NewProcess(&kernel.ProcessArgs{Container: w.c, FS: w.boot.FS.Fork(), Files: vfs.NewFDTable(0),
		Namespaces: &ns, Limits: kernel.DefaultLimits(), Image: &kernel.Image{MM: m, Name: "/bin/prog", Creds: creds}})
	if err != nil {
		w.Fatal(err)
	}
	t.SetCreds(creds)
	t.ThreadGroup().SetDumpable(kernel.DumpUser)
	return t
}

func open(t *kernel.Task, name string, flags uint32) (*vfs.File, error) {
	return vfs.OpenAt(t.Ctx(), t.FS().Cwd(), name, vfs.OpenHow{Flags: flags})
}

// read returns the whole text of a file, read in pieces of size bytes.
func read(t *kernel.Task, name string, size int) (string, error) {
	f, err := open(t, name, abi.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer f.DecRef()
	var out []byte
	for {
		b := make([]byte, size)
		n, err := f.Read(t.Ctx(), uio.One(b))
		if err != nil || n == 0 {
			return string(out), err
		}
		out = append(out, b[:n]...)
	}
}

func (w *world) read(t *kernel.Task, name string) string {
	w.Helper()
	s, err := read(t, name, 100)
	if err != nil {
		w.Fatalf("read %s: %v", name, err)
	}
	return s
}

func write(t *kernel.Task, name, s string) error {
	f, err := open(t, name, abi.O_WRONLY|abi.O_TRUNC)
	if err != nil {
		return err
	}
	defer f.DecRef()
	n, err := f.Write(t.Ctx(), uio.One([]byte(s)))
	if err == nil && n != len(s) {
		return abi.EIO
	}
	return err
}

func (w *world) link(t *kernel.Task, name string) (string, error) {
	p, err := vfs.Lookup(t.Ctx(), t.FS().Cwd(), name, 0)
	if err != nil {
		return "", err
	}
	l, ok := p.Inode().(vfs.Symlink)
	if !ok {
		return "", abi.EINVAL
	}
	return l.Readlink(t.Ctx())
}

func (w *world) names(t *kernel.Task, name string) []string {
	w.Helper()
	f, err := open(t, name, abi.O_RDONLY|abi.O_DIRECTORY)
	if err != nil {
		w.Fatalf("open %s: %v", name, err)
	}
	defer f.DecRef()
	var out []string
	for { // a few at a time, to try the positions
		n := 0
		err := f.ReadDir(t.Ctx(), func(d *vfs.Dirent) bool {
			if n == 3 {
				return false
			}
			n++
			out = append(out, d.Name)
			return true
		})
		if err != nil {
			w.Fatal(err)
		}
		if n == 0 {
			return out
		}
	}
}

// keys returns the part of each line before a colon.
func keys(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		k, _, _ := strings.Cut(line, ":")
		out = append(out, k)
	}
	return out
}
