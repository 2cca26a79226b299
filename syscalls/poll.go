package syscalls

import (
	"time"

	"lazaret/sentry/kernel"
	"lazaret/sentry/kernel/clock"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

var pollRows = []Row{
	full(abi.SYS_PPOLL, "ppoll", Ppoll, Buf, Int, Buf, Buf, Int),
	full(abi.SYS_PSELECT6, "pselect6", Pselect6, Int, Buf, Buf, Buf, Buf, Buf),
}

// pollFD is struct pollfd.
type pollFD struct {
	FD              int32
	Events, Revents int16
}

// pollWait is one file that a poll waits for.
type pollWait struct {
	file  *vfs.File
	mask  wait.Mask
	entry wait.Entry
}

// always are the events that are reported without being asked for.
const always = wait.Err | wait.Hup

// pollFiles waits until one of the files is ready, and returns how many are; ready[i] is
// what is true of files[i]. A nil file is never ready. The result is 0 at the deadline.
func pollFiles(t *kernel.Task, files []pollWait, ready []wait.Mask, deadline time.Time, block bool) (int, error) {
	check := func() int {
		n := 0
		for i := range files {
			ready[i] = 0
			if files[i].file == nil {
				continue
			}
			if ready[i] = files[i].file.Poll() & (files[i].mask | always); ready[i] != 0 {
				n++
			}
		}
		return n
	}
	n := check()
	if n > 0 || !block {
		return n, nil
	}
	for i := range files {
		if f := &files[i]; f.file != nil {
			if q := f.file.WaitQueue(); q != nil {
				f.entry = wait.Entry{Waiter: t, Mask: f.mask | always}
				q.Add(&f.entry)
				defer q.Remove(&f.entry)
			}
		}
	}
	for {
		if n := check(); n > 0 {
			return n, nil
		}
		if err := t.Sleep(deadline); err != nil {
			if n := check(); n > 0 {
				return n, nil
			}
			if err == abi.ETIMEDOUT {
				return 0, nil
			}
			return 0, err
		}
	}
}

// poll is what poll(2) and ppoll(2) share. zero says that the timeout is zero.
func poll(t *kernel.Task, addr abi.Addr, n uint64, deadline time.Time, zero bool) (uint64, error) {
	if n > nofile(t) {
		return 0, abi.EINVAL
	}
	fds := make([]pollFD, n)
	if err := t.MM().CopyIn(addr, abi.SliceBytes(fds)); err != nil {
		return 0, err
	}
	files := make([]pollWait, n)
	defer releasePolled(files)
	invalid := 0
	for i := range fds {
		fds[i].Revents = 0
		if fds[i].FD < 0 {
			continue
		}
		f := t.Files().Get(fds[i].FD)
		if f == nil || f.Mode&vfs.ModePath != 0 {
			if f != nil {
				f.DecRef()
			}
			fds[i].Revents = abi.POLLNVAL
			invalid++
			continue
		}
		files[i] = pollWait{file: f, mask: wait.Mask(uint16(fds[i].Events))}
	}
	ready := make([]wait.Mask, n)
	count, err := pollFiles(t, files, ready, deadline, !zero && invalid == 0)
	if err != nil {
		return 0, err
	}
	for i := range fds {
		fds[i].Revents |= int16(ready[i])
	}
	return uint64(count + invalid), t.MM().CopyOut(addr, abi.SliceBytes(fds))
}

func releasePolled(files []pollWait) {
	for i := range files {
		if files[i].file != nil {
			files[i].file.DecRef()
		}
	}
}

// pollRestart goes on with a poll(2) after a stop: kernel.RestartBlock.
type pollRestart struct {
	Addr       abi.Addr
	N          uint64
	Forever    bool
	DeadlineNS int64 // CLOCK_MONOTONIC
}

// Restart polls until the deadline.
func (p *pollRestart) Restart(t *kernel.Task) (uint64, error) {
	var deadline time.Time
	zero := false
	if !p.Forever {
		left := p.DeadlineNS - t.Kernel().Clock.MonotonicNS()
		zero = left <= 0
		deadline = clock.After(left)
	}
	n, err := poll(t, p.Addr, p.N, deadline, zero)
	if err == abi.ERESTARTSYS {
		return 0, t.SetRestart(p)
	}
	return n, err
}

// Poll is poll(2), with a timeout in milliseconds.
func Poll(t *kernel.Task, a *abi.Args) (uint64, error) {
	p := &pollRestart{Addr: a.Addr(0), N: uint64(a.Uint(1)), Forever: a.Int(2) < 0}
	p.DeadlineNS = t.Kernel().Clock.MonotonicNS() + int64(a.Int(2))*1_000_000
	if a.Int(2) == 0 {
		return poll(t, p.Addr, p.N, time.Time{}, true)
	}
	return p.Restart(t)
}

// timeout is the timespec argument of ppoll and pselect6, which is written back with what
// is left.
type timeout struct {
	addr     abi.Addr
	deadline time.Time
	zero     bool
}

func getTimeout(t *kernel.Task, addr abi.Addr) (timeout, error) {
	d, err := deadlineAfter(t, addr)
	return timeout{addr, d, addr != 0 && time.Until(d) <= 0}, err
}

// left writes back the time that is left. Errors do not count, as on Linux.
func (x *timeout) left(t *kernel.Task) {
	if x.addr != 0 {
		ts := abi.NsecToTimespec(max(time.Until(x.deadline).Nanoseconds(), 0))
		_ = copyOut(t, x.addr, &ts)
	}
}

// withMask runs a call that waits under another signal mask: ppoll(2) and its like.
func withMask(t *kernel.Task, set abi.Addr, size uint64, call func() (uint64, error)) (uint64, error) {
	if set == 0 {
		return call()
	}
	mask, err := copySigset(t, set, size)
	if err != nil {
		return 0, err
	}
	t.SaveSignalMask(mask)
	n, err := call()
	if err != abi.ERESTARTNOHAND && err != abi.EINTR {
		t.RestoreSignalMask()
	}
	return n, err
}

// noHand makes a wait that a signal ended return EINTR if a handler ran, and start again
// otherwise.
func noHand(err error) error {
	if err == abi.ERESTARTSYS {
		return abi.ERESTARTNOHAND
	}
	return err
}

// Ppoll is ppoll(2).
func Ppoll(t *kernel.Task, a *abi.Args) (uint64, error) {
	to, err := getTimeout(t, a.Addr(2))
	if err != nil {
		return 0, err
	}
	return withMask(t, a.Addr(3), a.Size(4), func() (uint64, error) {
		n, err := poll(t, a.Addr(0), uint64(a.Uint(1)), to.deadline, to.zero)
		to.left(t)
		return n, noHand(err)
	})
}

// Pselect6 is pselect(2): its last argument is the address of a mask and its size.
func Pselect6(t *kernel.Task, a *abi.Args) (uint64, error) {
	to, err := getTimeout(t, a.Addr(4))
	if err != nil {
		return 0, err
	}
	var sig [2]uint64
	if addr := a.Addr(5); addr != 0 {
		if sig, err = copyIn[[2]uint64](t, addr); err != nil {
			return 0, err
		}
	}
	return withMask(t, abi.Addr(sig[0]), sig[1], func() (uint64, error) {
		n, err := selectFDs(t, a, to.deadline, to.zero)
		to.left(t)
		return n, noHand(err)
	})
}

// What the three sets of select(2) stand for.
const (
	selectIn  = wait.Mask(abi.POLLRDNORM|abi.POLLRDBAND|abi.POLLIN) | wait.Hup | wait.Err
	selectOut = wait.Mask(abi.POLLWRBAND|abi.POLLWRNORM|abi.POLLOUT) | wait.Err
	selectEx  = wait.Mask(abi.POLLPRI)
)

// selectFDs is what select(2) and pselect(2) share.
func selectFDs(t *kernel.Task, a *abi.Args, deadline time.Time, zero bool) (uint64, error) {
	n := a.Int(0)
	if n < 0 {
		return 0, abi.EINVAL
	}
	n = min(n, int32(t.Files().Size()))
	words := (int(n) + 63) / 64
	kinds := [3]wait.Mask{selectIn, selectOut, selectEx}
	var sets [3][]uint64
	for i := range sets {
		if addr := a.Addr(i + 1); addr != 0 {
			sets[i] = make([]uint64, words)
			if err := t.MM().CopyIn(addr, abi.SliceBytes(sets[i])); err != nil {
				return 0, err
			}
		}
	}
	var files []pollWait
	var fds []int32
	defer func() { releasePolled(files) }()
	for fd := int32(0); fd < n; fd++ {
		var mask wait.Mask
		for i := range sets {
			if sets[i] != nil && sets[i][fd/64]>>(fd%64)&1 != 0 {
				mask |= kinds[i]
			}
		}
		if mask == 0 {
			continue
		}
		f, err := getIOFile(t, fd)
		if err != nil {
			return 0, err
		}
		files = append(files, pollWait{file: f, mask: mask})
		fds = append(fds, fd)
	}
	ready := make([]wait.Mask, len(files))
	if _, err := pollFiles(t, files, ready, deadline, !zero); err != nil {
		return 0, err
	}
	count := uint64(0)
	for i := range sets {
		if sets[i] == nil {
			continue
		}
		out := make([]uint64, words)
		for j, fd := range fds {
			if ready[j]&kinds[i] != 0 && sets[i][fd/64]>>(fd%64)&1 != 0 {
				out[fd/64] |= 1 << (fd % 64)
				count++
			}
		}
		if err := t.MM().CopyOut(a.Addr(i+1), abi.SliceBytes(out)); err != nil {
			return 0, err
		}
	}
	return count, nil
}
