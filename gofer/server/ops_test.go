package server

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"lazaret/gofer/proto"
	"lazaret/syscalls/abi"
)

func TestCreateReadBack(t *testing.T) {
	c, dir := serve(t, nil)
	root := attach(t, c, "/")
	f, fd, a, err := root.Create("new", abi.O_RDWR|abi.O_CREAT|abi.O_EXCL, 0o4751, 1234, 4321)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if a.Mode != abi.S_IFREG|0o4751 || a.UID != 1234 || a.GID != 4321 {
		t.Errorf("attr = %o %d:%d", a.Mode, a.UID, a.GID)
	}
	if _, err := unix.Pwrite(fd, []byte("hello"), 0); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "new")); err != nil || string(got) != "hello" {
		t.Errorf("host sees %q, %v", got, err)
	}
	if a, err = f.GetAttr(); err != nil || a.Size != 5 {
		t.Errorf("size = %d, %v", a.Size, err)
	}
	rfd, err := f.Open(abi.O_RDONLY)
	if err != nil || rfd < 0 {
		t.Fatalf("open: %d, %v", rfd, err)
	}
	defer unix.Close(rfd)
	if _, err := unix.Write(rfd, []byte("x")); err != unix.EBADF {
		t.Errorf("write to a read-only fd: %v", err)
	}
	if _, _, _, err := root.Create("new", abi.O_RDWR|abi.O_EXCL, 0o644, 0, 0); err != abi.EEXIST {
		t.Errorf("O_EXCL: %v", err)
	}
	_, fd2, a, err := root.Create("new", abi.O_RDWR|abi.O_TRUNC, 0o644, 0, 0)
	if err != nil || a.Size != 0 || a.UID != 1234 {
		t.Errorf("open of existing: %+v, %v", a, err)
	}
	_ = unix.Close(fd2)
}

func TestWalkStops(t *testing.T) {
	c, dir := serve(t, nil)
	_ = os.MkdirAll(filepath.Join(dir, "a/b"), 0o755)
	_ = os.WriteFile(filepath.Join(dir, "a/f"), []byte("x"), 0o644)
	_ = os.Symlink("b", filepath.Join(dir, "a/l"))
	root := attach(t, c, "/")
	for _, tc := range []struct {
		names []string
		steps int
		typ   uint32
		err   error
	}{
		{[]string{"a"}, 1, abi.S_IFDIR, nil},
		{[]string{"a", "b"}, 2, abi.S_IFDIR, nil},
		{[]string{"a", "f"}, 2, abi.S_IFREG, nil},
		{[]string{"a", "f", "x"}, 2, abi.S_IFREG, nil},
		{[]string{"a", "l", "x"}, 2, abi.S_IFLNK, nil},
		{[]string{"a", "none", "x"}, 1, abi.S_IFDIR, abi.ENOENT},
		{[]string{"none"}, 0, 0, abi.ENOENT},
		{[]string{"a", ".."}, 0, 0, abi.EINVAL},
		{[]string{"a/b"}, 0, 0, abi.EINVAL},
		{[]string{""}, 0, 0, abi.EINVAL},
	} {
		steps, err := root.Walk(tc.names)
		if err != tc.err || len(steps) != tc.steps {
			t.Errorf("walk %q = %d steps, %v; want %d, %v", tc.names, len(steps), err, tc.steps, tc.err)
			continue
		}
		if tc.steps > 0 && steps[tc.steps-1].Attr.Mode&abi.S_IFMT != tc.typ {
			t.Errorf("walk %q: type %o", tc.names, steps[tc.steps-1].Attr.Mode)
		}
	}
	l, _ := walk(t, root, "a", "l")
	if s, err := l.Readlink(); err != nil || s != "b" {
		t.Errorf("readlink = %q, %v", s, err)
	}
	if _, err := l.Open(abi.O_RDONLY); err != abi.ELOOP {
		t.Errorf("open of a link: %v", err)
	}
}

