package epoll

import (
	"fmt"
	"math/rand"
	"sort"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazaret/sentry/auth"
	"lazaret/sentry/fs/pipe"
	"lazaret/sentry/memfile"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

func testContext() *vfs.Context {
	return &vfs.Context{Creds: &auth.Creds{UserNS: auth.NewInitial()}, Account: &memfile.Account{}}
}

// world is a set of pipes and epolls twice: the host's and ours. Object i is file i.
type world struct {
	t     *testing.T
	ctx   *vfs.Context
	host  []int
	files []*vfs.File
	eps   []int // indexes of epolls
	open  []bool
}

func newWorld(t *testing.T, pipes, epolls int) *world {
	w := &world{t: t, ctx: testContext()}
	for range pipes {
		var p [2]int
		if err := unix.Pipe2(p[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		r, wr, err := pipe.New(w.ctx, abi.O_NONBLOCK)
		if err != nil {
			t.Fatal(err)
		}
		w.host = append(w.host, p[0], p[1])
		w.files = append(w.files, r, wr)
	}
	for range epolls {
		fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		w.eps = append(w.eps, len(w.host))
		w.host = append(w.host, fd)
		f, err := New(w.ctx)
		if err != nil {
			t.Fatal(err)
		}
		w.files = append(w.files, f)
	}
	w.open = make([]bool, len(w.host))
	for i := range w.open {
		w.open[i] = true
	}
	t.Cleanup(func() {
		for i := range w.open {
			w.close(i)
		}
		if u := w.ctx.Account.Used(); u != 0 {
			t.Errorf("%d bytes still charged", u)
		}
	})
	return w
}

func (w *world) close(i int) {
	if w.open[i] {
		w.open[i] = false
		unix.Close(w.host[i])
		w.files[i].DecRef()
	}
}

func errText(err error) string {
	if e, ok := err.(unix.Errno); ok {
		return abi.Errno(e).Error()
	}
	return fmt.Sprint(err)
}

func (w *world) ctl(ep, op, target int, events uint32) string {
	w.t.Helper()
	hev := unix.EpollEvent{Events: events, Fd: int32(target)}
	h := errText(unix.EpollCtl(w.host[ep], op, w.host[target], &hev))
	o := errText(Of(w.files[ep]).Ctl(w.ctx, op, int32(target), w.files[target], Event{events, uint64(target)}))
	if h != o {
		w.t.Fatalf("epoll_ctl(%d, %d, %d, %#x): host %s, ours %s", ep, op, target, events, h, o)
	}
	return o
}

func (w *world) wait(ep, max int) {
	w.t.Helper()
	hev := make([]unix.EpollEvent, max)
	n, err := unix.EpollWait(w.host[ep], hev, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	var h, o []string
	for _, e := range hev[:n] {
		h = append(h, fmt.Sprintf("%d:%#x", e.Fd, e.Events))
	}
	oev := make([]Event, max)
	for _, e := range oev[:Of(w.files[ep]).Collect(oev)] {
		o = append(o, fmt.Sprintf("%d:%#x", e.Data, e.Events))
	}
	// The order among items that became ready together is not Linux's promise.
	sort.Strings(h)
	sort.Strings(o)
	if max > len(w.files) && strings.Join(h, " ") != strings.Join(o, " ") || len(h) != len(o) {
		w.t.Fatalf("epoll_wait(%d, max %d): host %v, ours %v", ep, max, h, o)
	}
}

func TestAgainstHost(t *testing.T) {
	const pipes, epolls = 4, 3
	masks := []uint32{abi.EPOLLIN, abi.EPOLLOUT, abi.EPOLLIN | abi.EPOLLOUT, 0, abi.EPOLLIN | abi.EPOLLRDHUP, abi.EPOLLPRI}
	mods := []uint32{0, 0, abi.EPOLLET, abi.EPOLLONESHOT, abi.EPOLLET | abi.EPOLLONESHOT, abi.EPOLLEXCLUSIVE}
	for seed := range int64(150) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewSource(seed))
			w := newWorld(t, pipes, epolls)
			for step := range 150 {
				ep := w.eps[rnd.Intn(epolls)]
				target := rnd.Intn(2 * pipes)
				if rnd.Intn(6) == 0 {
					target = w.eps[rnd.Intn(epolls)]
				}
				if !w.open[ep] || !w.open[target] {
					continue
				}
				switch k := rnd.Intn(20); {
				case k < 7:
					events := masks[rnd.Intn(len(masks))] | mods[rnd.Intn(len(mods))]
					w.ctl(ep, 1+rnd.Intn(3), target, events)
				case k < 12 && target < 2*pipes:
					w.transfer(target, 1+rnd.Intn(40000))
				case k == 19 && step > 100:
					w.close(target)
				}
				for _, e := range w.eps {
					if w.open[e] && rnd.Intn(2) == 0 {
						w.wait(e, 100)
					}
				}
			}
		})
	}
}

