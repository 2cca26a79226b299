package syscalls

import (
	"lazaret/sentry/fs/anon"
	"lazaret/sentry/fs/epoll"
	"lazaret/sentry/fs/pipe"
	"lazaret/sentry/kernel"
	"lazaret/sentry/kernel/clock"
	"lazaret/syscalls/abi"
	"math"
)

var pipeRows = []Row{
	full(abi.SYS_PIPE2, "pipe2", Pipe2, Buf, Hex),
	full(abi.SYS_EVENTFD2, "eventfd2", Eventfd2, Int, Hex),
	full(abi.SYS_EPOLL_CREATE1, "epoll_create1", EpollCreate1, Hex),
	full(abi.SYS_EPOLL_CTL, "epoll_ctl", EpollCtl, FD, Int, FD, Buf),
	full(abi.SYS_EPOLL_PWAIT, "epoll_pwait", EpollPwait, FD, Buf, Int, Int, Buf, Int),
	full(abi.SYS_EPOLL_PWAIT2, "epoll_pwait2", EpollPwait2, FD, Buf, Int, Buf, Buf, Int),
}

// Pipe2 is pipe2(2).
func Pipe2(t *kernel.Task, a *abi.Args) (uint64, error) {
	return done0(pipe2(t, a.Addr(0), a.Uint(1)))
}

func pipe2(t *kernel.Task, addr abi.Addr, flags uint32) error {
	if flags&^(abi.O_CLOEXEC|abi.O_NONBLOCK|abi.O_DIRECT) != 0 {
		return abi.EINVAL
	}
	r, w, err := pipe.New(t.Ctx(), flags)
	if err != nil {
		return err
	}
	return installPair(t, addr, r, w, flags&abi.O_CLOEXEC != 0)
}

// Eventfd2 is eventfd(2).
func Eventfd2(t *kernel.Task, a *abi.Args) (uint64, error) {
	flags := a.Uint(1)
	f, err := anon.NewEventFD(t.Ctx(), a.Uint(0), flags)
	if err != nil {
		return 0, err
	}
	return install(t, f, flags&abi.EFD_CLOEXEC != 0)
}

// EpollCreate1 is epoll_create1(2).
func EpollCreate1(t *kernel.Task, a *abi.Args) (uint64, error) {
	if a.Uint(0)&^abi.EPOLL_CLOEXEC != 0 {
		return 0, abi.EINVAL
	}
	f, err := epoll.New(t.Ctx())
	if err != nil {
		return 0, err
	}
	return install(t, f, a.Uint(0)&abi.EPOLL_CLOEXEC != 0)
}

// EpollCtl is epoll_ctl(2).
func EpollCtl(t *kernel.Task, a *abi.Args) (uint64, error) {
	var ev epoll.Event
	if a.Int(1) != abi.EPOLL_CTL_DEL {
		var raw [epollEventSize]byte
		if err := t.MM().CopyIn(a.Addr(3), raw[:]); err != nil {
			return 0, err
		}
		ev = epollEvent(raw[:])
	}
	ef, err := getFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer ef.DecRef()
	f, err := getFile(t, a.Int(2))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	ep := epoll.Of(ef)
	if !f.CanPoll() {
		return 0, abi.EPERM
	}
	if ep == nil || ef == f {
		return 0, abi.EINVAL
	}
	return done0(ep.Ctl(t.Ctx(), int(a.Int(1)), a.Int(2), f, ev))
}

// maxEpollEvents bounds what one call returns, so that the kernel's copy is bounded.
const maxEpollEvents = 1024

func epollWait(t *kernel.Task, a *abi.Args, to timeout) (uint64, error) {
	n := a.Int(2)
	if n <= 0 || n > math.MaxInt32/epollEventSize {
		return 0, abi.EINVAL
	}
	if !t.MM().AccessOK(a.Addr(1), uint64(n)*epollEventSize) {
		return 0, abi.EFAULT
	}
	f, err := getFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	ep := epoll.Of(f)
	if ep == nil {
		return 0, abi.EINVAL
	}
	events := make([]epoll.Event, min(n, maxEpollEvents))
	var got int
	if to.zero {
		got = ep.Collect(events)
	} else if got, err = ep.Wait(t, events, to.deadline); err != nil {
		if err == abi.ERESTARTSYS {
			err = abi.EINTR // epoll_wait(2) is never restarted
		}
		return 0, err
	}
	out := make([]byte, 0, got*epollEventSize)
	for i := range events[:got] {
		out = appendEpollEvent(out, &events[i])
	}
	return uint64(got), t.MM().CopyOut(a.Addr(1), out)
}

// millis makes a timeout of epoll_wait's milliseconds.
func millis(ms int32) timeout {
	if ms < 0 {
		return timeout{}
	}
	return timeout{zero: ms == 0, deadline: clock.After(int64(ms) * 1_000_000)}
}

// EpollPwait is epoll_pwait(2).
func EpollPwait(t *kernel.Task, a *abi.Args) (uint64, error) {
	return withMask(t, a.Addr(4), a.Size(5), func() (uint64, error) { return epollWait(t, a, millis(a.Int(3))) })
}

// EpollPwait2 is epoll_pwait2(2).
func EpollPwait2(t *kernel.Task, a *abi.Args) (uint64, error) {
	to, err := getTimeout(t, a.Addr(3))
	if err != nil {
		return 0, err
	}
	return withMask(t, a.Addr(4), a.Size(5), func() (uint64, error) { return epollWait(t, a, to) })
}
