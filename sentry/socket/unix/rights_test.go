package unix

import (
	"testing"
	"time"

	"lazaret/sentry/fs/pipe"
	"lazaret/sentry/socket"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

func filePair(t *testing.T, ctx *vfs.Context, typ int) (a, b *vfs.File) {
	t.Helper()
	a, b, err := socket.Families{abi.AF_UNIX: Family{NewNamespace()}}.NewPair(ctx, abi.AF_UNIX, typ, 0)
	if err != nil {
		t.Fatal(err)
	}
	return a, b
}

func sendFiles(t *testing.T, ctx *vfs.Context, to *vfs.File, text string, files ...*vfs.File) {
	t.Helper()
	for _, f := range files {
		f.IncRef()
	}
	m := socket.Message{Bufs: uio.One([]byte(text)), Control: socket.Control{Files: files}}
	if _, err := socket.Send(ctx, to, &m); err != nil {
		t.Fatal(err)
	}
}

func TestPassedFiles(t *testing.T) {
	for _, typ := range []int{abi.SOCK_STREAM, abi.SOCK_DGRAM, abi.SOCK_SEQPACKET} {
		ctx := testContext()
		a, b := filePair(t, ctx, typ)
		r, w, _ := pipe.New(ctx, 0)
		sendFiles(t, ctx, a, "xyz", w)
		sendFiles(t, ctx, a, "more")
		w.DecRef()
		if r.Poll()&wait.Hup != 0 {
			t.Error("the passed end is closed")
		}
		buf := make([]byte, 100)
		m := socket.Message{Bufs: uio.One(buf), Flags: abi.MSG_PEEK}
		if n, err := socket.Recv(ctx, b, &m); n != 3 || err != nil || len(m.Control.Files) != 1 {
			t.Fatalf("peek: %d %v, %d files", n, err, len(m.Control.Files))
		}
		m.Control.Release()
		m = socket.Message{Bufs: uio.One(buf)}
		if n, err := socket.Recv(ctx, b, &m); n != 3 || err != nil || len(m.Control.Files) != 1 {
			t.Fatalf("recv: %d %v, %d files", n, err, len(m.Control.Files))
		}
		m.Control.Release()
		if r.Poll()&wait.Hup == 0 {
			t.Error("the passed end is still open")
		}
		for _, f := range []*vfs.File{a, b, r} {
			f.DecRef()
		}
		if flight.total != 0 || ctx.Account.Used() != 0 {
			t.Errorf("left: %d files, %d bytes", flight.total, ctx.Account.Used())
		}
	}
}

// A socket in its own queue, two in each other's, and a chain from a living one.
func TestCyclesAreCollected(t *testing.T) {
	ctx := testContext()
	r, w, _ := pipe.New(ctx, 0)
	a, b := filePair(t, ctx, abi.SOCK_STREAM)
	sendFiles(t, ctx, a, "1", b, w) // b waits in its own queue
	c, d := filePair(t, ctx, abi.SOCK_DGRAM)
	sendFiles(t, ctx, c, "2", c, w)
	sendFiles(t, ctx, d, "3", d)
	live, keep := filePair(t, ctx, abi.SOCK_STREAM)
	e, f := filePair(t, ctx, abi.SOCK_STREAM)
	sendFiles(t, ctx, live, "4", f)
	sendFiles(t, ctx, e, "5", f)
	w.DecRef()
	for _, x := range []*vfs.File{a, b, c, d, e, f} {
		x.DecRef()
	}
	if r.Poll()&wait.Hup == 0 {
		t.Error("an unreachable file is still open")
	}
	if flight.total != 2 {
		t.Errorf("%d files in flight, want the 2 that can be reached", flight.total)
	}
	for _, x := range []*vfs.File{r, live, keep} {
		x.DecRef()
	}
	if flight.total != 0 || len(flight.holders) != 0 || ctx.Account.Used() != 0 {
		t.Errorf("left: %d files, %d holders, %d bytes", flight.total, len(flight.holders), ctx.Account.Used())
	}
}

type sleeper chan struct{}

func (s sleeper) Notify(*wait.Entry, wait.Mask) {
	select {
	case s <- struct{}{}:
	default:
	}
}

func (s sleeper) Sleep(deadline time.Time) error {
	if deadline.IsZero() {
		deadline = time.Now().Add(10 * time.Second)
	}
	select {
	case <-s:
		return nil
	case <-time.After(time.Until(deadline)):
		return abi.ETIMEDOUT
	}
}

func TestBlocking(t *testing.T) {
	ctx, ctx2 := testContext(), testContext()
	ctx.Sleeper, ctx2.Sleeper = make(sleeper, 1), make(sleeper, 1)
	ctx2.Account = ctx.Account
	a, b := filePair(t, ctx, abi.SOCK_STREAM)
	const total = 2 << 20
	done := make(chan int)
	go func() {
		n, err := socket.Send(ctx2, a, &socket.Message{Bufs: uio.One(make([]byte, total))})
		if err != nil {
			t.Error(err)
		}
		done <- n
	}()
	n, err := socket.Recv(ctx, b, &socket.Message{Bufs: uio.One(make([]byte, total)), Flags: abi.MSG_WAITALL})
	if n != total || err != nil || <-done != total {
		t.Fatalf("received %d %v", n, err)
	}
	s, _ := socket.Of(b)
	if err := s.(socket.Optioner).SetOption(ctx, abi.SOL_SOCKET, abi.SO_RCVTIMEO_OLD,
		timeval(abi.Timeval{Usec: 1000})); err != nil {
		t.Fatal(err)
	}
	if _, err := socket.Recv(ctx, b, &socket.Message{Bufs: uio.One(make([]byte, 1))}); err != abi.EAGAIN {
		t.Fatalf("timeout: %v", err)
	}
	a.DecRef()
	if n, err := socket.Recv(ctx, b, &socket.Message{Bufs: uio.One(make([]byte, 1))}); n != 0 || err != nil {
		t.Fatalf("end: %d %v", n, err)
	}
	b.DecRef()
}

func TestAddresses(t *testing.T) {
	for _, c := range []struct {
		in   string
		name string
		err  error
	}{
		{"\x01\x00abc", "abc", nil},
		{"\x01\x00abc\x00def", "abc", nil},
		{"\x01\x00\x00a\x00b", "\x00a\x00b", nil},
		{"\x01\x00", "", nil},
		{"\x01", "", abi.EINVAL},
		{"\x02\x00abc", "", abi.EINVAL},
		{"\x01\x00" + string(make([]byte, 109)), "", abi.EINVAL},
	} {
		if name, err := parseAddr([]byte(c.in)); string(name) != c.name || err != c.err {
			t.Errorf("%q: %q %v", c.in, name, err)
		}
	}
}
