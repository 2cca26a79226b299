package tmpfs_test

import (
	"fmt"
	"math/rand"
	"sync"
	"testing"
	"time"

	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// TestRaces runs renames, removals, lookups and opens of the same few names at once. A
// file that is never removed must be found at one of its two names by who looks under
// both while it is exchanged.
func TestRaces(t *testing.T) {
	w := newWorld(t)
	for _, d := range []string{"/p", "/q", "/p/d", "/q/d"} {
		w.mkdir(t, d)
	}
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			c := *w.ctx
			r := rand.New(rand.NewSource(int64(i)))
			name := func() string {
				return []string{"/p", "/q", "/p/d", "/q/d", "/p/e"}[r.Intn(5)] + "/" + string(rune('a'+r.Intn(3)))
			}
			for range 3000 {
				raceStep(&c, r, name)
			}
		}()
	}
	wg.Wait()
	for _, n := range w.names(t, "/") {
		if n == "." || n == ".." {
			continue
		}
		w.names(t, "/"+n)
	}
}

func raceStep(c *vfs.Context, r *rand.Rand, name func() string) {
	at := c.FS.Cwd()
	switch r.Intn(8) {
	case 0:
		vfs.MkdirAt(c, at, name(), 0o777)
	case 1:
		vfs.UnlinkAt(c, at, name())
	case 2:
		vfs.RmdirAt(c, at, name())
	case 3, 4:
		vfs.RenameAt2(c, at, name(), at, name(), []uint32{0, 0, abi.RENAME_EXCHANGE, abi.RENAME_NOREPLACE}[r.Intn(4)])
	case 5:
		if f, err := vfs.OpenAt(c, at, name(), vfs.OpenHow{Flags: abi.O_CREAT | abi.O_RDWR, Mode: 0o666}); err == nil {
			f.Write(c, uio.One([]byte("data")))
			vfs.PathString(c.FS.Root(), f.Path)
			f.DecRef()
		}
	case 6:
		if p, err := vfs.Lookup(c, at, name(), 0); err == nil {
			vfs.Stat(c, p)
		}
	case 7:
		vfs.RenameAt2(c, at, "/p/d", at, "/p/e", 0)
		vfs.RenameAt2(c, at, "/p/e", at, "/p/d", 0)
	}
}

