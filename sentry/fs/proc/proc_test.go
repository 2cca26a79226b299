package proc

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"lazaret/platform"
	"lazaret/sentry/fs/anon"
	"lazaret/sentry/kernel"
	"lazaret/sentry/mm"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

func TestProcessDirectory(t *testing.T) {
	w := newWorld(t)
	p := w.process(0, "prog\x00-x\x00", "A=b\x00C=d\x00")
	q := w.process(0, "other\x00", "")
	for name, want := range map[string]string{
		"/proc/self/cmdline": "prog\x00-x\x00", "/proc/1/environ": "A=b\x00C=d\x00", "/proc/self/auxv": "auxv",
		"/proc/2/cmdline": "other\x00", "/proc/self/comm": "prog\n", "/proc/thread-self/comm": "prog\n",
		"/proc/self/task/1/comm": "prog\n", "/proc/self/cgroup": "0::/\n", "/proc/sys/kernel/hostname": "box\n",
		"/proc/sys/kernel/osrelease": "6.12.0-lz\n", "/proc/sys/net/core/somaxconn": "4096\n", "/proc/self/wchan": "0",
		"/proc/self/uid_map": "         0          0 4294967295\n",
	} {
		if got := w.read(p, name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for name, want := range map[string]string{"/proc/self": "1", "/proc/thread-self": "1/task/1", "/proc/self/cwd": "/",
		"/proc/self/root": "/", "/proc/mounts": "self/mounts", "/proc/2/cwd": "/", "/proc/net": "self/net"} {
		if got, err := w.link(p, name); got != want || err != nil {
			t.Errorf("link %s: %q %v, want %q", name, got, err, want)
		}
	}
	if got, _ := w.link(q, "/proc/self"); got != "2" {
		t.Errorf("self of the second process: %q", got)
	}
	names := w.names(p, "/proc")
	if !slices.Contains(names, "1") || !slices.Contains(names, "2") || !slices.Contains(names, "self") || slices.Contains(names, "3") {
		t.Errorf("names in /proc: %v", names)
	}
	if u := slices.Compact(slices.Sorted(slices.Values(names))); len(u) != len(names) {
		t.Errorf("names given twice: %v", names)
	}
	for _, name := range []string{"/proc/3", "/proc/01", "/proc/0", "/proc/-1", "/proc/1/task/2", "/proc/self/nope", "/proc/kallsyms"} {
		if _, err := open(p, name, abi.O_RDONLY); err != abi.ENOENT {
			t.Errorf("open %s: %v", name, err)
		}
	}
}

// TestEveryFile reads and lists all of /proc, as find and grep -r do.
func TestEveryFile(t *testing.T) {
	w := newWorld(t)
	p := w.process(0, "prog\x00", "A=b\x00")
	count := 0
	var walk func(dir string)
	walk = func(dir string) {
		for _, n := range w.names(p, dir) {
			name := dir + "/" + n
			if n == "." || n == ".." {
				continue
			}
			at, err := vfs.Lookup(p.Ctx(), p.FS().Cwd(), name, 0)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			a, _, err := vfs.Stat(p.Ctx(), at)
			if err != nil || a.Ino == 0 {
				t.Errorf("stat %s: %v", name, err)
			}
			count++
			switch a.Type() {
			case abi.S_IFDIR:
				walk(name)
			case abi.S_IFREG:
				s, err := read(p, name, 4000)
				if a.Mode&0o444 == 0 || strings.Contains(name, "/attr/") || strings.HasSuffix(name, "/mem") {
					continue
				}
				if err != nil {
					t.Errorf("read %s: %v", name, err)
				}
				if small, err := read(p, name, 1); err == nil && len(small) != len(s) && !strings.Contains(name, "meminfo") {
					if !strings.HasSuffix(name, "stat") && !strings.HasSuffix(name, "uptime") && !strings.HasSuffix(name, "sched") {
						t.Errorf("%s: read by bytes %d, at once %d", name, len(small), len(s))
					}
				}
			}
		}
	}
	walk("/proc")
	if count < 300 {
		t.Errorf("only %d names", count)
	}
	if used := w.c.Account.Used(); used > 1<<20 {
		t.Errorf("%d bytes stay charged", used)
	}
}

func TestDescriptors(t *testing.T) {
	w := newWorld(t)
	p := w.process(0, "prog\x00", "")
	ev, err := anon.NewEventFD(p.Ctx(), 5, 0)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := p.Files().Alloc(7, ev, true, 100)
	if err != nil || fd != 7 {
		t.Fatal(fd, err)
	}
	f, err := open(p, "/proc/self/fdinfo", abi.O_RDONLY|abi.O_DIRECTORY)
	if err != nil {
		t.Fatal(err)
	}
	p.Files().Alloc(0, f, false, 100)
	if got := w.names(p, "/proc/self/fd"); !slices.Equal(got, []string{".", "..", "0", "7"}) {
		t.Errorf("fd: %v", got)
	}
	if got, _ := w.link(p, "/proc/self/fd/7"); got != "anon_inode:[eventfd]" {
		t.Errorf("fd/7: %q", got)
	}
	if got, _ := w.link(p, "/proc/self/fd/0"); got != "/proc/1/fdinfo" {
		t.Errorf("fd/0: %q", got)
	}
	if got := w.read(p, "/proc/self/fdinfo/7"); !strings.HasPrefix(got, "pos:\t0\nflags:\t02000002\nmnt_id:\t") ||
		!strings.HasSuffix(got, "eventfd-count:                5\n") {
		t.Errorf("fdinfo/7: %q", got)
	}
	p.Files().Close(p.Ctx(), 7)
	if _, err := w.link(p, "/proc/self/fd/7"); err != abi.ENOENT {
		t.Errorf("fd/7 after close: %v", err)
	}
	// A file of fdinfo about itself.
	self, err := open(p, "/proc/self/fdinfo/0", abi.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Files().AllocAt(p.Ctx(), 0, self, false, 100); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	if n, err := self.Read(p.Ctx(), uio.One(b)); n == 0 || err != nil {
		t.Errorf("fdinfo of itself: %d %v", n, err)
	}
}

func TestAccess(t *testing.T) {
	w := newWorld(t)
	root := w.process(0, "prog\x00", "A=b\x00")
	user := w.process(nonRoot, "user\x00", "U=v\x00")
	hidden := w.process(nonRoot, "hidden\x00", "")
	hidden.ThreadGroup().SetDumpable(kernel.DumpDisable)
	tests := []struct {
		name string
		err  error
	}{
		{"/proc/1/environ", abi.EACCES}, {"/proc/1/maps", abi.EACCES}, {"/proc/1/mem", abi.EACCES}, {"/proc/1/fd", abi.EACCES},
		{"/proc/1/auxv", abi.EACCES}, {"/proc/1/io", abi.EACCES}, {"/proc/1/status", nil}, {"/proc/1/stat", nil},
		{"/proc/1/cmdline", nil}, {"/proc/2/environ", nil}, {"/proc/2/maps", nil}, {"/proc/3/environ", abi.EACCES},
		{"/proc/3/status", nil}, {"/proc/kmsg", abi.EACCES}, {"/proc/1/cwd/", abi.EACCES}, {"/proc/2/cwd/", nil},
		{"/proc/1/smaps_rollup", abi.EACCES},
	}
	for _, tt := range tests {
		f, err := open(user, tt.name, abi.O_RDONLY)
		if err == nil {
			f.DecRef()
		}
		if err != tt.err {
			t.Errorf("open %s: %v, want %v", tt.name, err, tt.err)
		}
	}
	if _, err := w.link(user, "/proc/1/exe"); err != abi.EACCES {
		t.Errorf("exe of root: %v", err)
	}
	if _, err := w.link(user, "/proc/1/ns/mnt"); err != abi.EACCES {
		t.Errorf("ns of root: %v", err)
	}
	own := func(name string) uint32 {
		p, err := vfs.Lookup(root.Ctx(), root.FS().Cwd(), name, 0)
		if err != nil {
			t.Fatal(err)
		}
		a, _, _ := vfs.Stat(root.Ctx(), p)
		return uint32(a.UID)
	}
	if own("/proc/2") != nonRoot || own("/proc/2/status") != nonRoot || own("/proc/3") != nonRoot || own("/proc/3/status") != 0 {
		t.Error("wrong owners")
	}
	st := strings.Fields(w.read(user, "/proc/1/stat"))
	if st[25] != "1" || st[27] != "0" || st[47] != "0" {
		t.Errorf("addresses of another user show: %v", st)
	}
}

func TestVanish(t *testing.T) {
	w := newWorld(t)
	p := w.process(0, "prog\x00", "")
	q := w.process(0, "dies\x00", "")
	f, err := open(p, "/proc/2/status", abi.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	maps, err := open(p, "/proc/2/maps", abi.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := open(p, "/proc/2", abi.O_RDONLY|abi.O_DIRECTORY)
	if err != nil {
		t.Fatal(err)
	}
	q.Abandon()
	b := make([]byte, 100)
	if _, err := f.Read(p.Ctx(), uio.One(b)); err != abi.ESRCH {
		t.Errorf("read of a dead process: %v", err)
	}
	if n, err := maps.Read(p.Ctx(), uio.One(b)); n != 0 || err != nil && err != abi.ESRCH {
		t.Errorf("maps of a dead process: %d %v", n, err)
	}
	if err := dir.ReadDir(p.Ctx(), func(*vfs.Dirent) bool { return true }); err != abi.ENOENT {
		t.Errorf("readdir of a dead process: %v", err)
	}
	if _, err := open(p, "/proc/2/status", abi.O_RDONLY); err != abi.ENOENT {
		t.Errorf("open after death: %v", err)
	}
	if names := w.names(p, "/proc"); slices.Contains(names, "2") {
		t.Errorf("still listed: %v", names)
	}
	for _, f := range []*vfs.File{f, maps, dir} {
		f.DecRef()
	}
}

func TestHidePID(t *testing.T) {
	w := newWorld(t)
	w.process(0, "prog\x00", "")
	user := w.process(nonRoot, "user\x00", "")
	tests := []struct {
		opts   string
		err    error
		listed bool
	}{
		{"hidepid=0", nil, true}, {"hidepid=1", abi.EPERM, true}, {"hidepid=2", abi.ENOENT, false},
		{"hidepid=ptraceable", abi.ENOENT, false}, {"hidepid=2,gid=1000", nil, true},
	}
	for _, tt := range tests {
		w.mount("/proc2", tt.opts)
		if _, err := read(user, "/proc2/1/status", 100); err != tt.err {
			t.Errorf("%s: read of another's status: %v, want %v", tt.opts, err, tt.err)
		}
		if got := slices.Contains(w.names(user, "/proc2"), "1"); got != tt.listed {
			t.Errorf("%s: listed %v", tt.opts, got)
		}
		if s, err := read(user, "/proc2/2/comm", 100); s != "prog\n" || err != nil {
			t.Errorf("%s: own: %q %v", tt.opts, s, err)
		}
	}
	w.mount("/proc2", "subset=pid")
	if _, err := read(user, "/proc2/meminfo", 100); err != abi.ENOENT {
		t.Errorf("subset=pid: %v", err)
	}
	if err := vfs.MountAt(w.boot, "proc", "proc", "/proc2", 0, "hidepid=9"); err != abi.EINVAL {
		t.Errorf("hidepid=9: %v", err)
	}
}

func TestWrites(t *testing.T) {
	w := newWorld(t)
	root := w.process(0, "prog\x00", "")
	user := w.process(nonRoot, "user\x00", "")
	tests := []struct {
		who        *kernel.Task
		name, data string
		err        error
		after      string
	}{
		{root, "/proc/self/comm", "longer than fifteen", nil, "longer than fif\n"},
		{root, "/proc/2/comm", "x", abi.EINVAL, "prog\n"},
		{user, "/proc/self/oom_score_adj", "500\n", nil, "500\n"},
		{user, "/proc/self/oom_score_adj", "499", abi.EACCES, "500\n"},
		{root, "/proc/2/oom_score_adj", "-1000", nil, "-1000\n"},
		{root, "/proc/2/oom_score_adj", "1001", abi.EINVAL, "-1000\n"},
		{root, "/proc/2/oom_adj", "15", nil, "15\n"},
		{root, "/proc/sys/kernel/hostname", "other\n", nil, "other\n"},
		{root, "/proc/sys/kernel/hostname", strings.Repeat("x", 65), abi.EINVAL, "other\n"},
		{user, "/proc/sys/kernel/hostname", "mine", abi.EACCES, "other\n"},
		{root, "/proc/sys/net/ipv4/ip_local_port_range", "2000 3000", nil, "2000\t3000\n"},
		{root, "/proc/sys/net/ipv4/ip_local_port_range", "70000", abi.EINVAL, "2000\t3000\n"},
		{root, "/proc/sys/net/ipv4/ip_local_port_range", "1 2 3", abi.EINVAL, "2000\t3000\n"},
		{root, "/proc/sys/kernel/shmmax", "18446744073709551615", nil, "18446744073709551615\n"},
		{root, "/proc/sys/kernel/osrelease", "7", abi.EIO, "6.12.0-lz\n"},
		{root, "/proc/sys/vm/overcommit_memory", "junk", abi.EINVAL, "0\n"},
		{root, "/proc/sys/vm/overcommit_memory", "1", nil, "1\n"},
		{root, "/proc/sys/kernel/core_pattern", strings.Repeat("y", 5000), abi.EINVAL, "core\n"},
		{root, "/proc/version", "x", abi.EIO, ""},
		{root, "/proc/2/timerslack_ns", "70000", nil, "70000\n"},
		{user, "/proc/1/timerslack_ns", "70000", abi.EPERM, ""},
		{root, "/proc/self/uid_map", "0 0 1", abi.EPERM, ""},
	}
	for _, tt := range tests {
		if err := write(tt.who, tt.name, tt.data); err != tt.err {
			t.Errorf("write %.20q to %s: %v, want %v", tt.data, tt.name, err, tt.err)
		}
		if tt.after == "" {
			continue
		}
		if got := w.read(tt.who, tt.name); got != tt.after {
			t.Errorf("%s after write: %q, want %q", tt.name, got, tt.after)
		}
	}
	// Another network namespace has values of its own.
	net, _ := w.k.NewNet(w.k.RootUserNS, nil)
	other := *w.ns
	other.Net = net
	if got := w.sys.Sysctl(&other, "net/ipv4/ip_local_port_range"); got != "32768\t60999" {
		t.Errorf("another namespace: %q", got)
	}
	for _, tt := range []struct {
		name, val string
		err       error
	}{{"net.ipv4.ip_unprivileged_port_start", "0", nil}, {"kernel.shmmax", "4096", nil}, {"no.such", "1", abi.ENOENT}, {"kernel.version", "1", abi.EPERM}} {
		if err := w.sys.SetSysctl(&other, tt.name, tt.val); err != tt.err {
			t.Errorf("SetSysctl %s: %v, want %v", tt.name, err, tt.err)
		}
	}
	if got := w.sys.Sysctl(&other, "net/ipv4/ip_unprivileged_port_start"); got != "0" {
		t.Errorf("after SetSysctl: %q", got)
	}
}

func TestMem(t *testing.T) {
	w := newWorld(t)
	p := w.process(0, "prog\x00", "A=b\x00")
	f, err := open(p, "/proc/1/mem", abi.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	defer f.DecRef()
	b := make([]byte, 5)
	if n, err := f.ReadAt(p.Ctx(), uio.One(b), argBase); n != 5 || err != nil || string(b) != "prog\x00" {
		t.Errorf("read: %d %v %q", n, err, b)
	}
	if _, err := f.WriteAt(p.Ctx(), uio.One([]byte("PR")), argBase); err != nil {
		t.Error(err)
	}
	if got := w.read(p, "/proc/1/cmdline"); got != "PRog\x00" {
		t.Errorf("cmdline: %q", got)
	}
	if err := p.MM().Mprotect(argBase+abi.PageSize, abi.PageSize, platform.Read, 0); err != nil {
		t.Fatal(err)
	}
	if n, err := f.WriteAt(p.Ctx(), uio.One([]byte("x")), argBase+abi.PageSize); n != 1 || err != nil {
		t.Errorf("write to protected memory: %d %v", n, err)
	}
	if _, err := f.ReadAt(p.Ctx(), uio.One(b), 0x5000); err != abi.EIO {
		t.Errorf("read of a hole: %v", err)
	}
	big := make([]byte, 8*abi.PageSize)
	if n, err := f.ReadAt(p.Ctx(), uio.One(big), argBase); n != 4*abi.PageSize || err != nil {
		t.Errorf("read up to a hole: %d %v", n, err)
	}
	if pos, err := f.Seek(p.Ctx(), argBase+1, abi.SEEK_SET); pos != argBase+1 || err != nil {
		t.Errorf("seek: %d %v", pos, err)
	}
}

// TestManyMappings reads a long maps in pieces while it is not all in memory.
func TestManyMappings(t *testing.T) {
	w := newWorld(t)
	p := w.process(0, "prog\x00", "")
	const n = 5000
	for i := range n {
		o := mm.MapOpts{Addr: 0x20000000 + abi.Addr(i)*2*abi.PageSize, Len: abi.PageSize, Prot: platform.Read, Fixed: true}
		if _, err := p.MM().MMap(o); err != nil {
			t.Fatal(err)
		}
	}
	for _, size := range []int{777, 1 << 20} {
		text, err := read(p, "/proc/self/maps", size)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		if len(lines) != n+1 || !slices.IsSorted(lines) || len(slices.Compact(lines)) != n+1 {
			t.Errorf("by %d: %d lines", size, len(lines))
		}
	}
	before := w.c.Account.Used()
	f, err := open(p, "/proc/self/maps", abi.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	opened := w.c.Account.Used()
	a, b := make([]byte, 10), make([]byte, 10)
	for i, at := range []int64{200000, 0, 200000} {
		c := a
		if i == 2 {
			c = b
		}
		if _, err := f.ReadAt(p.Ctx(), uio.One(c), at); err != nil {
			t.Fatal(err)
		}
	}
	if string(a) == string(b) && len(strings.TrimSpace(string(b))) == 0 {
		t.Errorf("pread back: %q %q", a, b)
	}
	if used := w.c.Account.Used() - opened; used == 0 || used > 1<<20 {
		t.Errorf("%d bytes charged for the text", used)
	}
	f.DecRef()
	if w.c.Account.Used() != before {
		t.Error("the file or its text stays charged after close")
	}
}

func TestMountsPoll(t *testing.T) {
	w := newWorld(t)
	p := w.process(0, "prog\x00", "")
	f, err := open(p, "/proc/self/mountinfo", abi.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	defer f.DecRef()
	if m := f.Poll(); m&wait.Pri != 0 {
		t.Errorf("poll at once: %x", m)
	}
	w.mount("/proc2", "hidepid=2")
	if m := f.Poll(); m&(wait.Pri|wait.Err) != wait.Pri|wait.Err {
		t.Errorf("poll after mount: %x", m)
	}
	if m := f.Poll(); m&wait.Pri != 0 {
		t.Errorf("poll again: %x", m)
	}
	if s := w.read(p, "/proc/mounts"); !strings.Contains(s, "proc /proc2 proc rw,relatime,hidepid=invisible 0 0\n") {
		t.Errorf("mounts: %q", s)
	}
	if st, err := open(p, "/proc/stat", abi.O_RDONLY); err != nil || st.CanPoll() {
		t.Error("other files cannot be polled")
	} else {
		st.DecRef()
	}
}

func TestNamespaces(t *testing.T) {
	w := newWorld(t)
	p := w.process(0, "prog\x00", "")
	seen := map[string]bool{}
	for _, n := range []string{"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts", "pid_for_children", "time_for_children"} {
		l, err := w.link(p, "/proc/self/ns/"+n)
		typ, _, _ := strings.Cut(n, "_")
		if !strings.HasPrefix(l, typ+":[40265") || err != nil {
			t.Errorf("%s: %q %v", n, l, err)
		}
		seen[l] = true
		f, err := open(p, "/proc/self/ns/"+n, abi.O_RDONLY)
		if err != nil {
			t.Errorf("open %s: %v", n, err)
			continue
		}
		ns, ok := f.Ops.(*NSFile)
		a, _, _ := vfs.Stat(p.Ctx(), f.Path)
		if !ok || !strings.Contains(l, strconv.FormatUint(a.Ino, 10)) || f.Path.Dentry.Super().Magic != abi.NSFS_MAGIC {
			t.Errorf("%s: %T ino %d", n, f.Ops, a.Ino)
			continue
		}
		if (ns.Namespace() == nil) != (n == "user") || (ns.UserNamespace() == nil) == (n == "user") {
			t.Errorf("%s: wrong kind", n)
		}
		if s, _ := vfs.PathString(vfs.Path{}, f.Path); s != l {
			t.Errorf("%s: path %q, link %q", n, s, l)
		}
		if kind, err := f.Ioctl(p.Ctx(), abi.NS_GET_NSTYPE, 0, nil); kind != uint64(ns.Kind()) || err != nil {
			t.Errorf("%s: NS_GET_NSTYPE %x %v", n, kind, err)
		}
		f.DecRef()
	}
	if len(seen) != 8 {
		t.Errorf("%d different namespaces: %v", len(seen), seen)
	}
}
