package pipe

import (
	"bytes"
	"fmt"
	"math/rand"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazaret/sentry/auth"
	"lazaret/sentry/memfile"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

func testContext() *vfs.Context {
	return &vfs.Context{Creds: &auth.Creds{UserNS: auth.NewInitial()}, Account: &memfile.Account{}}
}

// pair is the same pipe twice: the host's and ours.
type pair struct {
	t      *testing.T
	ctx    *vfs.Context
	h      [2]int
	p      *Pipe
	r, w   *end
	packet bool
	ro, wo bool // open
}

func newPair(t *testing.T, packet bool) *pair {
	flags := unix.O_NONBLOCK | unix.O_CLOEXEC
	if packet {
		flags |= unix.O_DIRECT
	}
	x := &pair{t: t, ctx: testContext(), packet: packet, ro: true, wo: true}
	if err := unix.Pipe2(x.h[:], flags); err != nil {
		t.Fatal(err)
	}
	x.p = NewPipe()
	x.r, x.w = newEnds(x.p)
	return x
}

func (x *pair) close() {
	x.closeEnd(0)
	x.closeEnd(1)
	if u := x.ctx.Account.Used(); u != 0 {
		x.t.Errorf("%d bytes still charged", u)
	}
}

func (x *pair) closeEnd(i int) {
	switch {
	case i == 0 && x.ro:
		x.ro = false
		x.r.Release(nil)
		unix.Close(x.h[0])
	case i == 1 && x.wo:
		x.wo = false
		x.w.Release(nil)
		unix.Close(x.h[1])
	}
}

func result(n int, err error) string {
	if err == nil {
		return fmt.Sprint(n)
	}
	if e, ok := err.(unix.Errno); ok {
		return abi.Errno(e).Error()
	}
	return err.Error()
}

func (x *pair) same(what, host, ours string) {
	x.t.Helper()
	if host != ours {
		x.t.Fatalf("%s: host %s, ours %s", what, host, ours)
	}
}

func (x *pair) write(b []byte) {
	x.t.Helper()
	if !x.wo {
		return
	}
	h := result(unix.Write(x.h[1], b))
	x.same(fmt.Sprintf("write %d", len(b)), h, result(x.p.Write(x.ctx, uio.One(b), x.packet)))
}

func (x *pair) read(n int) {
	x.t.Helper()
	if !x.ro {
		return
	}
	hb, ob := make([]byte, n), make([]byte, n)
	hn, herr := unix.Read(x.h[0], hb)
	on, oerr := x.p.Read(uio.Bufs{ob[:n/3], ob[n/3:]})
	x.same(fmt.Sprintf("read %d", n), result(hn, herr), result(on, oerr))
	if !bytes.Equal(hb, ob) {
		x.t.Fatal("different bytes read")
	}
}

func hostPoll(fd int) wait.Mask {
	const all = abi.POLLIN | abi.POLLOUT | abi.POLLPRI | abi.POLLRDNORM | abi.POLLWRNORM | abi.POLLRDHUP
	p := []unix.PollFd{{Fd: int32(fd), Events: all}}
	unix.Poll(p, 0)
	return wait.Mask(uint16(p[0].Revents))
}

func (x *pair) poll() {
	x.t.Helper()
	if x.ro {
		x.same("poll reader", fmt.Sprintf("%#x", hostPoll(x.h[0])), fmt.Sprintf("%#x", x.r.Poll(nil)))
	}
	if x.wo {
		x.same("poll writer", fmt.Sprintf("%#x", hostPoll(x.h[1])), fmt.Sprintf("%#x", x.w.Poll(nil)))
	}
}

func (x *pair) queued() {
	x.t.Helper()
	if !x.ro {
		return
	}
	n, err := unix.IoctlGetInt(x.h[0], abi.FIONREAD)
	x.same("FIONREAD", result(n, err), result(x.p.Queued(), nil))
}

func (x *pair) resize(n int) {
	x.t.Helper()
	fd := x.h[0]
	if !x.ro {
		fd = x.h[1]
	}
	h := result(unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, n))
	x.same(fmt.Sprintf("F_SETPIPE_SZ %d", n), h, result(x.p.SetSize(x.ctx, uint64(n))))
}

func TestAgainstHost(t *testing.T) {
	sizes := []int{0, 1, 3, 100, 4095, 4096, 4097, 5000, 8192, 20000, 65536, 70000}
	for seed := range int64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewSource(seed))
			x := newPair(t, seed%4 == 3)
			defer x.close()
			steps := 200
			for i := range steps {
				b := make([]byte, sizes[rnd.Intn(len(sizes))])
				rnd.Read(b)
				switch k := rnd.Intn(20); {
				case k < 8:
					x.write(b)
				case k < 16:
					x.read(len(b))
				case k == 17 && (x.ro || x.wo):
					x.resize([]int{0, 1, 4096, 5000, 65536, 131072, 1 << 20}[rnd.Intn(7)])
				case k == 18 && i > steps*3/4:
					x.closeEnd(rnd.Intn(2))
				}
				if x.ro || x.wo {
					x.poll()
					x.queued()
				}
			}
		})
	}
}

