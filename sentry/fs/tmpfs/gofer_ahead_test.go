package tmpfs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"lazaret/gofer/proto"
	"lazaret/gofer/server"
	"lazaret/sentry/fs/gofer"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// relay passes messages on between a client and a server, and counts the requests.
func relay(t testing.TB, server int, requests *atomic.Int64) (client int) {
	t.Helper()
	client, mine, err := proto.SocketPair()
	if err != nil {
		t.Fatal(err)
	}
	down, err := proto.NewConn(mine)
	if err != nil {
		t.Fatal(err)
	}
	up, err := proto.NewConn(server)
	if err != nil {
		t.Fatal(err)
	}
	pass := func(from, to *proto.Conn, n *atomic.Int64) {
		for {
			var fds [proto.MaxFDs]int32
			msg, k, err := from.RecvFDs(fds[:])
			if err != nil {
				to.Shutdown()
				return
			}
			n.Add(1)
			_ = to.SendFDs(msg, fds[:k])
			for _, fd := range fds[:k] {
				unix.Close(int(fd))
			}
		}
	}
	go pass(down, up, requests)
	go pass(up, down, new(atomic.Int64))
	return client
}

// countedWorld has a directory of the host, not shared, on /mnt, which is the working
// directory.
func countedWorld(t testing.TB, dir string) (*world, *atomic.Int64) {
	t.Helper()
	return countedTree(t, dir, false)
}

// countedTree is countedWorld for a directory that others may change.
func countedTree(t testing.TB, dir string, shared bool) (*world, *atomic.Int64) {
	t.Helper()
	root, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	cfd, sfd, err := proto.SocketPair()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		done <- server.Serve(sfd, server.Config{Roots: []server.Root{{Name: "root", FD: root, Shared: shared}}})
	}()
	var requests atomic.Int64
	c, err := gofer.NewClient(relay(t, cfd, &requests))
	if err != nil {
		t.Fatal(err)
	}
	if shared {
		if err := c.Watch(); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		c.Close()
		<-done
		unix.Close(root)
	})
	w := newWorld(t)
	s, err := gofer.Mount(w.ctx, c, "root", "host")
	if err != nil {
		t.Fatal(err)
	}
	w.mkdir(t, "/mnt")
	p, err := vfs.Lookup(w.ctx, w.ctx.FS.Root(), "/mnt", 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := vfs.MountSuper(w.ctx, s, p, "host", 0); err != nil {
		t.Fatal(err)
	}
	if err := vfs.Chdir(w.ctx, "/mnt"); err != nil {
		t.Fatal(err)
	}
	return w, &requests
}

