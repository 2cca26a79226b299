package server

import (
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazaret/gofer/proto"
	"lazaret/syscalls/abi"
)

type sink struct {
	mu     sync.Mutex
	events []proto.Event
}

func (s *sink) HostEvents(e []proto.Event) {
	s.mu.Lock()
	s.events = append(s.events, e...)
	s.mu.Unlock()
}

// wait returns the first event with a bit of mask for name.
func (s *sink) wait(t *testing.T, mask uint32, name string) proto.Event {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		s.mu.Lock()
		for _, e := range s.events {
			if e.Mask&mask != 0 && e.Name == name {
				s.mu.Unlock()
				return e
			}
		}
		s.mu.Unlock()
	}
	t.Fatalf("no event %#x for %q; got %+v", mask, name, s.events)
	return proto.Event{}
}

// of returns the first event with a bit of mask for the directory ino, waiting for it if it
// must come.
func (s *sink) of(t *testing.T, mask uint32, ino uint64, must bool) (proto.Event, bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		s.mu.Lock()
		for _, e := range s.events {
			if e.Mask&mask != 0 && e.Ino == ino {
				s.mu.Unlock()
				return e, true
			}
		}
		s.mu.Unlock()
		if !must {
			return proto.Event{}, false
		}
	}
	t.Fatalf("no event %#x of %d; got %+v", mask, ino, s.events)
	return proto.Event{}, false
}

func TestHostChanges(t *testing.T) {
	c, dir := serve(t, func(c *Config) { c.Roots[0].Shared = true })
	_ = os.MkdirAll(filepath.Join(dir, "d/sub"), 0o755)
	_ = os.WriteFile(filepath.Join(dir, "d/f"), nil, 0o644)
	root := attach(t, c, "/")
	if _, a := walk(t, root, "d", "f"); a.Flags&proto.FlagWatched != 0 {
		t.Error("watched before anybody asked")
	}
	var s sink
	if err := c.WatchEvents(&s); err != nil {
		t.Fatal(err)
	}
	if err := c.WatchEvents(&s); err != abi.EBUSY {
		t.Errorf("second WatchEvents: %v", err)
	}
	d, _ := walk(t, root, "d")
	_, a := walk(t, d, "f")
	if a.Flags&proto.FlagWatched == 0 || a.Flags&proto.FlagShared == 0 {
		t.Errorf("flags %#x", a.Flags)
	}
	da, err := d.GetAttr()
	if err != nil || da.Flags&proto.FlagWatched == 0 {
		t.Errorf("directory: flags %#x %v", da.Flags, err)
	}
	_ = os.WriteFile(filepath.Join(dir, "d/new"), []byte("x"), 0o644)
	e := s.wait(t, abi.IN_CREATE, "new")
	if e.Ino != da.Ino || e.DevMajor != da.DevMajor || e.DevMinor != da.DevMinor {
		t.Errorf("event of another directory: %+v", e)
	}
	s.wait(t, abi.IN_MODIFY, "new")
	_ = os.Chmod(filepath.Join(dir, "d/f"), 0o600)
	s.wait(t, abi.IN_ATTRIB, "f")
	_ = os.Rename(filepath.Join(dir, "d/f"), filepath.Join(dir, "d/g"))
	from, to := s.wait(t, abi.IN_MOVED_FROM, "f"), s.wait(t, abi.IN_MOVED_TO, "g")
	if from.Cookie != to.Cookie || from.Cookie == 0 {
		t.Errorf("cookies %d and %d", from.Cookie, to.Cookie)
	}
	_ = os.RemoveAll(filepath.Join(dir, "d"))
	s.wait(t, abi.IN_DELETE|abi.IN_ISDIR, "sub")
	if err := c.StopEvents(); err != nil {
		t.Error(err)
	}
}

// A socket that cannot be kept leaves no name, and no fid.
func TestBindRefused(t *testing.T) {
	c, dir := serve(t, func(c *Config) { c.Roots[0].AllowUnix = true; c.MaxOpen = 1 })
	root := attach(t, c, "/")
	one, fd, _, err := root.Bind("one", abi.SOCK_STREAM, 0o600, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if _, _, _, err := root.Bind("two", abi.SOCK_STREAM, 0o600, 0, 0); err != abi.ENFILE && err != abi.EMFILE {
		t.Errorf("one too many: %v", err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "two")); !os.IsNotExist(err) {
		t.Errorf("its name: %v", err)
	}
	if err := one.Listen(proto.StopListening); err != nil {
		t.Fatal(err)
	}
	if _, fd, _, err := root.Bind("two", abi.SOCK_STREAM, 0o600, 0, 0); err != nil {
		t.Errorf("when there is room: %v", err)
	} else {
		unix.Close(fd)
	}
}

func TestUnixSockets(t *testing.T) {
	c, dir := serve(t, func(c *Config) { c.Roots[0].AllowUnix = true; c.Roots[0].AllowFIFO = true })
	l, err := net.Listen("unix", filepath.Join(dir, "sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_ = unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600)
	root := attach(t, c, "/")
	s, _ := walk(t, root, "sock")
	if _, err := s.Open(abi.O_RDWR); err != abi.ENXIO {
		t.Errorf("open of a socket: %v", err)
	}
	fd, err := s.Connect(abi.SOCK_STREAM)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if _, err := s.Connect(99); err != abi.ESOCKTNOSUPPORT {
		t.Errorf("odd type: %v", err)
	}
	mine, bfd, a, err := root.Bind("mine", abi.SOCK_STREAM, 0o620, 3, 4)
	if err != nil || a.Mode != abi.S_IFSOCK|0o620 || a.UID != 3 {
		t.Fatalf("bind: %+v %v", a, err)
	}
	defer unix.Close(bfd)
	if _, err := net.Dial("unix", filepath.Join(dir, "mine")); err == nil {
		t.Error("a socket that does not listen can be connected to")
	}
	if err := mine.Listen(1); err != nil {
		t.Fatal(err)
	}
	if fd, err := mine.Accept(); err != abi.EAGAIN {
		t.Errorf("accept without a connection: %d, %v", fd, err)
	}
	hc, err := net.Dial("unix", filepath.Join(dir, "mine"))
	if err != nil {
		t.Fatal(err)
	}
	_ = hc.Close()
	afd, err := mine.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = unix.Close(afd)
	if err := mine.Listen(proto.StopListening); err != nil {
		t.Error(err)
	}
	if _, err := mine.Accept(); err != abi.EINVAL {
		t.Errorf("accept after the end: %v", err)
	}
	p, _ := walk(t, root, "fifo")
	pfd, err := p.Open(abi.O_RDONLY)
	if err != nil || pfd < 0 {
		t.Fatalf("FIFO: %v", err)
	}
	_ = unix.Close(pfd)
}
