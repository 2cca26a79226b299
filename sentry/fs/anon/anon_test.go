package anon

import (
	"fmt"
	"math/rand"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazaret/sentry/auth"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

func testContext() *vfs.Context {
	return &vfs.Context{Creds: &auth.Creds{UserNS: auth.NewInitial()}}
}

func result(n int, err error) string {
	if e, ok := err.(unix.Errno); ok {
		return abi.Errno(e).Error()
	}
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(n)
}

func hostPoll(fd int) wait.Mask {
	p := []unix.PollFd{{Fd: int32(fd), Events: abi.POLLIN | abi.POLLOUT | abi.POLLRDNORM | abi.POLLWRNORM}}
	unix.Poll(p, 0)
	return wait.Mask(uint16(p[0].Revents))
}

func TestEventFDAgainstHost(t *testing.T) {
	values := []uint64{0, 1, 2, 1 << 63, ^uint64(0), ^uint64(0) - 1, ^uint64(0) - 2, 1<<63 - 1}
	for seed := range int64(20) {
		rnd := rand.New(rand.NewSource(seed))
		flags := unix.EFD_NONBLOCK | unix.EFD_CLOEXEC | int(seed%2)
		fd, err := unix.Eventfd(uint(seed), flags)
		if err != nil {
			t.Fatal(err)
		}
		f, err := NewEventFD(testContext(), uint32(seed), uint32(flags))
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			n := 6 + rnd.Intn(5)
			hb, ob := make([]byte, n), make([]byte, n)
			var h, o string
			if rnd.Intn(2) == 0 {
				v := values[rnd.Intn(len(values))]
				for i := range hb[:min(n, 8)] {
					hb[i] = byte(v >> (8 * i))
				}
				h = "write " + result(unix.Write(fd, hb))
				o = "write " + result(f.Ops.Write(nil, f, uio.Bufs{hb[:3], hb[3:]}, nil))
			} else {
				h = "read " + result(unix.Read(fd, hb)) + fmt.Sprint(hb)
				o = "read " + result(f.Ops.Read(nil, f, uio.Bufs{ob[:2], ob[2:]}, nil)) + fmt.Sprint(ob)
			}
			h += fmt.Sprintf(" poll %#x", hostPoll(fd))
			o += fmt.Sprintf(" poll %#x", f.Ops.(vfs.Poller).Poll(f))
			if h != o {
				t.Fatalf("host %s, ours %s", h, o)
			}
		}
		unix.Close(fd)
	}
}

// clockwork is a Timers that a test turns by hand.
type clockwork struct {
	now int64
	at  int64
	l   TimerListener
}

func (c *clockwork) Now(int) int64 { return c.now }

func (c *clockwork) NewTimer(_ int, l TimerListener) Timer { c.l = l; return c }

func (c *clockwork) Set(at int64) { c.at = at }

func (c *clockwork) Stop() { c.at = 0 }

func (c *clockwork) advance(to int64) {
	c.now = to
	if c.at != 0 && c.at <= to {
		c.at = 0
		c.l.Expire()
	}
}

func TestTimerFD(t *testing.T) {
	c := &clockwork{now: 1000}
	f, err := NewTimerFD(testContext(), c, abi.CLOCK_MONOTONIC, 0)
	if err != nil {
		t.Fatal(err)
	}
	tfd := TimerFDOf(f)
	read := func() string {
		var b [8]byte
		if _, err := tfd.Read(nil, f, uio.One(b[:]), nil); err != nil {
			return err.Error()
		}
		return fmt.Sprint(b[0])
	}
	spec := func(v, i int64) Itimerspec { return Itimerspec{abi.NsecToTimespec(i), abi.NsecToTimespec(v)} }
	if _, err := tfd.Set(0, spec(100, 50)); err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		to   int64
		want string
		left int64
	}{
		{1050, "EAGAIN", 50}, {1100, "1", 50}, {1149, "EAGAIN", 1}, {1260, "3", 40}, {1300, "1", 50},
	}
	for _, s := range steps {
		c.advance(s.to)
		ready := tfd.Poll(f) == wait.In
		if got := read(); got != s.want || ready != (got != "EAGAIN") {
			t.Errorf("at %d: read %s, ready %v, want %s", s.to, got, ready, s.want)
		}
		if got := tfd.Get().Value.Nsec; got != s.left {
			t.Errorf("at %d: %d left, want %d", s.to, got, s.left)
		}
	}
	tfd.Set(abi.TFD_TIMER_ABSTIME, spec(1400, 0))
	c.advance(5000)
	if got := read(); got != "1" || read() != "EAGAIN" || tfd.Get() != spec(0, 0) {
		t.Errorf("absolute one-shot: %s", got)
	}
	if _, err := tfd.Set(0, Itimerspec{Value: abi.Timespec{Nsec: abi.NsecPerSec}}); err != abi.EINVAL {
		t.Errorf("bad time: %v", err)
	}
	if _, err := NewTimerFD(testContext(), c, abi.CLOCK_THREAD_CPUTIME_ID, 0); err != abi.EINVAL {
		t.Errorf("bad clock: %v", err)
	}
}

