package server

import (
	"bytes"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/hugelgupf/p9/linux"
	"github.com/hugelgupf/p9/p9"
	"golang.org/x/sys/unix"
)

// p9Root starts a server on a stream socket and attaches p9's own client to it: the
// standard part of the protocol, spoken by somebody else.
func p9Root(t *testing.T) (p9.File, string) {
	t.Helper()
	dir := t.TempDir()
	root, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- Serve(pair[1], Config{Roots: []Root{{Name: "/", FD: root}}}) }()
	file := os.NewFile(uintptr(pair[0]), "p9")
	conn, err := net.FileConn(file)
	_ = file.Close()
	if err != nil {
		t.Fatal(err)
	}
	c, err := p9.NewClient(conn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Close()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		_ = unix.Close(root)
	})
	f, err := c.Attach("/")
	if err != nil {
		t.Fatal(err)
	}
	return f, dir
}

func p9Walk(t *testing.T, f p9.File, names ...string) p9.File {
	t.Helper()
	_, g, err := f.Walk(names)
	if err != nil {
		t.Fatalf("walk %q: %v", names, err)
	}
	return g
}

func TestP9ClientFiles(t *testing.T) {
	root, dir := p9Root(t)
	if _, err := root.Mkdir("d", 0o755, p9.NoUID, p9.NoGID); err != nil {
		t.Fatal(err)
	}
	d := p9Walk(t, root, "d")
	f, _, _, err := p9Walk(t, root, "d").Create("f", p9.ReadWrite, 0o640, p9.NoUID, p9.NoGID)
	if err != nil {
		t.Fatal(err)
	}
	big := bytes.Repeat([]byte("0123456789abcdef"), 40000) // several messages
	if n, err := f.WriteAt(big, 0); n != len(big) || err != nil {
		t.Fatalf("write: %d %v", n, err)
	}
	got := make([]byte, len(big))
	if n, err := f.ReadAt(got, 0); n != len(big) || err != nil || !bytes.Equal(got, big) {
		t.Fatalf("read: %d %v", n, err)
	}
	if err := f.FSync(); err != nil {
		t.Error(err)
	}
	_, _, a, err := f.GetAttr(p9.AttrMaskAll)
	if err != nil || a.Size != uint64(len(big)) || a.Mode.Permissions() != 0o640 {
		t.Errorf("attr: %+v %v", a, err)
	}
	if err := f.SetAttr(p9.SetAttrMask{Size: true, Permissions: true}, p9.SetAttr{Size: 4, Permissions: 0o600}); err != nil {
		t.Error(err)
	}
	if st, err := os.Stat(filepath.Join(dir, "d/f")); err != nil || st.Size() != 4 || st.Mode() != 0o600 {
		t.Errorf("host: %v %v", st, err)
	}
	if s, err := d.StatFS(); err != nil || s.BlockSize == 0 {
		t.Errorf("statfs: %+v %v", s, err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if _, _, err := root.Walk([]string{"d", "none"}); !errors.Is(err, linux.ENOENT) {
		t.Errorf("missing name: %v", err)
	}
}

func TestP9ClientNames(t *testing.T) {
	root, dir := p9Root(t)
	_ = os.WriteFile(filepath.Join(dir, "f"), []byte("x"), 0o644)
	if _, err := root.Symlink("f", "l", p9.NoUID, p9.NoGID); err != nil {
		t.Fatal(err)
	}
	if s, err := p9Walk(t, root, "l").Readlink(); err != nil || s != "f" {
		t.Errorf("readlink: %q %v", s, err)
	}
	if err := root.Link(p9Walk(t, root, "f"), "h"); err != nil {
		t.Error(err)
	}
	if _, err := root.Mknod("p", p9.FileMode(unix.S_IFIFO|0o600), 0, 0, p9.NoUID, p9.NoGID); err != nil {
		t.Error(err)
	}
	if err := root.RenameAt("h", root, "i"); err != nil {
		t.Error(err)
	}
	if err := p9Walk(t, root, "i").Rename(root, "j"); err != nil {
		t.Error(err)
	}
	if err := root.UnlinkAt("p", 0); err != nil {
		t.Error(err)
	}
	if _, _, err := root.Open(p9.ReadOnly); err != nil {
		t.Fatal(err)
	}
	ents, err := root.Readdir(0, 10000)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, e := range ents {
		names[e.Name] = true
	}
	if len(names) != 3 || !names["f"] || !names["l"] || !names["j"] {
		t.Errorf("readdir: %v", names)
	}
}
