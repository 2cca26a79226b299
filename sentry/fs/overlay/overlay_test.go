package overlay_test

import (
	"slices"
	"strings"
	"testing"

	"lazaret/sentry/auth"
	"lazaret/sentry/fs/overlay"
	"lazaret/sentry/fs/tmpfs"
	"lazaret/sentry/memfile"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

type world struct {
	*testing.T
	ctx *vfs.Context
}

const allCaps = auth.CapSet(1<<(abi.CAP_LAST_CAP+1) - 1)

// newWorld has a tmpfs with lower, filled by fill, as root and an overlay of it on /m.
func newWorld(t *testing.T, fill func(w *world)) *world {
	t.Helper()
	mf, err := memfile.New("test", 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	userns := auth.NewInitial()
	w := &world{t, &vfs.Context{
		Creds:   &auth.Creds{UserNS: userns, Effective: allCaps, Permitted: allCaps},
		Account: &memfile.Account{}, MaxFileSize: ^uint64(0),
	}}
	typ := tmpfs.New(mf)
	mk := func() *vfs.Super {
		s, err := typ.NewSuper(w.ctx, &vfs.MountSpec{Data: "mode=755"})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	ns, err := vfs.NewMountNamespace(mk(), "root", 0, userns)
	if err != nil {
		t.Fatal(err)
	}
	w.ctx.FS = vfs.NewFSInfo(ns.Root(), ns.Root(), 0)
	w.ctx.MountNS = ns
	w.must(vfs.MkdirAt(w.ctx, ns.Root(), "l", 0o755))
	w.must(vfs.MkdirAt(w.ctx, ns.Root(), "m", 0o755))
	lower := mk()
	p, _ := vfs.Lookup(w.ctx, ns.Root(), "l", 0)
	w.must(vfs.MountSuper(w.ctx, lower, p, "lower", 0))
	w.must(vfs.Chdir(w.ctx, "/l"))
	fill(w)
	s, err := overlay.New(w.ctx, mk(), []*vfs.Super{lower}, "ov")
	w.must(err)
	p, _ = vfs.Lookup(w.ctx, ns.Root(), "/m", 0)
	w.must(vfs.MountSuper(w.ctx, s, p, "ov", 0))
	w.must(vfs.Chdir(w.ctx, "/m"))
	t.Cleanup(func() {
		w.ctx.FS.DecUsers()
		ns.DecUsers()
		if n := mf.InUse(); n != 0 {
			t.Errorf("%d bytes leaked", n)
		}
		mf.Close()
	})
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) open(name string, flags uint32) *vfs.File {
	w.Helper()
	f, err := vfs.OpenAt(w.ctx, w.ctx.FS.Cwd(), name, vfs.OpenHow{Flags: flags, Mode: 0o644})
	if err != nil {
		w.Fatalf("open %s: %v", name, err)
	}
	return f
}

func (w *world) put(name, s string) {
	w.Helper()
	f := w.open(name, abi.O_CREAT|abi.O_TRUNC|abi.O_WRONLY)
	defer f.DecRef()
	if _, err := f.Write(w.ctx, uio.One([]byte(s))); err != nil {
		w.Fatal(err)
	}
}

func (w *world) get(name string) string {
	w.Helper()
	f := w.open(name, abi.O_RDONLY)
	defer f.DecRef()
	b := make([]byte, 1<<12)
	n, err := f.ReadAt(w.ctx, uio.One(b), 0)
	w.must(err)
	return string(b[:n])
}

func (w *world) want(name, want string) {
	w.Helper()
	if got := w.get(name); got != want {
		w.Errorf("%s contains %q, want %q", name, got, want)
	}
}

func (w *world) ls(name, want string) {
	w.Helper()
	f := w.open(name, abi.O_RDONLY|abi.O_DIRECTORY)
	defer f.DecRef()
	var out []string
	w.must(f.ReadDir(w.ctx, func(d *vfs.Dirent) bool {
		if d.Name != "." && d.Name != ".." {
			out = append(out, d.Name)
			if a, err := w.stat(name + "/" + d.Name); err != nil || a.Ino != d.Ino {
				w.Errorf("%s/%s: d_ino %d, st_ino %d, %v", name, d.Name, d.Ino, a.Ino, err)
			}
		}
		return true
	}))
	slices.Sort(out)
	if got := strings.Join(out, " "); got != want {
		w.Errorf("%s lists %q, want %q", name, got, want)
	}
}

func (w *world) stat(name string) (vfs.Attr, error) {
	p, err := vfs.Lookup(w.ctx, w.ctx.FS.Cwd(), name, 0)
	if err != nil {
		return vfs.Attr{}, err
	}
	a, _, err := vfs.Stat(w.ctx, p)
	return a, err
}

func (w *world) rename(from, to string) error {
	return vfs.RenameAt2(w.ctx, w.ctx.FS.Cwd(), from, w.ctx.FS.Cwd(), to, 0)
}
func (w *world) unlink(n string) error { return vfs.UnlinkAt(w.ctx, w.ctx.FS.Cwd(), n) }
func (w *world) rmdir(n string) error  { return vfs.RmdirAt(w.ctx, w.ctx.FS.Cwd(), n) }
func (w *world) mkdir(n string) error  { return vfs.MkdirAt(w.ctx, w.ctx.FS.Cwd(), n, 0o755) }

func base(w *world) {
	w.put("a", "lower a")
	w.put("b", "lower b")
	w.must(w.mkdir("d"))
	w.put("d/x", "lower x")
	w.put("d/y", "lower y")
	w.must(w.mkdir("d/sub"))
	w.put("h1", "linked")
	p, err := vfs.Lookup(w.ctx, w.ctx.FS.Cwd(), "h1", 0)
	w.must(err)
	w.must(vfs.LinkAt(w.ctx, p, w.ctx.FS.Cwd(), "h2"))
	w.must(vfs.SetXattr(w.ctx, p, "user.k", []byte("v"), 0))
}

func TestCopyUp(t *testing.T) {
	w := newWorld(t, base)
	before, err := w.stat("d/x")
	w.must(err)
	ro := w.open("d/x", abi.O_RDONLY)
	defer ro.DecRef()
	f := w.open("d/x", abi.O_WRONLY|abi.O_APPEND)
	if _, err := f.Write(w.ctx, uio.One([]byte("+"))); err != nil {
		t.Fatal(err)
	}
	f.DecRef()
	w.want("d/x", "lower x+")
	w.want("/l/d/x", "lower x")
	b := make([]byte, 100)
	if n, _ := ro.Read(w.ctx, uio.One(b)); string(b[:n]) != "lower x" {
		t.Errorf("the file opened before reads %q", b[:n])
	}
	after, err := w.stat("d/x")
	w.must(err)
	if after.Ino != before.Ino || after.Mode != before.Mode {
		t.Errorf("copy-up changed %+v to %+v", before, after)
	}
	w.ls(".", "a b d h1 h2")
	w.ls("d", "sub x y")
	w.put("a", "new")
	w.want("a", "new")
	w.want("/l/a", "lower a")
}

func TestHardLinks(t *testing.T) {
	w := newWorld(t, base)
	w.put("h1", "changed")
	w.want("h2", "changed")
	a, _ := w.stat("h2")
	b, _ := w.stat("h1")
	if a.Ino != b.Ino || a.Nlink != 2 {
		t.Errorf("links: %+v and %+v", a, b)
	}
	p, _ := vfs.Lookup(w.ctx, w.ctx.FS.Cwd(), "h2", 0)
	if v, err := vfs.GetXattr(w.ctx, p, "user.k"); string(v) != "v" {
		t.Errorf("xattr after copy-up: %q, %v", v, err)
	}
	w.must(w.unlink("h1"))
	w.want("h2", "changed")
	if a, _ := w.stat("h2"); a.Nlink != 1 {
		t.Errorf("nlink %d after unlink", a.Nlink)
	}
	w.must(w.rename("h2", "h3"))
	w.want("h3", "changed")
	w.must(w.unlink("h3"))
	w.ls(".", "a b d")
}

func TestWhiteouts(t *testing.T) {
	w := newWorld(t, base)
	w.must(w.unlink("a"))
	if _, err := w.stat("a"); err != abi.ENOENT {
		t.Errorf("removed name: %v", err)
	}
	if err := w.rmdir("d"); err != abi.ENOTEMPTY {
		t.Errorf("rmdir of a full directory: %v", err)
	}
	w.must(w.unlink("d/x"))
	w.must(w.unlink("d/y"))
	w.must(w.rmdir("d/sub"))
	w.ls("d", "")
	w.must(w.rmdir("d"))
	w.ls(".", "b h1 h2")
	w.must(w.mkdir("d"))
	w.ls("d", "") // opaque: the lower names stay hidden
	w.put("a", "again")
	w.want("a", "again")
	w.ls("/l/d", "sub x y")
}

func TestRename(t *testing.T) {
	w := newWorld(t, base)
	w.must(w.rename("a", "d/z"))
	w.want("d/z", "lower a")
	if _, err := w.stat("a"); err != abi.ENOENT {
		t.Errorf("old name: %v", err)
	}
	w.must(w.rename("b", "d/x"))
	w.want("d/x", "lower b")
	if err := w.rename("d", "e"); err != abi.EXDEV {
		t.Errorf("rename of a lower directory: %v", err)
	}
	w.must(w.mkdir("n"))
	w.put("n/f", "in n")
	w.must(w.rename("n", "n2"))
	w.want("n2/f", "in n")
	w.must(w.rename("n2", "a")) // over a whiteout
	w.ls("a", "f")
	w.ls(".", "a d h1 h2")
}

// TestNoForeignWhiteouts: what looks like a whiteout cannot be made from outside.
func TestNoForeignWhiteouts(t *testing.T) {
	w := newWorld(t, base)
	cwd := w.ctx.FS.Cwd()
	if err := vfs.MknodAt(w.ctx, cwd, "w", abi.S_IFCHR|0o600, 0, 0); err != abi.EPERM {
		t.Errorf("mknod: %v", err)
	}
	w.put("n", "new")
	if err := vfs.RenameAt2(w.ctx, cwd, "n", cwd, "n2", abi.RENAME_WHITEOUT); err != abi.EINVAL {
		t.Errorf("rename: %v", err)
	}
	w.ls(".", "a b d h1 h2 n")
}

func TestReadOnlyUse(t *testing.T) {
	w := newWorld(t, base)
	w.want("d/y", "lower y")
	w.ls("d", "sub x y")
	p, _ := vfs.Lookup(w.ctx, w.ctx.FS.Cwd(), "d/y", 0)
	w.must(vfs.Chmod(w.ctx, p, 0o600))
	if a, _ := w.stat("d/y"); a.Mode&0o777 != 0o600 {
		t.Errorf("mode %o", a.Mode)
	}
	w.want("d/y", "lower y")
	f := w.open("b", abi.O_RDONLY)
	w.must(w.unlink("b"))
	b := make([]byte, 100)
	if n, err := f.Read(w.ctx, uio.One(b)); string(b[:n]) != "lower b" {
		t.Errorf("removed file reads %q, %v", b[:n], err)
	}
	if a, err := f.Inode.Attr(w.ctx, 0); a.Nlink != 0 {
		t.Errorf("removed file has nlink %d, %v", a.Nlink, err)
	}
	f.DecRef()
}