func TestReadDirPlus(t *testing.T) {
	c, dir := serve(t, nil)
	const n = 3000
	_ = os.Mkdir(filepath.Join(dir, "d"), 0o755)
	for i := range n {
		name := filepath.Join(dir, "d", "file-with-a-longer-name-"+string(rune('a'+i%26))+itoa(i))
		if err := os.WriteFile(name, []byte("abc"), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	root := attach(t, c, "/")
	steps, list, lerr, err := root.WalkReadDir([]string{"d"})
	if err != nil || lerr != nil || len(steps) != 1 || list.EOF || len(list.Entries) == 0 {
		t.Fatalf("%d steps, %d entries, eof %v, %v, %v", len(steps), len(list.Entries), list.EOF, lerr, err)
	}
	seen := make(map[string]bool)
	entries, next, eof := list.Entries, list.Next, list.EOF
	for {
		for _, e := range entries {
			if seen[e.Name] {
				t.Fatalf("%q twice", e.Name)
			}
			seen[e.Name] = true
			if e.Attr == nil || e.Attr.Size != 3 || e.Attr.Mode != abi.S_IFREG|0o640 || e.Attr.Ino != e.Ino {
				t.Fatalf("%q: %+v", e.Name, e.Attr)
			}
		}
		if eof {
			break
		}
		if entries, next, eof, err = steps[0].File.ReadDirPlus(next, 0); err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) != n {
		t.Errorf("%d names of %d", len(seen), n)
	}
}

func itoa(i int) string {
	return string([]byte{byte('0' + i/1000%10), byte('0' + i/100%10), byte('0' + i/10%10), byte('0' + i%10)})
}

func TestNames(t *testing.T) {
	c, dir := serve(t, nil)
	root := attach(t, c, "/")
	d, a, err := root.Mkdir("d", 0o2750, 5, 6)
	if err != nil || a.Mode != abi.S_IFDIR|0o2750 || a.UID != 5 || a.GID != 6 {
		t.Fatalf("mkdir: %o %d:%d %v", a.Mode, a.UID, a.GID, err)
	}
	l, a, err := d.Symlink("l", "../x", 7, 8)
	if err != nil || a.UID != 7 || a.Mode&abi.S_IFMT != abi.S_IFLNK {
		t.Fatalf("symlink: %+v %v", a, err)
	}
	if s, err := l.Readlink(); s != "../x" || err != nil {
		t.Errorf("readlink: %q %v", s, err)
	}
	_, a, err = d.Mknod("fifo", abi.S_IFIFO|0o600, 0, 0, 1, 1)
	if err != nil || a.Mode != abi.S_IFIFO|0o600 {
		t.Fatalf("mknod: %+v %v", a, err)
	}
	f, fd, _, err := d.Create("f", abi.O_RDWR, 0o644, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	_ = unix.Close(fd)
	if a, err = root.Link(f, "hard"); err != nil || a.Nlink != 2 {
		t.Fatalf("link: %+v %v", a, err)
	}
	if err := d.Rename("f", root, "hard2", abi.RENAME_NOREPLACE); err != nil {
		t.Fatalf("rename: %v", err)
	}
	if a, err = f.GetAttr(); err != nil || a.Nlink != 2 {
		t.Errorf("file after its rename: %+v %v", a, err)
	}
	if err := root.Rename("hard", root, "hard2", abi.RENAME_NOREPLACE); err != abi.EEXIST {
		t.Errorf("NOREPLACE: %v", err)
	}
	if err := root.Rename("d", root, "hard", abi.RENAME_EXCHANGE); err != nil {
		t.Errorf("EXCHANGE: %v", err)
	}
	if a, err = l.GetAttr(); err != nil || a.UID != 7 {
		t.Errorf("link in the exchanged directory: %v", err)
	}
	if err := root.Remove("hard", 0); err != abi.EISDIR {
		t.Errorf("unlink of a directory: %v", err)
	}
	if err := root.Remove("hard", abi.AT_REMOVEDIR); err != abi.ENOTEMPTY {
		t.Errorf("rmdir: %v", err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "hard", "fifo")); err != nil {
		t.Error(err)
	}
	g, _ := walk(t, root, "hard", "fifo")
	if _, err := g.Open(abi.O_RDONLY); err != abi.ENXIO {
		t.Errorf("open of a FIFO: %v", err)
	}
}

func TestRemovedFileStaysUsable(t *testing.T) {
	c, dir := serve(t, nil)
	_ = os.WriteFile(filepath.Join(dir, "f"), []byte("data"), 0o644)
	_ = os.WriteFile(filepath.Join(dir, "g"), []byte("gg"), 0o644)
	_ = os.Mkdir(filepath.Join(dir, "d"), 0o755)
	root := attach(t, c, "/")
	f, _ := walk(t, root, "f")
	d, _ := walk(t, root, "d")
	if err := root.Rename("g", root, "f", 0); err != nil {
		t.Fatal(err)
	}
	if err := root.Remove("d", abi.AT_REMOVEDIR); err != nil {
		t.Fatal(err)
	}
	if a, err := f.GetAttr(); err != nil || a.Size != 4 || a.Nlink != 0 {
		t.Errorf("replaced file: %+v %v", a, err)
	}
	fd, err := f.Open(abi.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 8)
	if n, _ := unix.Pread(fd, buf, 0); string(buf[:n]) != "data" {
		t.Errorf("replaced file reads %q", buf[:n])
	}
	_ = unix.Close(fd)
	if _, err := f.SetAttr(proto.SetAttr{Valid: proto.SetMode, Mode: 0o600}); err != nil {
		t.Errorf("chmod: %v", err)
	}
	if a, err := d.GetAttr(); err != nil || a.Mode&abi.S_IFMT != abi.S_IFDIR {
		t.Errorf("removed directory: %+v %v", a, err)
	}
	if _, _, err := d.Mkdir("x", 0o755, 0, 0); err != abi.ENOENT {
		t.Errorf("mkdir in a removed directory: %v", err)
	}
	g, a := walk(t, root, "f")
	if a.Size != 2 {
		t.Errorf("the new file has size %d", a.Size)
	}
	f.Removed()
	f.Close()
	g.Close()
}

func TestTmpfile(t *testing.T) {
	c, dir := serve(t, nil)
	root := attach(t, c, "/")
	f, fd, a, err := root.Create("", abi.O_RDWR|abi.O_TMPFILE, 0o640, 3, 4)
	if err != nil {
		t.Fatal(err)
	}
	if a.Nlink != 0 || a.UID != 3 || a.Mode != abi.S_IFREG|0o640 {
		t.Errorf("attr: %+v", a)
	}
	_, _ = unix.Pwrite(fd, []byte("tmp"), 0)
	_ = unix.Close(fd)
	if a, err = root.Link(f, "named"); err != nil || a.Nlink != 1 || a.Size != 3 {
		t.Errorf("link: %+v %v", a, err)
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "named")); string(b) != "tmp" {
		t.Errorf("host sees %q", b)
	}
}

func TestSetAttr(t *testing.T) {
	c, dir := serve(t, nil)
	_ = os.WriteFile(filepath.Join(dir, "f"), []byte("0123456789"), 0o644)
	_ = os.Symlink("f", filepath.Join(dir, "l"))
	root := attach(t, c, "/")
	f, _ := walk(t, root, "f")
	a, err := f.SetAttr(proto.SetAttr{
		Valid: proto.SetMode | proto.SetUID | proto.SetGID | proto.SetSize | proto.SetMtime | proto.SetMtimeSet,
		Mode:  0o4755, UID: 10, GID: 20, Size: 3, Mtime: proto.Timespec{Sec: 1e9, Nsec: 5},
	})
	if err != nil || a.Mode != abi.S_IFREG|0o4755 || a.UID != 10 || a.GID != 20 || a.Size != 3 ||
		a.Mtime != (proto.Timespec{Sec: 1e9, Nsec: 5}) {
		t.Errorf("%+v %v", a, err)
	}
	l, _ := walk(t, root, "l")
	if _, err := l.SetAttr(proto.SetAttr{Valid: proto.SetMode, Mode: 0o600}); err != abi.EOPNOTSUPP {
		t.Errorf("chmod of a link: %v", err)
	}
	if a, err = l.SetAttr(proto.SetAttr{Valid: proto.SetUID, UID: 77}); err != nil || a.UID != 77 {
		t.Errorf("lchown: %+v %v", a, err)
	}
	if a, _ = f.GetAttr(); a.UID != 10 || a.Mode&0o7777 != 0o4755 {
		t.Errorf("the link's target changed: %+v", a)
	}
	if a, err = f.Allocate(0, 0, 8192); err != nil || a.Size != 8192 {
		t.Errorf("fallocate: %+v %v", a, err)
	}
	if err := f.Sync(); err != nil {
		t.Error(err)
	}
	if s, err := f.StatFS(); err != nil || s.Bsize == 0 || s.Namelen == 0 {
		t.Errorf("statfs: %+v %v", s, err)
	}
}

func TestXattr(t *testing.T) {
	c, dir := serve(t, nil)
	_ = os.WriteFile(filepath.Join(dir, "f"), nil, 0o644)
	root := attach(t, c, "/")
	f, _ := walk(t, root, "f")
	for _, x := range []*proto.File{f, root} {
		if err := x.SetXattr("user.a", []byte("value"), abi.XATTR_CREATE); err != nil {
			t.Fatal(err)
		}
		if err := x.SetXattr("user.a", []byte("v"), abi.XATTR_CREATE); err != abi.EEXIST {
			t.Errorf("XATTR_CREATE: %v", err)
		}
		if v, n, err := x.GetXattr("user.a", 100); err != nil || string(v) != "value" || n != 5 {
			t.Errorf("get: %q %d %v", v, n, err)
		}
		if v, n, err := x.GetXattr("user.a", 0); err != nil || v != nil || n != 5 {
			t.Errorf("size: %q %d %v", v, n, err)
		}
		if _, _, err := x.GetXattr("user.a", 2); err != abi.ERANGE {
			t.Errorf("short: %v", err)
		}
		if v, _, err := x.ListXattr(1000); err != nil || string(v) != "user.a\x00" {
			t.Errorf("list: %q %v", v, err)
		}
		if err := x.RemoveXattr("user.a"); err != nil {
			t.Error(err)
		}
		if _, _, err := x.GetXattr("user.a", 10); err != abi.ENODATA {
			t.Errorf("removed: %v", err)
		}
	}
	if err := f.SetXattr("trusted.overlay.opaque", []byte("y"), 0); err != abi.EPERM {
		t.Errorf("trusted: %v", err)
	}
}
