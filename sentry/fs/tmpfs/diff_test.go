package tmpfs_test

import (
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lazaret/sentry/fs/overlay"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// TestAgainstHost runs random operations on the host's tmpfs and on ours, and compares
// results and errors.
func TestAgainstHost(t *testing.T) {
	for seed := int64(1); seed <= 40; seed++ {
		if !t.Run(strconv.FormatInt(seed, 10), func(t *testing.T) { differ(t, seed, 1500, 0) }) {
			return
		}
	}
}

// TestOverlayAgainstHost makes a tree in the same way, and goes on through an overlay
// with the tree as its lower one: nothing may look different from a plain tmpfs.
func TestOverlayAgainstHost(t *testing.T) {
	for seed := int64(1); seed <= 40; seed++ {
		if !t.Run(strconv.FormatInt(seed, 10), func(t *testing.T) { differ(t, seed, 1500, 300) }) {
			return
		}
	}
}

// twin is the same state on both sides.
type twin struct {
	t    *testing.T
	w    *world
	ctx  *vfs.Context
	ctxs [2]*vfs.Context
	r    *rand.Rand
	fds  [4]int
	fs   [4]*vfs.File
	log  []string
	// allocated: pages that were allocated but not written are holes to the host's lseek
	allocated bool
	overlay   bool // has begun
	// hasOverlay: there will be one, to which whiteouts mean something
	hasOverlay bool
	gofer      bool // ours are a Gofer's files
}

func hostProtection(name string) int32 {
	b, err := os.ReadFile("/proc/sys/fs/protected_" + name)
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	return int32(n)
}

const fsCaps = 1<<abi.CAP_CHOWN | 1<<abi.CAP_DAC_OVERRIDE | 1<<abi.CAP_DAC_READ_SEARCH | 1<<abi.CAP_FOWNER |
	1<<abi.CAP_FSETID | 1<<abi.CAP_LINUX_IMMUTABLE | 1<<abi.CAP_MAC_OVERRIDE | 1<<abi.CAP_MKNOD

// protect makes our limits of links and such those of the host.
func protect() {
	vfs.Protected.Symlinks.Store(hostProtection("symlinks"))
	vfs.Protected.Hardlinks.Store(hostProtection("hardlinks"))
	vfs.Protected.Regular.Store(hostProtection("regular"))
	vfs.Protected.FIFOs.Store(hostProtection("fifos"))
}

func newTwin(t *testing.T, w *world, r *rand.Rand) *twin {
	tw := &twin{t: t, w: w, ctx: w.ctx, r: r}
	user := w.as(1000)
	user.Creds.Effective = allCaps &^ fsCaps
	tw.ctxs = [2]*vfs.Context{w.ctx, user}
	for i := range tw.fds {
		tw.fds[i] = -1
	}
	return tw
}

// differ takes steps steps; after so many as overlayAt says, if not 0, an overlay begins.
func differ(t *testing.T, seed int64, steps, overlayAt int) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	dir, err := os.MkdirTemp("/dev/shm", "lazaret")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	defer os.Chdir("/") // a gofer in this process may have left it in a directory that is gone
	unix.Umask(0o022)
	host := filepath.Join(dir, "1/2/3")
	if err := os.MkdirAll(host, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{dir, dir + "/1", dir + "/1/2", host} {
		os.Chmod(d, 0o777)
	}
	os.Chdir(host)
	w := newWorld(t)
	protect()
	w.ctx.FS.SetUmask(0)
	for _, d := range []string{"/0", "/0/1", "/0/1/2", "/0/1/2/3"} {
		w.mkdir(t, d)
	}
	w.ctx.FS.SetUmask(0o022)
	if err := vfs.Chdir(w.ctx, "/0/1/2/3"); err != nil {
		t.Fatal(err)
	}
	tw := newTwin(t, w, rand.New(rand.NewSource(seed)))
	tw.hasOverlay = overlayAt > 0
	defer tw.close()
	for i := 0; i < steps && !t.Failed(); i++ {
		if i > 0 && i == overlayAt {
			tw.startOverlay()
		}
		tw.step()
	}
	if t.Failed() {
		from := max(0, len(tw.log)-25)
		t.Logf("last steps:\n%s", strings.Join(tw.log[from:], "\n"))
	}
}

// startOverlay goes on in an overlay of what there is.
func (tw *twin) startOverlay() {
	tw.close()
	w := tw.w
	lower := w.ns.Root().Dentry.Super()
	upper, err := w.typ.NewSuper(w.ctx, &vfs.MountSpec{Data: "mode=755"})
	if err != nil {
		tw.t.Fatal(err)
	}
	s, err := overlay.New(w.ctx, upper, []*vfs.Super{lower}, "overlay")
	if err != nil {
		tw.t.Fatal(err)
	}
	w.mkdir(tw.t, "/mnt")
	p, _ := vfs.Lookup(w.ctx, w.ctx.FS.Root(), "/mnt", 0)
	if err := vfs.MountSuper(w.ctx, s, p, "overlay", 0); err != nil {
		tw.t.Fatal(err)
	}
	if err := vfs.Chroot(w.ctx, "/mnt"); err != nil {
		tw.t.Fatal(err)
	}
	if err := vfs.Chdir(w.ctx, "/0/1/2/3"); err != nil {
		tw.t.Fatal(err)
	}
	tw.overlay = true
	tw.log = append(tw.log, "--- overlay")
}

// hostIsDir reports whether name is a directory.
func hostIsDir(name string) bool {
	var st unix.Stat_t
	return unix.Lstat(strings.TrimRight(name, "/"), &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR
}

func (tw *twin) close() {
	tw.become(0)
	for i := range tw.fds {
		tw.closeFD(i)
	}
}

func (tw *twin) closeFD(i int) {
	if tw.fds[i] >= 0 {
		unix.Close(tw.fds[i])
		tw.fs[i].DecRef()
		tw.fds[i], tw.fs[i] = -1, nil
	}
}

func (tw *twin) become(u int) {
	tw.ctx = tw.ctxs[u]
	id := int(tw.ctx.Creds.FSUID)
	unix.SetfsgidRetGid(id)
	unix.SetfsuidRetUid(id)
}

func errno(err error) abi.Errno {
	switch e := err.(type) {
	case nil:
		return 0
	case unix.Errno:
		return abi.Errno(e)
	case abi.Errno:
		return e
	}
	panic(err)
}

func (tw *twin) check(what string, host, ours error) bool {
	tw.t.Helper()
	tw.log = append(tw.log, fmt.Sprintf("uid %d: %s = %v", tw.ctx.Creds.FSUID, what, errno(host)))
	if errno(host) != errno(ours) {
		tw.t.Errorf("%s: host %v, ours %v", what, errno(host), errno(ours))
	}
	return host == nil && ours == nil
}

func (tw *twin) equal(what string, host, ours any) {
	tw.t.Helper()
	if h, o := fmt.Sprint(host), fmt.Sprint(ours); h != o {
		tw.t.Errorf("%s: host %s, ours %s", what, h, o)
	}
}

var names = []string{"a", "b", "c", "d", "e"}

func (tw *twin) pick(s ...string) string { return s[tw.r.Intn(len(s))] }

// path returns a random name of up to three components.
func (tw *twin) path() string {
	n := 1 + tw.r.Intn(3)
	if tw.r.Intn(3) > 0 {
		n = 1
	}
	var p []string
	for range n {
		p = append(p, tw.pick(names...))
	}
	switch tw.r.Intn(40) {
	case 0:
		p = append(p, ".")
	case 1:
		p = append(p, "..")
	case 2:
		p[0] = "."
	case 3:
		p = slices.Insert(p, 0, "..", "3")
	}
	s := strings.Join(p, "/")
	if tw.r.Intn(15) == 0 {
		s += "/"
	}
	return s
}

func (tw *twin) step() {
	if tw.r.Intn(12) == 0 {
		tw.become(tw.r.Intn(2))
	}
	ops := []func(){tw.mkdir, tw.mkdir, tw.open, tw.open, tw.open, tw.open, tw.unlink, tw.rmdir, tw.rename, tw.rename,
		tw.link, tw.symlink, tw.mknod, tw.stat, tw.stat, tw.chmod, tw.chown, tw.truncate, tw.readdir, tw.readlink,
		tw.access, tw.io, tw.io, tw.io, tw.io, tw.seek, tw.fallocate, tw.ftruncate, tw.xattr, tw.utimes, tw.tmpfile}
	ops[tw.r.Intn(len(ops))]()
}
