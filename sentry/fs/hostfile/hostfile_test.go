package hostfile

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// sleeper is a wait.Sleeper for tests.
type sleeper chan struct{}

func newSleeper() sleeper { return make(sleeper, 1) }

func (s sleeper) Notify(*wait.Entry, wait.Mask) {
	select {
	case s <- struct{}{}:
	default:
	}
}

func (s sleeper) Sleep(deadline time.Time) error {
	select {
	case <-s:
		return nil
	case <-time.After(time.Until(deadline)):
		return abi.ETIMEDOUT
	}
}

func newNotifier(t *testing.T) *Notifier {
	t.Helper()
	n, err := NewNotifier()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

func open(t *testing.T, n *Notifier, fd int) vfs.FileOps {
	t.Helper()
	ops, err := NewOps(n, fd)
	if err != nil {
		t.Fatal(err)
	}
	return ops
}

func waitFor(t *testing.T, ops vfs.FileOps, mask wait.Mask, then func()) wait.Mask {
	t.Helper()
	p := ops.(vfs.Poller)
	s := newSleeper()
	started := false
	ready := func() bool {
		got := p.Poll(nil) & mask
		if !started {
			started = true
			go then()
		}
		return got != 0
	}
	if err := wait.Until(s, p.WaitQueue(nil), mask, time.Now().Add(5*time.Second), ready); err != nil {
		t.Fatalf("wait for %#x: %v", mask, err)
	}
	return p.Poll(nil)
}

func TestStreamKinds(t *testing.T) {
	pair := func(t *testing.T, name string) (r, w int) {
		var p [2]int
		var err error
		if name == "socket" {
			p, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		} else {
			err = unix.Pipe(p[:])
		}
		if err != nil {
			t.Fatal(err)
		}
		return p[0], p[1]
	}
	for _, name := range []string{"pipe", "socket"} {
		t.Run(name, func(t *testing.T) {
			n := newNotifier(t)
			rfd, wfd := pair(t, name)
			r, w := open(t, n, rfd), open(t, n, wfd)
			defer r.Release(nil)
			buf := make([]byte, 16)
			if _, err := r.Read(nil, nil, uio.One(buf), nil); err != abi.EAGAIN {
				t.Fatalf("read of empty: %v", err)
			}
			waitFor(t, r, wait.In, func() {
				if n, err := w.Write(nil, nil, uio.Bufs{[]byte("ab"), []byte("cd")}, nil); n != 4 || err != nil {
					t.Errorf("write: %d %v", n, err)
				}
			})
			if n, err := r.Read(nil, nil, uio.Bufs{buf[:3], buf[3:]}, nil); n != 4 || string(buf[:4]) != "abcd" {
				t.Fatalf("read: %d %v %q", n, err, buf)
			}
			big := make([]byte, 1<<20)
			total := 0
			for {
				n, err := w.Write(nil, nil, uio.One(big), nil)
				if err == abi.EAGAIN {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				total += n
			}
			if total == 0 {
				t.Fatal("nothing written")
			}
			waitFor(t, w, wait.Out, func() {
				for total > 0 {
					n, _ := r.Read(nil, nil, uio.One(big), nil)
					total -= n
				}
			})
			w.Release(nil)
			if got := waitFor(t, r, wait.In|wait.Hup, func() {}); got&wait.Hup == 0 {
				t.Fatalf("poll after close: %#x", got)
			}
			for {
				n, err := r.Read(nil, nil, uio.One(big), nil)
				if err != nil {
					t.Fatal(err)
				}
				if n == 0 {
					break
				}
			}
		})
	}
}

func TestRegularKeepsHostOffset(t *testing.T) {
	n := newNotifier(t)
	name := filepath.Join(t.TempDir(), "log")
	fd, err := unix.Open(name, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	other, _ := unix.Dup(fd)
	defer unix.Close(other)
	ops := open(t, n, fd)
	defer ops.Release(nil)
	if _, ok := ops.(vfs.Poller); ok {
		t.Error("a regular file is a Poller")
	}
	f, err := vfs.NewAnonFile(&vfs.Context{}, "[test]", ops, abi.O_RDWR, vfs.ModeRead|vfs.ModeWrite)
	if err != nil {
		t.Fatal(err)
	}
	write := func(s string, pos *int64) {
		var err error
		if pos == nil {
			_, err = f.Write(&vfs.Context{}, uio.One([]byte(s)))
		} else {
			_, err = f.WriteAt(&vfs.Context{}, uio.One([]byte(s)), *pos)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write("one ", nil)
	unix.Write(other, []byte("two "))
	write("three", nil)
	zero := int64(0)
	write("O", &zero)
	if b, _ := os.ReadFile(name); string(b) != "One two three" {
		t.Fatalf("file holds %q", b)
	}
	if off, err := ops.(vfs.Seeker).Seek(nil, nil, 0, unix.SEEK_CUR); off != 13 || err != nil {
		t.Fatalf("seek: %d %v", off, err)
	}
}

func TestDirectoryRefused(t *testing.T) {
	n := newNotifier(t)
	fd, _ := unix.Open("/", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	defer unix.Close(fd)
	if _, err := NewOps(n, fd); err != abi.EISDIR {
		t.Fatalf("directory: %v", err)
	}
}

func TestDevNullAlwaysReady(t *testing.T) {
	n := newNotifier(t)
	f, err := vfs.NewAnonFile(&vfs.Context{}, "[test]", nil, abi.O_RDWR, vfs.ModeRead)
	if err != nil {
		t.Fatal(err)
	}
	pos := int64(0)
	fd, _ := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	ops := open(t, n, fd)
	defer ops.Release(nil)
	if n, err := ops.Read(nil, f, uio.One(make([]byte, 4)), &pos); n != 0 || err != nil {
		t.Fatalf("read: %d %v", n, err)
	}
}

// TestFIFO: a reader that came first waits for a writer, one that may not wait sees the end.
func TestFIFO(t *testing.T) {
	n := newNotifier(t)
	name := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	open := func(flags int, awaits bool) vfs.FileOps {
		fd, err := unix.Open(name, flags|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		ops, err := NewFIFO(n, fd, awaits)
		if err != nil {
			t.Fatal(err)
		}
		return ops
	}
	buf := make([]byte, 8)
	read := func(ops vfs.FileOps, want int, wantErr error) {
		t.Helper()
		if n, err := ops.Read(nil, nil, uio.One(buf), nil); n != want || err != wantErr {
			t.Errorf("read: %d %v, want %d %v", n, err, want, wantErr)
		}
	}
	r, other := open(unix.O_RDONLY, true), open(unix.O_RDONLY, false)
	defer r.Release(nil)
	read(r, 0, abi.EAGAIN)
	read(other, 0, nil)
	other.Release(nil)
	w := open(unix.O_WRONLY, false)
	waitFor(t, r, wait.In, func() {
		if n, err := w.Write(nil, nil, uio.One([]byte("abc")), nil); n != 3 || err != nil {
			t.Errorf("write: %d %v", n, err)
		}
	})
	read(r, 3, nil)
	read(r, 0, abi.EAGAIN)
	waitFor(t, r, wait.Hup, func() { w.Release(nil) })
	read(r, 0, nil)
}