// TestEviction makes more names than the cache keeps.
func TestEviction(t *testing.T) {
	w := newWorld(t)
	const dirs, files = 140, 1000
	for i := range dirs {
		d := fmt.Sprintf("/%d", i)
		w.mkdir(t, d)
		for j := range files {
			if err := vfs.MknodAt(w.ctx, w.cwd(), fmt.Sprintf("%s/%d", d, j), 0o644, 0, 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range dirs {
		if _, err := vfs.Lookup(w.ctx, w.cwd(), fmt.Sprintf("/%d/%d", i, files-1), 0); err != nil {
			t.Fatal(err)
		}
	}
}

// sleeper is a task for tests.
type sleeper struct {
	c      chan struct{}
	asleep chan struct{} // has an element once it sleeps
}

func newSleeper() *sleeper { return &sleeper{make(chan struct{}, 1), make(chan struct{}, 1)} }

func (s *sleeper) Notify(*wait.Entry, wait.Mask) {
	select {
	case s.c <- struct{}{}:
	default:
	}
}

func (s *sleeper) Sleep(time.Time) error {
	select {
	case s.asleep <- struct{}{}:
	default:
	}
	select {
	case <-s.c:
		return nil
	case <-time.After(60 * time.Second):
		return abi.ETIMEDOUT
	}
}

func TestRecordLocks(t *testing.T) {
	w := newWorld(t)
	w.write(t, "/f", "0123456789")
	f := w.open(t, "/f", abi.O_RDWR)
	defer f.DecRef()
	a, b := vfs.NewFDTable(0), vfs.NewFDTable(0)
	set := func(owner any, typ int16, start, end int64) error {
		return f.SetLock(w.ctx, vfs.RecordLock{Owner: owner, Type: typ, Start: start, End: end}, vfs.LockNoWait)
	}
	steps := []struct {
		owner      any
		typ        int16
		start, end int64
		err        error
	}{
		{a, abi.F_WRLCK, 0, 9, nil}, {b, abi.F_RDLCK, 5, 5, abi.EAGAIN}, {a, abi.F_UNLCK, 4, 6, nil},
		{b, abi.F_RDLCK, 5, 5, nil}, {b, abi.F_WRLCK, 4, 6, nil}, {a, abi.F_RDLCK, 3, 4, abi.EAGAIN},
		{a, abi.F_RDLCK, 0, 3, nil}, {b, abi.F_RDLCK, 0, 1, nil}, {b, abi.F_WRLCK, 0, 1, abi.EAGAIN},
		{f, abi.F_RDLCK, 0, 2, nil}, {a, abi.F_WRLCK, 0, 3, abi.EAGAIN},
	}
	for i, s := range steps {
		if err := set(s.owner, s.typ, s.start, s.end); err != s.err {
			t.Errorf("step %d: %v, want %v", i, err, s.err)
		}
	}
	if k := f.TestLock(vfs.RecordLock{Owner: a, Type: abi.F_WRLCK, Start: 5, End: 5}); k.Type != abi.F_WRLCK || k.Start != 4 || k.End != 6 {
		t.Errorf("test lock: %+v", k)
	}
}

func TestDeadlock(t *testing.T) {
	w := newWorld(t)
	w.write(t, "/f", "0123456789")
	f := w.open(t, "/f", abi.O_RDWR)
	defer f.DecRef()
	a, b := vfs.NewFDTable(0), vfs.NewFDTable(0)
	waiter := newSleeper()
	lock := func(owner any, n int64) error {
		c := *w.ctx
		c.Sleeper = newSleeper()
		if owner == any(a) {
			c.Sleeper = waiter
		}
		return f.SetLock(&c, vfs.RecordLock{Owner: owner, Type: abi.F_WRLCK, Start: n, End: n}, vfs.LockSleep)
	}
	if err := lock(a, 0); err != nil {
		t.Fatal(err)
	}
	if err := lock(b, 1); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- lock(a, 1) }()
	<-waiter.asleep
	if err := lock(b, 0); err != abi.EDEADLK {
		t.Errorf("crossing locks: %v", err)
	}
	f.SetLock(w.ctx, vfs.RecordLock{Owner: b, Type: abi.F_UNLCK, Start: 0, End: 9}, vfs.LockNoWait)
	if err := <-done; err != nil {
		t.Errorf("waiter: %v", err)
	}
}

func TestFlock(t *testing.T) {
	w := newWorld(t)
	w.write(t, "/f", "x")
	f, g := w.open(t, "/f", abi.O_RDONLY), w.open(t, "/f", abi.O_RDONLY)
	defer f.DecRef()
	for i, s := range []struct {
		f   *vfs.File
		op  uint32
		err error
	}{
		{f, abi.LOCK_SH, nil}, {g, abi.LOCK_SH | abi.LOCK_NB, nil}, {f, abi.LOCK_EX | abi.LOCK_NB, abi.EAGAIN},
		{g, abi.LOCK_EX | abi.LOCK_NB, nil}, {f, abi.LOCK_SH | abi.LOCK_NB, abi.EAGAIN}, {f, 77, abi.EINVAL},
	} {
		if err := s.f.Flock(w.ctx, s.op); err != s.err {
			t.Errorf("step %d: %v, want %v", i, err, s.err)
		}
	}
	g.DecRef()
	if err := f.Flock(w.ctx, abi.LOCK_EX|abi.LOCK_NB); err != nil {
		t.Errorf("after close: %v", err)
	}
}

func TestFDTable(t *testing.T) {
	w := newWorld(t)
	w.write(t, "/f", "x")
	tab := vfs.NewFDTable(0)
	add := func(minFD int32, limit uint64) (int32, error) {
		f := w.open(t, "/f", abi.O_RDONLY)
		fd, err := tab.Alloc(minFD, f, minFD%2 == 1, limit)
		if err != nil {
			f.DecRef()
		}
		return fd, err
	}
	for i, s := range []struct {
		min   int32
		limit uint64
		fd    int32
		err   error
	}{{0, 10, 0, nil}, {0, 10, 1, nil}, {5, 10, 5, nil}, {0, 10, 2, nil}, {9, 10, 9, nil}, {9, 10, -1, abi.EMFILE},
		{10, 10, -1, abi.EINVAL}, {200, 1000, 200, nil}, {0, 1000, 3, nil}} {
		if fd, err := add(s.min, s.limit); fd != s.fd || err != s.err {
			t.Errorf("step %d: %d, %v, want %d, %v", i, fd, err, s.fd, s.err)
		}
	}
	if err := tab.Close(w.ctx, 1); err != nil {
		t.Error(err)
	}
	if err := tab.Close(w.ctx, 1); err != abi.EBADF {
		t.Errorf("second close: %v", err)
	}
	if fd, _ := add(0, 10); fd != 1 {
		t.Errorf("lowest free is %d", fd)
	}
	copied := tab.Fork()
	tab.CloseOnExec(w.ctx)
	if tab.Get(5) != nil || copied.Count() != tab.Count()+2 {
		t.Errorf("close on exec: %d of %d left", tab.Count(), copied.Count())
	}
	tab.DecUsers(w.ctx)
	copied.DecUsers(w.ctx)
}

func TestInotify(t *testing.T) {
	w := newWorld(t)
	w.mkdir(t, "/d")
	in, err := vfs.NewInotify(w.ctx, abi.IN_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	defer in.DecRef()
	p, _ := vfs.Lookup(w.ctx, w.cwd(), "/d", 0)
	wd, err := in.Ops.(*vfs.Inotify).AddWatch(w.ctx, p, abi.IN_ALL_EVENTS)
	if err != nil || wd != 1 {
		t.Fatal(wd, err)
	}
	w.write(t, "/d/f", "x")
	vfs.RenameAt2(w.ctx, w.cwd(), "/d/f", w.cwd(), "/d/g", 0)
	vfs.UnlinkAt(w.ctx, w.cwd(), "/d/g")
	vfs.RmdirAt(w.ctx, w.cwd(), "/d")
	b := make([]byte, 4096)
	n, err := in.Read(w.ctx, uio.One(b))
	if err != nil {
		t.Fatal(err)
	}
	var got []uint32
	for i := 0; i < n; {
		got = append(got, uint32(b[i+4])|uint32(b[i+5])<<8|uint32(b[i+6])<<16|uint32(b[i+7])<<24)
		i += 16 + int(b[i+12])
	}
	want := []uint32{abi.IN_CREATE, abi.IN_OPEN, abi.IN_MODIFY, abi.IN_CLOSE_WRITE, abi.IN_MOVED_FROM, abi.IN_MOVED_TO,
		abi.IN_DELETE, abi.IN_DELETE_SELF, abi.IN_IGNORED}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("events %#x, want %#x", got, want)
	}
}

func TestNewMountAPI(t *testing.T) {
	w := newWorld(t)
	w.mkdir(t, "/m")
	fc, err := vfs.Fsopen(w.ctx, "tmpfs")
	if err != nil {
		t.Fatal(err)
	}
	defer fc.DecRef()
	for _, s := range []struct {
		cmd      uint32
		key, val string
		err      error
	}{{abi.FSCONFIG_SET_STRING, "size", "64k", nil}, {abi.FSCONFIG_SET_STRING, "source", "src", nil},
		{abi.FSCONFIG_CMD_CREATE, "", "", nil}, {abi.FSCONFIG_CMD_CREATE, "", "", abi.EBUSY}} {
		if err := vfs.Fsconfig(w.ctx, fc, s.cmd, s.key, s.val); err != s.err {
			t.Fatalf("fsconfig %d: %v", s.cmd, err)
		}
	}
	mf, err := vfs.Fsmount(w.ctx, fc, abi.MOUNT_ATTR_NOSUID)
	if err != nil {
		t.Fatal(err)
	}
	to, _ := vfs.Lookup(w.ctx, w.cwd(), "/m", 0)
	if err := vfs.MoveMountTo(w.ctx, mf.Path, to); err != nil {
		t.Fatal(err)
	}
	mf.DecRef()
	w.write(t, "/m/f", "there")
	if p, _ := vfs.Lookup(w.ctx, w.cwd(), "/m", 0); p.Mount.Flags()&abi.MS_NOSUID == 0 {
		t.Errorf("flags %#x", p.Mount.Flags())
	}
	root, _ := vfs.Lookup(w.ctx, w.cwd(), "/m", 0)
	tree, err := vfs.OpenTree(w.ctx, root, true)
	if err != nil {
		t.Fatal(err)
	}
	tree.DecRef() // never attached
	if err := vfs.MountSetattr(w.ctx, root, abi.MOUNT_ATTR_RDONLY, 0, 0, false); err != nil {
		t.Fatal(err)
	}
	if err := vfs.UnlinkAt(w.ctx, w.cwd(), "/m/f"); err != abi.EROFS {
		t.Errorf("unlink on a read-only mount: %v", err)
	}
}