func TestSetSizeLimits(t *testing.T) {
	p := NewPipe()
	ctx := testContext()
	for _, c := range []struct {
		arg  uint64
		want string
	}{{0, "4096"}, {1 << 20, "1048576"}, {1<<20 + 1, "EPERM"}, {1<<31 + 1, "EINVAL"}, {1 << 63, "EINVAL"}} {
		if got := result(p.SetSize(ctx, c.arg)); got != c.want {
			t.Errorf("SetSize(%d) = %s, want %s", c.arg, got, c.want)
		}
	}
}

func TestTeeAndSplice(t *testing.T) {
	ctx := testContext()
	a, b := NewPipe(), NewPipe()
	ar, aw := newEnds(a)
	br, bw := newEnds(b)
	a.Write(ctx, uio.One([]byte("hello world")), false)
	if n, err := a.Tee(b, 5); n != 5 || err != nil {
		t.Fatalf("tee: %d %v", n, err)
	}
	a.Write(ctx, uio.One([]byte("!")), false) // the shared page must not be written through
	b.Write(ctx, uio.One([]byte("?")), false)
	if n, err := a.ToPipe(b, 6); n != 6 || err != nil {
		t.Fatalf("splice: %d %v", n, err)
	}
	got := make([]byte, 64)
	n, _ := b.Read(uio.One(got))
	if string(got[:n]) != "hello?hello " {
		t.Errorf("b holds %q", got[:n])
	}
	n, _ = a.Read(uio.One(got))
	if string(got[:n]) != "world!" {
		t.Errorf("a holds %q", got[:n])
	}
	if _, err := a.ToPipe(b, 1); err != abi.EAGAIN || !a.SourceEmpty() {
		t.Errorf("splice of empty: %v", err)
	}
	if _, err := a.ToPipe(a, 1); err != abi.EINVAL {
		t.Errorf("splice to itself: %v", err)
	}
	for _, e := range []*end{ar, aw, br, bw} {
		e.Release(nil)
	}
	if u := ctx.Account.Used(); u != 0 {
		t.Errorf("%d bytes still charged", u)
	}
}

func TestAccountLimit(t *testing.T) {
	ctx := testContext()
	ctx.Account.SetLimit(3 * abi.PageSize)
	p := NewPipe()
	r, w := newEnds(p)
	if got := result(p.Write(ctx, uio.One(make([]byte, 20000)), false)); got != "12288" {
		t.Errorf("write over the limit: %s", got)
	}
	if got := result(p.Write(ctx, uio.One(make([]byte, 20000)), false)); got != "ENOMEM" {
		t.Errorf("second write: %s", got)
	}
	r.Release(nil)
	w.Release(nil)
}

type sleeper chan struct{}

func (s sleeper) Notify(*wait.Entry, wait.Mask) {
	select {
	case s <- struct{}{}:
	default:
	}
}

func (s sleeper) Sleep(time.Time) error {
	select {
	case <-s:
		return nil
	case <-time.After(20 * time.Second):
		return abi.ERESTARTSYS
	}
}

// signalled is a task that a signal wakes from any sleep.
type signalled struct{ sleeper }

func (signalled) Sleep(time.Time) error { return abi.ERESTARTSYS }

func sleeping() *vfs.Context {
	c := testContext()
	c.Sleeper = make(sleeper, 1)
	return c
}

func TestFIFOOpen(t *testing.T) {
	const r, w = vfs.ModeRead, vfs.ModeWrite
	p := NewPipe()
	if _, err := p.Open(sleeping(), w, abi.O_NONBLOCK); err != abi.ENXIO {
		t.Fatalf("writer without reader: %v", err)
	}
	c := testContext()
	c.Sleeper = signalled{make(sleeper, 1)}
	if _, err := p.Open(c, r, 0); err != abi.ERESTARTSYS {
		t.Fatalf("interrupted reader: %v", err)
	}
	rd, err := p.Open(testContext(), r, abi.O_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	if m := rd.(vfs.Poller).Poll(nil); m != 0 {
		t.Errorf("reader before any writer: %#x", m)
	}
	wr, err := p.Open(testContext(), w, 0)
	if err != nil {
		t.Fatal(err)
	}
	wr.Release(nil)
	if m := rd.(vfs.Poller).Poll(nil); m != wait.Hup {
		t.Errorf("reader after the writer: %#x", m)
	}
	rd.Release(nil)
	rw, err := p.Open(testContext(), r|w, 0)
	if err != nil {
		t.Fatal(err)
	}
	rw.Release(nil)

	done := make(chan error)
	go func() {
		e, err := p.Open(sleeping(), r, 0)
		if err == nil {
			e.Release(nil)
		}
		done <- err
	}()
	e, err := p.Open(sleeping(), w, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	e.Release(nil)
}

// passing is a reader that comes and goes as soon as the writer is there.
type passing struct{ p *Pipe }

func (r passing) Notify(*wait.Entry, wait.Mask) {
	r.p.mu.Lock()
	r.p.addEndsLocked(vfs.ModeRead)
	r.p.mu.Unlock()
	r.p.dropEnds(vfs.ModeRead)
}

// A writer need not see its reader: that there was one is enough.
func TestFIFOPartnerGone(t *testing.T) {
	p := NewPipe()
	e := wait.Entry{Waiter: passing{p}, Mask: wait.In}
	p.opens.Add(&e)
	defer p.opens.Remove(&e)
	c := testContext()
	c.Sleeper = signalled{make(sleeper, 1)}
	w, err := p.Open(c, vfs.ModeWrite, 0)
	if err != nil {
		t.Fatal(err)
	}
	w.Release(nil)
}
