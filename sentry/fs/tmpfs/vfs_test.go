package tmpfs_test

import (
	"testing"

	"lazaret/sentry/auth"
	"lazaret/sentry/fs/tmpfs"
	"lazaret/sentry/memfile"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// world is a kernel's worth of file system with a tmpfs as root.
type world struct {
	mf  *memfile.File
	typ *tmpfs.Type
	ns  *vfs.MountNamespace
	ctx *vfs.Context
}

const allCaps = auth.CapSet(1<<(abi.CAP_LAST_CAP+1) - 1)

func newWorld(t testing.TB) *world {
	t.Helper()
	mf, err := memfile.New("test", 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{mf: mf, typ: tmpfs.New(mf)}
	vfs.RegisterFileSystem(w.typ)
	userns := auth.NewInitial()
	w.ctx = &vfs.Context{
		Creds:       &auth.Creds{UserNS: userns, Effective: allCaps, Permitted: allCaps, Bounding: allCaps},
		Account:     &memfile.Account{},
		MaxFileSize: ^uint64(0),
	}
	s, err := w.typ.NewSuper(w.ctx, &vfs.MountSpec{Data: "mode=755"})
	if err != nil {
		t.Fatal(err)
	}
	if w.ns, err = vfs.NewMountNamespace(s, "root", 0, userns); err != nil {
		t.Fatal(err)
	}
	root := w.ns.Root()
	w.ctx.FS = vfs.NewFSInfo(root, root, 0o022)
	w.ctx.MountNS = w.ns
	t.Cleanup(func() {
		w.ctx.FS.DecUsers()
		w.ns.DecUsers()
		if n := mf.InUse(); n != 0 {
			t.Errorf("%d bytes of the memory file leaked", n)
		}
		mf.Close()
	})
	return w
}

// as returns a context of another user with the same root.
func (w *world) as(uid uint32) *vfs.Context {
	c := *w.ctx
	c.Creds = w.ctx.Creds.Copy()
	c.Creds.RUID, c.Creds.EUID, c.Creds.SUID, c.Creds.FSUID = auth.KUID(uid), auth.KUID(uid), auth.KUID(uid), auth.KUID(uid)
	c.Creds.RGID, c.Creds.EGID, c.Creds.SGID, c.Creds.FSGID = auth.KGID(uid), auth.KGID(uid), auth.KGID(uid), auth.KGID(uid)
	c.Creds.Effective, c.Creds.Permitted = 0, 0
	return &c
}

func (w *world) cwd() vfs.Path { return w.ctx.FS.Cwd() }

func (w *world) mkdir(t testing.TB, name string) {
	t.Helper()
	if err := vfs.MkdirAt(w.ctx, w.cwd(), name, 0o777); err != nil {
		t.Fatalf("mkdir %s: %v", name, err)
	}
}

func (w *world) open(t testing.TB, name string, flags uint32) *vfs.File {
	t.Helper()
	f, err := vfs.OpenAt(w.ctx, w.cwd(), name, vfs.OpenHow{Flags: flags, Mode: 0o666})
	if err != nil {
		t.Fatalf("open %s %#x: %v", name, flags, err)
	}
	return f
}

func (w *world) write(t testing.TB, name, s string) {
	t.Helper()
	f := w.open(t, name, abi.O_CREAT|abi.O_WRONLY|abi.O_TRUNC)
	defer f.DecRef()
	if n, err := f.Write(w.ctx, uio.One([]byte(s))); n != len(s) || err != nil {
		t.Fatalf("write %s: %d, %v", name, n, err)
	}
}

func (w *world) read(t testing.TB, name string) string {
	t.Helper()
	f := w.open(t, name, abi.O_RDONLY)
	defer f.DecRef()
	b := make([]byte, 1<<16)
	n, err := f.Read(w.ctx, uio.One(b))
	if err != nil {
		t.Fatalf("read %s: %v", name, err)
	}
	return string(b[:n])
}

func (w *world) names(t testing.TB, name string) []string {
	t.Helper()
	f := w.open(t, name, abi.O_RDONLY|abi.O_DIRECTORY)
	defer f.DecRef()
	var out []string
	err := f.ReadDir(w.ctx, func(d *vfs.Dirent) bool {
		out = append(out, d.Name)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestWalk(t *testing.T) {
	w := newWorld(t)
	w.mkdir(t, "/d")
	w.mkdir(t, "/d/e")
	w.write(t, "/d/e/f", "hello")
	for link, target := range map[string]string{"/l": "d/e", "/abs": "/d/e/f", "/loop": "loop", "/dangling": "nope", "/slash": "d/e/"} {
		if err := vfs.SymlinkAt(w.ctx, target, w.cwd(), link); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name  string
		flags vfs.LookupFlags
		err   error
	}{
		{"/d/e/f", 0, nil}, {"/d/../d/./e//f", 0, nil}, {"/d/e/f/", 0, abi.ENOTDIR}, {"/d/e/", 0, nil},
		{"/l/f", 0, nil}, {"/abs", vfs.LookupFollow, nil}, {"/abs/", 0, abi.ENOTDIR}, {"/loop", vfs.LookupFollow, abi.ELOOP},
		{"/loop", 0, nil}, {"/dangling", vfs.LookupFollow, abi.ENOENT}, {"", 0, abi.ENOENT}, {"", vfs.LookupEmpty, nil},
		{"/../../d", 0, nil}, {"/d/e/f/..", 0, abi.ENOTDIR}, {"/slash/f", 0, nil}, {"/l", vfs.LookupDirectory, abi.ENOTDIR},
		{"/l/", vfs.LookupDirectory, nil}, {"/nope/..", 0, abi.ENOENT}, {"/", 0, nil}, {"//", 0, nil},
		{"/" + string(make([]byte, 256)), 0, abi.ENAMETOOLONG}, {string(make([]byte, 4096)), 0, abi.ENAMETOOLONG},
	}
	for _, tt := range tests {
		if _, err := vfs.Lookup(w.ctx, w.cwd(), tt.name, tt.flags); err != tt.err {
			t.Errorf("lookup %.40q flags %d: %v, want %v", tt.name, tt.flags, err, tt.err)
		}
	}
}

func TestResolve(t *testing.T) {
	w := newWorld(t)
	w.mkdir(t, "/d")
	w.mkdir(t, "/d/e")
	w.mkdir(t, "/d/m")
	w.write(t, "/d/f", "inner")
	w.write(t, "/f", "outer")
	for link, target := range map[string]string{"/d/up": "../f", "/d/abs": "/f", "/d/in": "e"} {
		if err := vfs.SymlinkAt(w.ctx, target, w.cwd(), link); err != nil {
			t.Fatal(err)
		}
	}
	if err := vfs.MountAt(w.ctx, "tmpfs", "x", "/d/m", 0, ""); err != nil {
		t.Fatal(err)
	}
	d, err := vfs.Lookup(w.ctx, w.cwd(), "/d", 0)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		how  uint64
		err  error
	}{
		{"e/..", abi.RESOLVE_BENEATH, nil}, {"..", abi.RESOLVE_BENEATH, abi.EXDEV}, {"e/../..", abi.RESOLVE_BENEATH, abi.EXDEV},
		{"up", abi.RESOLVE_BENEATH, abi.EXDEV}, {"abs", abi.RESOLVE_BENEATH, abi.EXDEV}, {"/f", abi.RESOLVE_BENEATH, abi.EXDEV},
		{"abs", abi.RESOLVE_IN_ROOT, nil}, {"up", abi.RESOLVE_IN_ROOT, nil}, {"/../../f", abi.RESOLVE_IN_ROOT, nil},
		{"in", abi.RESOLVE_NO_SYMLINKS, abi.ELOOP}, {"m", abi.RESOLVE_NO_XDEV, abi.EXDEV}, {"..", abi.RESOLVE_NO_XDEV, nil},
		{"e", abi.RESOLVE_CACHED, nil}, {"never", abi.RESOLVE_CACHED, abi.EAGAIN},
	}
	for _, tt := range tests {
		if _, err := vfs.LookupResolve(w.ctx, d, tt.name, vfs.LookupFollow, tt.how); err != tt.err {
			t.Errorf("%q resolve %#x: %v, want %v", tt.name, tt.how, err, tt.err)
		}
	}
}

func TestDeletedPaths(t *testing.T) {
	w := newWorld(t)
	w.mkdir(t, "/d")
	w.write(t, "/d/f", "x")
	f := w.open(t, "/d/f", abi.O_RDWR)
	defer f.DecRef()
	root := w.ctx.FS.Root()
	check := func(want string) {
		t.Helper()
		if got, _ := vfs.PathString(root, f.Path); got != want {
			t.Errorf("path %q, want %q", got, want)
		}
	}
	check("/d/f")
	if err := vfs.RenameAt2(w.ctx, root, "d", root, "g", 0); err != nil {
		t.Fatal(err)
	}
	check("/g/f")
	if err := vfs.UnlinkAt(w.ctx, root, "g/f"); err != nil {
		t.Fatal(err)
	}
	check("/g/f (deleted)")
	if n, err := f.Write(w.ctx, uio.One([]byte("still"))); n != 5 || err != nil {
		t.Errorf("write to a removed file: %d, %v", n, err)
	}
}

func TestMounts(t *testing.T) {
	w := newWorld(t)
	ctx := w.ctx
	for _, d := range []string{"/a", "/b", "/c", "/b/x"} {
		w.mkdir(t, d)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(vfs.MountAt(ctx, "tmpfs", "ta", "/a", abi.MS_NOSUID, "size=1m,mode=700"))
	w.write(t, "/a/f", "in a")
	must(vfs.MountAt(ctx, "", "/a", "/c", abi.MS_BIND, ""))
	if got := w.read(t, "/c/f"); got != "in a" {
		t.Errorf("bind shows %q", got)
	}
	must(vfs.MountAt(ctx, "", "", "/c", abi.MS_REMOUNT|abi.MS_BIND|abi.MS_RDONLY, ""))
	if _, err := vfs.OpenAt(ctx, w.cwd(), "/c/f", vfs.OpenHow{Flags: abi.O_WRONLY}); err != abi.EROFS {
		t.Errorf("write through a read-only bind: %v", err)
	}
	f := w.open(t, "/a/f", abi.O_RDONLY)
	if err := vfs.UmountAt(ctx, "/a", 0); err != abi.EBUSY {
		t.Errorf("umount of a busy mount: %v", err)
	}
	f.DecRef()
	must(vfs.UmountAt(ctx, "/a", 0))
	if n := w.names(t, "/a"); len(n) != 2 {
		t.Errorf("after umount: %v", n)
	}
	// propagation: a shared mount and its peer see what is mounted below
	must(vfs.MountAt(ctx, "", "/b", "/b", abi.MS_BIND, ""))
	must(vfs.MountAt(ctx, "", "", "/b", abi.MS_SHARED, ""))
	must(vfs.MountAt(ctx, "", "/b", "/a", abi.MS_BIND, ""))
	must(vfs.MountAt(ctx, "tmpfs", "tx", "/b/x", 0, ""))
	w.write(t, "/b/x/deep", "shared")
	if got := w.read(t, "/a/x/deep"); got != "shared" {
		t.Errorf("peer sees %q", got)
	}
	must(vfs.UmountAt(ctx, "/a/x", 0))
	if n := w.names(t, "/b/x"); len(n) != 2 {
		t.Errorf("umount did not propagate: %v", n)
	}
	for _, i := range w.ns.MountInfos(ctx.FS.Root()) {
		t.Log(i.String())
	}
	n, err := w.ns.Fork(nil, nil, ctx.Creds.UserNS)
	must(err)
	n.DecUsers()
}

func TestPivotRoot(t *testing.T) {
	w := newWorld(t)
	ctx := w.ctx
	w.mkdir(t, "/new")
	if err := vfs.MountAt(ctx, "tmpfs", "n", "/new", 0, ""); err != nil {
		t.Fatal(err)
	}
	w.mkdir(t, "/new/old")
	nr, _ := vfs.Lookup(ctx, w.cwd(), "/new", 0)
	po, _ := vfs.Lookup(ctx, w.cwd(), "/new/old", 0)
	if err := vfs.PivotRoot(ctx, nr, po, []*vfs.FSInfo{ctx.FS}); err != nil {
		t.Fatal(err)
	}
	if _, err := vfs.Lookup(ctx, w.cwd(), "/old/new", 0); err != nil {
		t.Errorf("old root: %v", err)
	}
	if err := vfs.UmountAt(ctx, "/old", abi.MNT_DETACH); err != nil {
		t.Errorf("detach old root: %v", err)
	}
	if n := w.names(t, "/old"); len(n) != 2 {
		t.Errorf("after detach: %v", n)
	}
}