type signals struct {
	set   uint64
	queue wait.Queue
}

func (s *signals) Notify(*wait.Entry, wait.Mask) {}
func (s *signals) Sleep(time.Time) error         { return abi.ERESTARTSYS }
func (s *signals) PendingSignals() uint64        { return s.set }
func (s *signals) SignalQueue() *wait.Queue      { return &s.queue }
func (s *signals) DequeueSignal(m uint64) (SigInfo, bool) {
	for i := range 64 {
		if b := uint64(1) << i; s.set&m&b != 0 {
			s.set &^= b
			return SigInfo{byte(i + 1)}, true
		}
	}
	return SigInfo{}, false
}

func TestSignalFD(t *testing.T) {
	ctx := testContext()
	src := &signals{}
	ctx.Sleeper = src
	f, err := NewSignalFD(ctx, ^uint64(0)&^(1<<4), 0)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 300)
	if _, err := f.Ops.Read(ctx, f, uio.One(b), nil); err != abi.EAGAIN {
		t.Fatalf("empty: %v", err)
	}
	src.set = 1<<0 | 1<<4 | 1<<9 | 1<<11
	if n, err := f.Ops.Read(ctx, f, uio.Bufs{b[:100], b[100:]}, nil); n != 256 || b[0] != 1 || b[128] != 10 {
		t.Fatalf("read: %d %v %v", n, err, b)
	}
	if m := f.Ops.(vfs.Poller).Poll(f); m != wait.In {
		t.Errorf("poll: %#x", m)
	}
	if _, err := f.Ops.Read(ctx, f, uio.One(b[:127]), nil); err != abi.EINVAL {
		t.Errorf("short: %v", err)
	}
	SignalFDOf(f).SetMask(unblockable)
	if SignalFDOf(f).Mask() != 0 {
		t.Error("SIGKILL can be in the mask")
	}
}

// TestNoSeek: the offset of anonymous files does not move, and O_ASYNC means nothing to them.
func TestNoSeek(t *testing.T) {
	f, err := NewEventFD(testContext(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.DecRef()
	for _, c := range []struct {
		off    int64
		whence int
		err    error
	}{{0, abi.SEEK_SET, nil}, {5, abi.SEEK_CUR, nil}, {-5, abi.SEEK_END, nil}, {0, 9, abi.EINVAL}} {
		if pos, err := f.Seek(testContext(), c.off, c.whence); pos != 0 || err != c.err {
			t.Errorf("seek %d from %d: %d, %v", c.off, c.whence, pos, err)
		}
	}
	if err := f.SetStatusFlags(testContext(), abi.O_ASYNC|abi.O_NONBLOCK); err != nil || f.Flags()&abi.O_ASYNC != 0 || !f.NonBlocking() {
		t.Errorf("F_SETFL: %v, flags %#x", err, f.Flags())
	}
	if err := f.SetAsync(true); err != abi.ENOTTY {
		t.Errorf("FIOASYNC: %v", err)
	}
	if err := f.SetAsync(false); err != nil {
		t.Errorf("FIOASYNC off: %v", err)
	}
}
