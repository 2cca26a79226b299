package epoll

import (
	"testing"

	"lazaret/sentry/fs/pipe"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

type counter struct{ n int }

func (c *counter) Notify(*wait.Entry, wait.Mask) { c.n++ }

// EPOLLEXCLUSIVE wakes one of the epolls that somebody waits in, and the others without it.
func TestExclusiveWakesOne(t *testing.T) {
	ctx := testContext()
	r, w, err := pipe.New(ctx, abi.O_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	defer r.DecRef()
	defer w.DecRef()
	var eps []*Epoll
	var waiters [4]counter
	var entries [4]wait.Entry
	for i, flags := range []uint32{abi.EPOLLEXCLUSIVE, abi.EPOLLEXCLUSIVE, abi.EPOLLEXCLUSIVE, 0} {
		f, err := New(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer f.DecRef()
		eps = append(eps, Of(f))
		if err := Of(f).Ctl(ctx, abi.EPOLL_CTL_ADD, 3, r, Event{Events: abi.EPOLLIN | flags}); err != nil {
			t.Fatal(err)
		}
		entries[i] = wait.Entry{Waiter: &waiters[i], Mask: wait.All}
		if i > 0 { // nobody waits in the first
			Of(f).queue.Add(&entries[i])
			defer Of(f).queue.Remove(&entries[i])
		}
	}
	check := func(want [4]int) {
		t.Helper()
		write(t, ctx, w)
		for i := range waiters {
			if waiters[i].n != want[i] {
				t.Fatalf("epoll %d: %d wake-ups, want %v", i, waiters[i].n, want)
			}
		}
	}
	check([4]int{0, 1, 0, 1})
	if eps[0].Poll(nil) == 0 || eps[1].Poll(nil) == 0 || eps[2].Poll(nil) != 0 {
		t.Fatal("the event is not in the first two epolls")
	}
	eps[1].queue.Remove(&entries[1])
	read(t, ctx, r)
	check([4]int{0, 1, 1, 2})
}

func write(t *testing.T, ctx *vfs.Context, f *vfs.File) {
	t.Helper()
	if n, err := f.Ops.Write(ctx, f, uio.One([]byte("x")), nil); n != 1 || err != nil {
		t.Fatal(n, err)
	}
}

func read(t *testing.T, ctx *vfs.Context, f *vfs.File) {
	t.Helper()
	if n, err := f.Ops.Read(ctx, f, uio.One(make([]byte, 4)), nil); n != 1 || err != nil {
		t.Fatal(n, err)
	}
}
