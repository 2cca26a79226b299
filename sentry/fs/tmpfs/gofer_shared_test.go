package tmpfs_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// sharedWorld has a directory of the host, shared, on /mnt.
func sharedWorld(t *testing.T) (*world, string) {
	t.Helper()
	dir := t.TempDir()
	w := newWorld(t)
	serveGofer(t, w, dir, true)
	if err := vfs.Chdir(w.ctx, "/mnt"); err != nil {
		t.Fatal(err)
	}
	return w, dir
}

// eventually waits until what is seen inside is want.
func eventually(t *testing.T, what, want string, see func() string) {
	t.Helper()
	var got string
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if got = see(); got == want {
			return
		}
	}
	t.Errorf("%s: %q, want %q", what, got, want)
}

func (w *world) look(name string) func() string {
	return func() string {
		p, err := vfs.Lookup(w.ctx, w.cwd(), name, 0)
		if err != nil {
			return err.Error()
		}
		a, _, err := vfs.Stat(w.ctx, p)
		return fmt.Sprintf("%o %d %v", a.Mode, a.Size, err)
	}
}

func (w *world) entries(name string) string {
	f, err := vfs.OpenAt(w.ctx, w.cwd(), name, vfs.OpenHow{Flags: abi.O_RDONLY | abi.O_DIRECTORY})
	if err != nil {
		return err.Error()
	}
	defer f.DecRef()
	var out []string
	_ = f.ReadDir(w.ctx, func(d *vfs.Dirent) bool { out = append(out, d.Name); return true })
	return fmt.Sprint(len(out))
}

func (w *world) contents(name string) string {
	f, err := vfs.OpenAt(w.ctx, w.cwd(), name, vfs.OpenHow{Flags: abi.O_RDONLY})
	if err != nil {
		return err.Error()
	}
	defer f.DecRef()
	b := make([]byte, 100)
	n, _ := f.Read(w.ctx, uio.One(b))
	return string(b[:n])
}

// TestSharedHostChanges: what is done on the host is seen inside, although names, missing
// names, attributes and listings are remembered.
func TestSharedHostChanges(t *testing.T) {
	w, dir := sharedWorld(t)
	host := func(name string) string { return filepath.Join(dir, name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	none := abi.ENOENT.Error()
	for _, prefix := range []string{"", "sub/deep/"} {
		must(os.MkdirAll(host(prefix), 0o755))
		f, g := prefix+"f", prefix+"g"
		eventually(t, "before", none, w.look(f))
		eventually(t, "empty", "2", func() string { return w.entries("./" + prefix) })
		must(os.WriteFile(host(f), []byte("one"), 0o644))
		must(os.Chmod(host(f), 0o644))
		eventually(t, "created", "100644 3 <nil>", w.look(f))
		eventually(t, "listed", "3", func() string { return w.entries("./" + prefix) })
		must(os.WriteFile(host(f), []byte("longer"), 0o644))
		eventually(t, "modified", "100644 6 <nil>", w.look(f))
		must(os.Chmod(host(f), 0o600))
		eventually(t, "chmod", "100600 6 <nil>", w.look(f))
		must(os.Rename(host(f), host(g)))
		eventually(t, "renamed", none, w.look(f))
		eventually(t, "renamed", "100600 6 <nil>", w.look(g))
		must(os.WriteFile(host(f), []byte("new"), 0o644))
		must(os.Rename(host(f), host(g)))
		eventually(t, "replaced", "new", func() string { return w.contents(g) })
		must(os.Remove(host(g)))
		eventually(t, "removed", none, w.look(g))
	}
	must(os.WriteFile(host("sub/deep/x"), []byte("in deep"), 0o644))
	eventually(t, "deep", "in deep", func() string { return w.contents("sub/deep/x") })
	must(os.Rename(host("sub"), host("moved")))
	eventually(t, "moved directory", "in deep", func() string { return w.contents("moved/deep/x") })
	eventually(t, "moved directory", none, func() string { return w.contents("sub/deep/x") })
	must(os.RemoveAll(host("moved")))
	must(os.MkdirAll(host("moved/deep"), 0o755))
	eventually(t, "made again", "2", func() string { return w.entries("moved/deep") })
}

// TestSharedInotify: those who watch inside see the host's changes, and their own once.
func TestSharedInotify(t *testing.T) {
	w, dir := sharedWorld(t)
	in, err := vfs.NewInotify(w.ctx, abi.O_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	defer in.DecRef()
	const mask = abi.IN_CREATE | abi.IN_DELETE | abi.IN_MOVED_FROM | abi.IN_MOVED_TO | abi.IN_MODIFY
	if _, err := in.Ops.(*vfs.Inotify).AddWatch(w.ctx, w.cwd(), mask); err != nil {
		t.Fatal(err)
	}
	w.look("nothing")() // the Gofer watches what is looked into
	var seen []string
	read := func() string {
		b := make([]byte, 1<<16)
		n, _ := in.Read(w.ctx, uio.One(b))
		for b = b[:n]; len(b) > 0; {
			size := binary.NativeEndian.Uint32(b[12:])
			seen = append(seen, fmt.Sprintf("%#x %s", binary.NativeEndian.Uint32(b[4:]),
				strings.TrimRight(string(b[16:16+size]), "\x00")))
			b = b[16+size:]
		}
		return strings.Join(seen, ", ")
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Mkdir(filepath.Join(dir, "a"), 0o755))
	must(os.Rename(filepath.Join(dir, "a"), filepath.Join(dir, "b")))
	must(os.Remove(filepath.Join(dir, "b")))
	eventually(t, "host", "0x40000100 a, 0x40000040 a, 0x40000080 b, 0x40000200 b", read)
	seen = nil
	f := w.open(t, "own", abi.O_CREAT|abi.O_WRONLY)
	if _, err := f.Write(w.ctx, uio.One([]byte("x"))); err != nil {
		t.Fatal(err)
	}
	f.DecRef()
	must(vfs.RenameAt2(w.ctx, w.cwd(), "own", w.cwd(), "mine", 0))
	must(vfs.UnlinkAt(w.ctx, w.cwd(), "mine"))
	must(os.Mkdir(filepath.Join(dir, "last"), 0o755))
	eventually(t, "own", "0x100 own, 0x2 own, 0x40 own, 0x80 mine, 0x200 mine, 0x40000100 last", read)
}
