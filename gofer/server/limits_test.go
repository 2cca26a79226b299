package server

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"lazaret/gofer/proto"
	"lazaret/syscalls/abi"
)

func countFDs(t *testing.T) int {
	t.Helper()
	e, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(e)
}

// TestEviction holds many more files than the server may hold descriptors.
func TestEviction(t *testing.T) {
	c, dir := serve(t, func(c *Config) { c.MaxFDs = 8 })
	const dirs = 60
	for i := range dirs {
		d := filepath.Join(dir, fmt.Sprintf("d%d/e/g", i))
		_ = os.MkdirAll(d, 0o755)
		_ = os.WriteFile(filepath.Join(d, "f"), []byte{byte(i)}, 0o644)
	}
	root := attach(t, c, "/")
	before := countFDs(t)
	var files []*proto.File
	for i := range dirs {
		f, _ := walk(t, root, fmt.Sprintf("d%d", i), "e", "g", "f")
		files = append(files, f)
	}
	if n := countFDs(t); n > before+12 {
		t.Errorf("%d descriptors more after %d walks", n-before, dirs)
	}
	// A renamed ancestor must not lose what is below.
	if err := root.Rename("d3", root, "moved", 0); err != nil {
		t.Fatal(err)
	}
	for i, f := range files {
		if _, err := f.SetAttr(proto.SetAttr{Valid: proto.SetUID, UID: uint32(i)}); err != nil {
			t.Fatalf("file %d: %v", i, err)
		}
		fd, err := f.Open(abi.O_RDONLY)
		if err != nil {
			t.Fatalf("file %d: %v", i, err)
		}
		b := make([]byte, 1)
		if _, err := unix.Pread(fd, b, 0); err != nil || int(b[0]) != i {
			t.Errorf("file %d reads %d, %v", i, b[0], err)
		}
		_ = unix.Close(fd)
	}
	// A directory replaced on the host is not taken for the old one.
	_ = os.Rename(filepath.Join(dir, "d5/e"), filepath.Join(dir, "d5/old"))
	_ = os.MkdirAll(filepath.Join(dir, "d5/e/g"), 0o755)
	_ = os.WriteFile(filepath.Join(dir, "d5/e/g/f"), nil, 0o644)
	if _, err := files[5].GetAttr(); err != abi.ESTALE {
		t.Errorf("replaced directory: %v", err)
	}
}

func TestFIDLimit(t *testing.T) {
	c, dir := serve(t, func(c *Config) { c.MaxFIDs = 5 })
	_ = os.WriteFile(filepath.Join(dir, "f"), nil, 0o644)
	root := attach(t, c, "/")
	var files []*proto.File
	for {
		steps, err := root.Walk([]string{"f"})
		if err != nil {
			if err != abi.ENFILE {
				t.Fatal(err)
			}
			break
		}
		files = append(files, steps[0].File)
	}
	if len(files) != 4 {
		t.Errorf("%d files", len(files))
	}
	if _, _, _, err := root.Create("new", abi.O_RDWR, 0o644, 0, 0); err != abi.ENFILE {
		t.Errorf("create: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "new")); err == nil {
		t.Error("a refused create left a file")
	}
	for _, f := range files {
		f.Removed() // flushes at once
		f.Close()
	}
	if _, err := root.Walk([]string{"f"}); err != nil {
		t.Errorf("after closing: %v", err)
	}
}

func TestReadOnlyRefusesChanges(t *testing.T) {
	c, dir := serve(t, func(c *Config) { c.Roots[0].ReadOnly = true })
	_ = os.WriteFile(filepath.Join(dir, "f"), []byte("x"), 0o644)
	root, a, err := c.Attach("/")
	if err != nil || a.Flags&proto.FlagReadOnly == 0 {
		t.Fatal(a, err)
	}
	f, _ := walk(t, root, "f")
	one := func(_ any, err error) error { return err }
	for name, err := range map[string]error{
		"create":   func() error { _, _, _, err := root.Create("n", abi.O_RDWR, 0o644, 0, 0); return err }(),
		"tmpfile":  func() error { _, _, _, err := root.Create("", abi.O_RDWR|abi.O_TMPFILE, 0o644, 0, 0); return err }(),
		"mkdir":    func() error { _, _, err := root.Mkdir("n", 0o755, 0, 0); return err }(),
		"symlink":  func() error { _, _, err := root.Symlink("n", "t", 0, 0); return err }(),
		"mknod":    func() error { _, _, err := root.Mknod("n", abi.S_IFIFO, 0, 0, 0, 0); return err }(),
		"link":     one(root.Link(f, "n")),
		"rename":   root.Rename("f", root, "n", 0),
		"remove":   root.Remove("f", 0),
		"setattr":  one(f.SetAttr(proto.SetAttr{Valid: proto.SetMode, Mode: 0})),
		"utimes":   one(f.SetAttr(proto.SetAttr{Valid: proto.SetMtime})),
		"truncate": one(f.SetAttr(proto.SetAttr{Valid: proto.SetSize})),
		"allocate": one(f.Allocate(0, 0, 10)),
		"setxattr": f.SetXattr("user.a", []byte("b"), 0),
		"rmxattr":  f.RemoveXattr("user.a"),
		"write":    one(f.Open(abi.O_WRONLY)),
		"rdwr":     one(f.Open(abi.O_RDWR)),
		"trunc":    one(f.Open(abi.O_RDONLY | abi.O_TRUNC)),
	} {
		if err != abi.EROFS {
			t.Errorf("%s: %v", name, err)
		}
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "f")); string(b) != "x" {
		t.Error("the file changed")
	}
}

