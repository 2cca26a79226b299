package tmpfs_test

import (
	"crypto/sha256"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lazaret/gofer/proto"
	"lazaret/gofer/server"
	"lazaret/sentry/fs/gofer"
	"lazaret/sentry/vfs"
)

// TestGoferAgainstHost compares the files of a Gofer, of a directory of the host's tmpfs,
// with another such directory.
func TestGoferAgainstHost(t *testing.T) {
	for _, shared := range []bool{false, true} {
		for seed := int64(1); seed <= 20; seed++ {
			name := strconv.FormatInt(seed, 10)
			if shared {
				name += "-shared"
			}
			if !t.Run(name, func(t *testing.T) { differGofer(t, seed, 1500, shared) }) {
				return
			}
		}
	}
}

// serveGofer mounts dir through a Gofer in this process on /mnt.
func serveGofer(t *testing.T, w *world, dir string, shared bool) {
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
	c, err := gofer.NewClient(cfd)
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
}

func differGofer(t *testing.T, seed int64, steps int, shared bool) {
	// The server moves the process's working directory; this thread gets its own, and
	// ends with the test.
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/dev/shm", "lazaret")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	unix.Umask(0o022)
	for _, side := range []string{"host", "ours"} {
		p := filepath.Join(dir, side, "1/2/3")
		if err := os.MkdirAll(p, 0o777); err != nil {
			t.Fatal(err)
		}
		for ; p != dir; p = filepath.Dir(p) {
			os.Chmod(p, 0o777)
		}
	}
	os.Chmod(dir, 0o777)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(unix.Chdir(filepath.Join(dir, "host", "1/2/3")))
	w := newWorld(t)
	protect()
	serveGofer(t, w, filepath.Join(dir, "ours"), shared)
	must(vfs.Chdir(w.ctx, "/mnt/1/2/3"))
	tw := newTwin(t, w, rand.New(rand.NewSource(seed)))
	tw.gofer = true
	defer tw.close()
	for i := 0; i < steps && !t.Failed(); i++ {
		tw.step()
	}
	tw.become(0)
	if a, b := tree(t, filepath.Join(dir, "host")), tree(t, filepath.Join(dir, "ours")); a != b {
		t.Errorf("what is on the host differs:\n%s\n%s", a, b)
	}
	if t.Failed() {
		from := max(0, len(tw.log)-25)
		t.Logf("last steps:\n%s", strings.Join(tw.log[from:], "\n"))
	}
}

// tree describes all files below dir as the host sees them.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(p string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(p, &st); err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %o %d %d %d %d %d", p[len(dir):], st.Mode, st.Nlink, st.Uid, st.Gid, st.Size, st.Rdev)
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			data, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " %x", sha256.Sum256(data))
		case unix.S_IFLNK:
			to, _ := os.Readlink(p)
			b.WriteString(" " + to)
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