// transfer reads from or writes to the pipe end i.
func (w *world) transfer(i, n int) {
	b := make([]byte, n)
	f := w.files[i]
	if f.Mode&vfs.ModeRead != 0 {
		unix.Read(w.host[i], b)
		f.Ops.Read(w.ctx, f, uio.One(b), nil)
		return
	}
	unix.Write(w.host[i], b)
	f.Ops.Write(w.ctx, f, uio.One(b), nil)
}

func TestNesting(t *testing.T) {
	for seed := range int64(80) {
		rnd := rand.New(rand.NewSource(seed))
		w := newWorld(t, 0, 8)
		for range 60 {
			a, b := rnd.Intn(8), rnd.Intn(8)
			op := abi.EPOLL_CTL_ADD
			if rnd.Intn(5) == 0 {
				op = abi.EPOLL_CTL_DEL
			}
			w.ctl(a, op, b, abi.EPOLLIN)
		}
	}
}

func TestFairness(t *testing.T) {
	w := newWorld(t, 8, 1)
	ep := w.eps[0]
	for i := 1; i < 16; i += 2 {
		w.ctl(ep, abi.EPOLL_CTL_ADD, i, abi.EPOLLOUT)
	}
	seen := map[uint64]int{}
	for range 8 {
		var ev [1]Event
		if n := Of(w.files[ep]).Collect(ev[:]); n != 1 {
			t.Fatalf("collected %d", n)
		}
		seen[ev[0].Data]++
	}
	if len(seen) != 8 {
		t.Errorf("eight turns met %v", seen)
	}
}

func TestClosedFilesAreSwept(t *testing.T) {
	w := newWorld(t, 0, 1)
	ep := Of(w.files[0])
	for range 1000 {
		r, wr, _ := pipe.New(w.ctx, 0)
		if err := ep.Ctl(w.ctx, abi.EPOLL_CTL_ADD, 7, r, Event{Events: abi.EPOLLIN}); err != nil {
			t.Fatal(err)
		}
		r.DecRef()
		wr.DecRef()
	}
	if n := len(ep.items); n > 200 {
		t.Errorf("%d items of closed files", n)
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

func TestWaitManyThreads(t *testing.T) {
	w := newWorld(t, 4, 1)
	ep := Of(w.files[w.eps[0]])
	for i := 0; i < 8; i += 2 {
		w.ctl(w.eps[0], abi.EPOLL_CTL_ADD, i, abi.EPOLLIN|abi.EPOLLET)
	}
	const rounds = 2000
	var got atomic.Int64
	done := make(chan error, 4)
	for range 4 {
		go func() {
			s := make(sleeper, 1)
			ctx := testContext()
			var ev [4]Event
			for got.Load() < rounds {
				n, err := ep.Wait(s, ev[:], time.Now().Add(50*time.Millisecond))
				if err != nil {
					done <- err
					return
				}
				for _, e := range ev[:n] {
					b := make([]byte, 100)
					f := w.files[e.Data]
					for {
						n, err := f.Ops.Read(ctx, f, uio.One(b), nil)
						if err != nil || n == 0 {
							break
						}
						got.Add(int64(n))
					}
				}
			}
			done <- nil
		}()
	}
	for i := range rounds {
		f := w.files[1+2*(i%4)]
		f.Ops.Write(w.ctx, f, uio.One([]byte{1}), nil)
		if i%64 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	for range 4 {
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(60 * time.Second):
			t.Fatalf("%d of %d bytes seen", got.Load(), rounds)
		}
	}
}

func TestWaitTimeout(t *testing.T) {
	ep := newEpoll()
	n, err := ep.Wait(make(sleeper, 1), make([]Event, 1), time.Now().Add(time.Millisecond))
	if n != 0 || err != nil {
		t.Fatalf("%d %v", n, err)
	}
}