func TestSeveralRoots(t *testing.T) {
	other := t.TempDir()
	_ = os.WriteFile(filepath.Join(other, "single"), []byte("s"), 0o644)
	_ = os.WriteFile(filepath.Join(other, "hidden"), []byte("h"), 0o644)
	ofd, err := unix.Open(other, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ffd, err := unix.Open(filepath.Join(other, "single"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ofd)
	defer unix.Close(ffd)
	c, dir := serve(t, func(c *Config) {
		c.Roots = append(c.Roots, Root{Name: "file", FD: ofd, File: "single"}, Root{Name: "fd", FD: ffd},
			Root{Name: "dir", FD: ofd})
	})
	_ = os.WriteFile(filepath.Join(dir, "f"), nil, 0o644)
	root, file, byFD, d := attach(t, c, "/"), attach(t, c, "file"), attach(t, c, "fd"), attach(t, c, "dir")
	if _, _, err := c.Attach("none"); err != abi.ENOENT {
		t.Errorf("attach: %v", err)
	}
	for _, f := range []*proto.File{file, byFD} {
		fd, err := f.Open(abi.O_RDONLY)
		if err != nil || fd < 0 {
			t.Fatalf("open: %v", err)
		}
		_ = unix.Close(fd)
		if _, err := f.Walk([]string{"hidden"}); err != abi.ENOTDIR {
			t.Errorf("walk in a file: %v", err)
		}
		if _, err := f.SetAttr(proto.SetAttr{Valid: proto.SetMode, Mode: 0o600}); err != nil {
			t.Errorf("chmod: %v", err)
		}
	}
	if fd, err := file.Open(abi.O_RDWR); err != nil {
		t.Errorf("write by name: %v", err)
	} else {
		_ = unix.Close(fd)
	}
	if _, err := byFD.Open(abi.O_RDWR); err != abi.ESTALE {
		t.Errorf("write through a read-only descriptor: %v", err)
	}
	f, _ := walk(t, root, "f")
	if _, err := d.Link(f, "x"); err != abi.EXDEV {
		t.Errorf("link across roots: %v", err)
	}
	if err := root.Rename("f", d, "x", 0); err != abi.EXDEV {
		t.Errorf("rename across roots: %v", err)
	}
}

// TestManyThreads has more callers than channels.
func TestManyThreads(t *testing.T) {
	c, dir := serve(t, func(c *Config) { c.MaxFDs = 16 })
	for i := range 20 {
		_ = os.MkdirAll(filepath.Join(dir, fmt.Sprintf("d%d/e", i)), 0o755)
	}
	root := attach(t, c, "/")
	var wg sync.WaitGroup
	for g := range 24 {
		wg.Go(func() {
			for i := range 100 {
				d := fmt.Sprintf("d%d", (g+i)%20)
				steps, err := root.Walk([]string{d, "e"})
				if err != nil || len(steps) != 2 {
					t.Errorf("walk: %d %v", len(steps), err)
					return
				}
				name := fmt.Sprintf("f%d-%d", g, i)
				f, fd, _, err := steps[1].File.Create(name, abi.O_RDWR, 0o644, 0, 0)
				if err != nil {
					t.Errorf("create: %v", err)
					return
				}
				_ = unix.Close(fd)
				if err := steps[1].File.Rename(name, root, name, 0); err != nil {
					t.Errorf("rename: %v", err)
				}
				if _, err := f.GetAttr(); err != nil {
					t.Errorf("getattr: %v", err)
				}
				if err := root.Remove(name, 0); err != nil {
					t.Errorf("remove: %v", err)
				}
				f.Close()
				steps[0].File.Close()
				steps[1].File.Close()
			}
		})
	}
	wg.Wait()
}