// wide makes a tree of n*n directories with a few files each.
func wide(t testing.TB, dir string, n int) {
	t.Helper()
	for i := range n {
		for j := range n {
			d := filepath.Join(dir, fmt.Sprint("a", i), fmt.Sprint("b", j))
			if err := os.MkdirAll(d, 0o755); err != nil {
				t.Fatal(err)
			}
			for k := range 3 {
				if err := os.WriteFile(filepath.Join(d, fmt.Sprint("f", k)), []byte(filepath.Base(d)+fmt.Sprint(k)), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// find walks through the tree at name as find(1) does and returns all names; see is called
// for each entry.
func (w *world) find(t testing.TB, name string, see func(name string, e *vfs.Dirent)) []string {
	t.Helper()
	f, err := vfs.OpenAt(w.ctx, w.cwd(), name, vfs.OpenHow{Flags: abi.O_RDONLY | abi.O_DIRECTORY})
	if err != nil {
		t.Fatal(name, err)
	}
	var entries []vfs.Dirent
	err = f.ReadDir(w.ctx, func(d *vfs.Dirent) bool { entries = append(entries, *d); return true })
	f.DecRef()
	if err != nil {
		t.Fatal(name, err)
	}
	var out []string
	for i := range entries {
		e := &entries[i]
		if e.Name == "." || e.Name == ".." {
			continue
		}
		full := name + "/" + e.Name
		out = append(out, full)
		if see != nil {
			see(full, e)
		}
		if e.Type == abi.DT_DIR {
			if p, err := vfs.Lookup(w.ctx, w.cwd(), full, 0); err != nil || !p.Dentry.IsDir() {
				t.Fatal(full, err)
			}
			out = append(out, w.find(t, full, see)...)
		}
	}
	return out
}

func hostNames(t testing.TB, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(p string, _ os.DirEntry, err error) error {
		if p != dir {
			out = append(out, "."+strings.TrimPrefix(p, dir))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

// TestReadAhead: a walk through a tree asks once for many directories, whether it looks at
// names only or at everything, and sees all.
func TestReadAhead(t *testing.T) {
	dir := t.TempDir()
	wide(t, dir, 16)
	want := hostNames(t, dir)
	w, requests := countedWorld(t, dir)
	got := w.find(t, ".", nil)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%d names, want %d", len(got), len(want))
	}
	const dirs = 16*16 + 16 + 1
	if n := requests.Load(); n > dirs/4 {
		t.Errorf("%d requests for the names of %d directories", n, dirs)
	}

	w, requests = countedWorld(t, dir)
	w.find(t, ".", func(name string, e *vfs.Dirent) {
		p, err := vfs.Lookup(w.ctx, w.cwd(), name, 0)
		if err != nil {
			t.Fatal(name, err)
		}
		a, _, err := vfs.Stat(w.ctx, p)
		if err != nil || a.Ino != e.Ino || a.Type()>>12 != uint32(e.Type) {
			t.Fatal(name, a, e, err)
		}
	})
	if n := requests.Load(); n > dirs/4 {
		t.Errorf("%d requests for all attributes in %d directories", n, dirs)
	}
}

// TestOpenAhead: who reads all files of a tree asks once for several.
func TestOpenAhead(t *testing.T) {
	dir := t.TempDir()
	wide(t, dir, 12)
	w, requests := countedWorld(t, dir)
	files := 0
	w.find(t, ".", func(name string, e *vfs.Dirent) {
		if e.Type != abi.DT_REG {
			return
		}
		files++
		want := filepath.Base(filepath.Dir(name)) + name[len(name)-1:]
		if got := w.read(t, name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	})
	if n := requests.Load(); files != 3*12*12 || n > int64(files)/5 {
		t.Errorf("%d requests for %d files", n, files)
	}
}

// TestOpenAheadChanges: files that were opened ahead are removed, replaced, written to and
// looked at after their names are gone.
func TestOpenAheadChanges(t *testing.T) {
	dir := t.TempDir()
	wide(t, dir, 8)
	w, _ := countedWorld(t, dir)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	seen := 0
	w.find(t, ".", func(name string, e *vfs.Dirent) {
		if e.Type != abi.DT_REG || !strings.HasSuffix(name, "f0") {
			return
		}
		w.read(t, name)
		sub, next := filepath.Dir(name), filepath.Dir(name)+"/f1"
		switch seen++; seen % 4 {
		case 0: // another file by the same name
			must(vfs.UnlinkAt(w.ctx, w.cwd(), next))
			w.write(t, next, "new")
			if got := w.read(t, next); got != "new" {
				t.Errorf("%s: %q after it was made again", next, got)
			}
		case 1:
			w.write(t, next, "changed")
			if got := w.read(t, next); got != "changed" {
				t.Errorf("%s: %q after it was written to", next, got)
			}
		case 2:
			must(vfs.RenameAt2(w.ctx, w.cwd(), name, w.cwd(), next, 0))
			if got := w.read(t, next); got != filepath.Base(sub)+"0" {
				t.Errorf("%s: %q after it was replaced", next, got)
			}
		case 3: // open, without a name, and then changed by what needs the Gofer
			f := w.open(t, next, abi.O_RDONLY)
			must(vfs.UnlinkAt(w.ctx, w.cwd(), next))
			must(vfs.Chmod(w.ctx, f.Path, 0o600))
			if a, _, err := vfs.Stat(w.ctx, f.Path); err != nil || a.Mode&0o777 != 0o600 || a.Nlink != 0 {
				t.Errorf("%s: %o, %d links, %v", next, a.Mode, a.Nlink, err)
			}
			f.DecRef()
		}
	})
	if seen != 64 {
		t.Errorf("%d files", seen)
	}
}

// TestReadAheadChanges: what we change in directories that were read ahead is seen when
// they are read.
func TestReadAheadChanges(t *testing.T) {
	dir := t.TempDir()
	wide(t, dir, 8)
	w, _ := countedWorld(t, dir)
	first := true
	changed := 0
	got := w.find(t, ".", func(name string, e *vfs.Dirent) {
		if first || e.Type != abi.DT_DIR || !strings.Contains(name, "/b") {
			first = false
			return
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(name, err)
			}
		}
		switch changed++; changed % 4 {
		case 0:
			w.write(t, name+"/new", "1")
		case 1:
			must(vfs.UnlinkAt(w.ctx, w.cwd(), name+"/f1"))
		case 2:
			must(vfs.RenameAt2(w.ctx, w.cwd(), name+"/f1", w.cwd(), name+"/moved", 0))
		case 3:
			must(vfs.MkdirAt(w.ctx, w.cwd(), name+"/sub", 0o755))
			w.write(t, name+"/sub/deep", "1")
		}
	})
	slices.Sort(got)
	if want := hostNames(t, dir); !slices.Equal(got, want) {
		t.Errorf("%d names, want %d", len(got), len(want))
	}
	if changed < 32 {
		t.Errorf("%d changes", changed)
	}
}

// TestReadAheadLarge: a directory that does not fit into one message, and those after it.
func TestReadAheadLarge(t *testing.T) {
	dir := t.TempDir()
	wide(t, dir, 5)
	for i := range 9000 {
		name := fmt.Sprintf("a1/%s%d", strings.Repeat("n", 30), i)
		if err := os.Symlink("x", filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	want := hostNames(t, dir)
	for _, plain := range []bool{false, true} {
		w, _ := countedWorld(t, dir)
		if plain { // after some directories in which nobody looks at anything
			w.find(t, "a0", nil)
			w.find(t, "a2", nil)
		}
		got := w.find(t, ".", nil)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("plain %v: %d names, want %d", plain, len(got), len(want))
		}
	}
}

// TestMissingNames: what is not in a large directory is soon known without asking, and so
// is all that is, once enough of it was looked at.
func TestMissingNames(t *testing.T) {
	dir := t.TempDir()
	for i := range 3000 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint("file", i)), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	w, requests := countedWorld(t, dir)
	for i := range 1000 {
		if _, err := vfs.Lookup(w.ctx, w.cwd(), fmt.Sprint("missing", i), 0); err != abi.ENOENT {
			t.Fatal(i, err)
		}
	}
	if n := requests.Load(); n > 100 {
		t.Errorf("%d requests for what is not there", n)
	}
	for i := range 3000 {
		p, err := vfs.Lookup(w.ctx, w.cwd(), fmt.Sprint("file", i), 0)
		if err != nil {
			t.Fatal(i, err)
		}
		if a, _, err := vfs.Stat(w.ctx, p); err != nil || a.Size != 1 {
			t.Fatal(i, a.Size, err)
		}
	}
	if n := requests.Load(); n > 300 {
		t.Errorf("%d requests for all that is there", n)
	}
	w.write(t, "missing1", "now")
	if got := w.read(t, "missing1"); got != "now" {
		t.Errorf("%q in a file that was not there", got)
	}
}

// BenchmarkFind is what the kernel does for a walk, and how many requests it makes.
func BenchmarkFind(b *testing.B) {
	dir := b.TempDir()
	wide(b, dir, 30)
	b.ReportAllocs()
	n := int64(0)
	for range b.N {
		w, requests := countedWorld(b, dir)
		w.find(b, ".", nil)
		n += requests.Load()
	}
	b.ReportMetric(float64(n)/float64(b.N), "requests/op")
}

// TestReadAheadMany: a tree with more names than are remembered.
func TestReadAheadMany(t *testing.T) {
	dir := t.TempDir()
	for i := range 40 {
		d := filepath.Join(dir, fmt.Sprint("d", i))
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
		for j := range 2000 {
			if err := unix.Mkfifo(filepath.Join(d, fmt.Sprint(j)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := hostNames(t, dir)
	w, _ := countedWorld(t, dir)
	for range 2 {
		got := w.find(t, ".", nil)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%d names, want %d", len(got), len(want))
		}
	}
}
