package tty

import (
	"fmt"
	"math/rand"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// memory is application memory that starts at address 0.
type memory []byte

func (m memory) CopyIn(a abi.Addr, b []byte) error  { copy(b, m[a:]); return nil }
func (m memory) CopyOut(a abi.Addr, b []byte) error { copy(m[a:], b); return nil }

// world is a pseudoterminal twice: the host's and ours.
type world struct {
	t             *testing.T
	ctx           *vfs.Context
	hm, hs        int // the host's master and slave
	om, os        vfs.FileOps
	hout, oout    []byte // shown so far
	trace         []string
	fs            *vfs.File
	settleBetween time.Duration
	mayRetry      bool // a difference may be the host's worker that has not run yet
}

// difference is what same panics with when the case may be tried again.
type difference string

// compare runs a case. The host moves what was typed in a worker that nothing lets us
// wait for, so that on a busy machine a difference counts only if it is there when the
// host is given ample time.
func compare(t *testing.T, run func(w *world)) {
	t.Helper()
	try := func(settle time.Duration, last bool) (ok bool) {
		w := newWorld(t)
		w.settleBetween, w.mayRetry = settle, !last
		defer func() {
			if r := recover(); r != nil {
				if _, is := r.(difference); !is {
					panic(r)
				}
			}
		}()
		run(w)
		return true
	}
	_ = try(time.Millisecond, false) || try(10*time.Millisecond, false) || try(100*time.Millisecond, true)
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, ctx: &vfs.Context{}, settleBetween: time.Millisecond}
	var err error
	if w.hm, err = unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(w.hm, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(w.hm, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	if w.hs, err = unix.Open(fmt.Sprintf("/dev/pts/%d", n), unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0); err != nil {
		t.Fatal(err)
	}
	tt, m := NewPTY(136, 0, nil)
	if _, err := tt.Open(w.ctx, 0); err != abi.EIO {
		t.Fatalf("open of a locked terminal: %v", err)
	}
	mem := make(memory, 64)
	if _, err := m.Ioctl(w.ctx, nil, abi.TIOCSPTLCK, 0, mem); err != nil {
		t.Fatal(err)
	}
	if w.os, err = tt.Open(w.ctx, abi.O_NOCTTY); err != nil {
		t.Fatal(err)
	}
	w.om = m
	if w.fs, err = vfs.NewAnonFile(w.ctx, "s", nil, abi.O_RDWR|abi.O_NONBLOCK, vfs.ModeRead|vfs.ModeWrite|vfs.ModeStream); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.Close(w.hs)
		unix.Close(w.hm)
	})
	return w
}

func text(n int, err error) string {
	if e, ok := err.(unix.Errno); ok {
		return abi.Errno(e).Error()
	}
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(n)
}

func (w *world) same(what, host, ours string) {
	w.t.Helper()
	w.trace = append(w.trace, what+" = "+host)
	if host != ours {
		if w.mayRetry {
			panic(difference(what))
		}
		n := max(0, len(w.trace)-60)
		w.t.Fatalf("%s:\n host %s\n ours %s\n%s", what, host, ours, strings.Join(w.trace[n:], "\n"))
	}
}

// settle waits until the host's own worker has moved what was typed, and compares what
// both terminals show.
func (w *world) settle() {
	w.t.Helper()
	b := make([]byte, 8192)
	for {
		n, err := w.om.Read(w.ctx, nil, uio.One(b), nil)
		if err != nil || n == 0 {
			break
		}
		w.oout = append(w.oout, b[:n]...)
	}
	for range 50 {
		for {
			n, err := unix.Read(w.hm, b)
			if err != nil || n <= 0 {
				break
			}
			w.hout = append(w.hout, b[:n]...)
		}
		time.Sleep(w.settleBetween)
		if len(w.hout) >= len(w.oout) {
			if n, _ := unix.IoctlGetInt(w.hm, abi.FIONREAD); n == 0 {
				break
			}
		}
	}
	w.same("shown", fmt.Sprintf("%q", w.hout), fmt.Sprintf("%q", w.oout))
	w.hout, w.oout = nil, nil
}

func (w *world) typed(s string) {
	w.t.Helper()
	n, err := unix.Write(w.hm, []byte(s))
	on, oerr := w.om.Write(w.ctx, nil, uio.One([]byte(s)), nil)
	w.same(fmt.Sprintf("type %q", s), text(n, err), text(on, oerr))
	w.settle()
	time.Sleep(w.settleBetween)
}

func (w *world) read(n int) {
	w.t.Helper()
	hb, ob := make([]byte, n), make([]byte, n)
	hn, herr := unix.Read(w.hs, hb)
	on, oerr := w.os.Read(w.ctx, w.fs, uio.One(ob), nil)
	w.same(fmt.Sprintf("read %d", n), fmt.Sprintf("%s %q", text(hn, herr), hb[:max(hn, 0)]), fmt.Sprintf("%s %q", text(on, oerr), ob[:on]))
}

func (w *world) write(s string) {
	w.t.Helper()
	n, err := unix.Write(w.hs, []byte(s))
	on, oerr := w.os.Write(w.ctx, nil, uio.One([]byte(s)), nil)
	w.same(fmt.Sprintf("write %q", s), text(n, err), text(on, oerr))
	w.settle()
}

// awaitHost waits until the host's own worker has come as far as ours: until both masters
// poll the same, or for long enough that a difference is one.
func (w *world) awaitHost() {
	const mask = wait.In | wait.Hup | abi.POLLPRI
	for range 500 {
		time.Sleep(time.Millisecond)
		if hostPoll(w.hm, mask) == w.om.(vfs.Poller).Poll(nil)&mask {
			return
		}
	}
}

func hostPoll(fd int, mask wait.Mask) wait.Mask {
	p := []unix.PollFd{{Fd: int32(fd), Events: 0x7fff &^ abi.POLLMSG}}
	unix.Poll(p, 0)
	return wait.Mask(uint16(p[0].Revents)) & mask
}

func (w *world) poll() {
	w.t.Helper()
	const mask = wait.In | wait.Out | wait.Hup | wait.Err | abi.POLLRDNORM | abi.POLLWRNORM
	w.same("poll slave", fmt.Sprintf("%#x", hostPoll(w.hs, mask)), fmt.Sprintf("%#x", w.os.(vfs.Poller).Poll(nil)&mask))
	mem := make(memory, 8)
	n, _ := unix.IoctlGetInt(w.hs, abi.FIONREAD)
	w.os.(vfs.Ioctler).Ioctl(w.ctx, nil, abi.FIONREAD, 0, mem)
	w.same("FIONREAD", fmt.Sprint(n), fmt.Sprint(int(mem[0])|int(mem[1])<<8))
}

// set changes the settings of both terminals.
func (w *world) set(f func(*Termios)) {
	w.t.Helper()
	h, err := unix.IoctlGetTermios(w.hs, unix.TCGETS)
	if err != nil {
		w.t.Fatal(err)
	}
	mem := make(memory, 64)
	w.os.(vfs.Ioctler).Ioctl(w.ctx, nil, abi.TCGETS, 0, mem)
	var s Termios
	s.decode(mem[:termiosSize])
	if hs := fmt.Sprintf("%#x %#x %#x %#x % x", h.Iflag, h.Oflag, h.Cflag, h.Lflag, h.Cc[:17]); true {
		w.same("TCGETS", hs, fmt.Sprintf("%#x %#x %#x %#x % x", s.Iflag, s.Oflag, s.Cflag, s.Lflag, s.CC[:17]))
	}
	f(&s)
	h.Iflag, h.Oflag, h.Cflag, h.Lflag = s.Iflag, s.Oflag, s.Cflag, s.Lflag
	copy(h.Cc[:], s.CC[:])
	copy(mem, s.encode())
	herr := unix.IoctlSetTermios(w.hs, unix.TCSETS, h)
	_, oerr := w.os.(vfs.Ioctler).Ioctl(w.ctx, nil, abi.TCSETS, 0, mem)
	w.same(fmt.Sprintf("TCSETS %#x %#x %#x", s.Iflag, s.Oflag, s.Lflag), text(0, herr), text(0, oerr))
	w.settle()
}

func TestDefaultSettings(t *testing.T) {
	w := newWorld(t)
	w.set(func(*Termios) {})
}

func TestLineEditing(t *testing.T) {
	for _, keys := range []string{
		"abc\n", "abc\r", "abc\x7f\x7fX\n", "one two\x17three\n", "abc\x15def\n", "\x7f\n", "a\x04", "\x04", "abc\x04\x04",
		"a\x16\x03b\n", "a\tb\x7f\x7f\x7fc\n", "\x01\x02\x7f\n", "ab\x12cd\n", "x\x03y\n", "x\x1cy\n", "x\x1ay\n",
		"a\x13b\x11c\n", "caf\xc3\xa9\x7f\n", "\xc3\xa9\xc3\xa9\x7f\x7f\x7f\n", "foo_bar baz!\x17\x17\n", "\x1b[A\n", "a\x00b\n", "\xff\n",
		"12345678\t9\x7f\x7f\n", "a\x0fb\n", "tab\t\t\x7f\x7f\x7f\n",
	} {
		for _, iutf8 := range []bool{false, true} {
			compare(t, func(w *world) {
				w.set(func(s *Termios) {
					if iutf8 {
						s.Iflag |= abi.IUTF8
					}
				})
				w.typed(keys)
				w.poll()
				for range 4 {
					w.read(20)
					w.poll()
				}
			})
		}
	}
}

func TestAgainstHost(t *testing.T) {
	iflags := []uint32{abi.ICRNL, abi.INLCR, abi.IGNCR, abi.ISTRIP, abi.IUCLC, abi.IXON, abi.IXANY, abi.IUTF8, abi.IMAXBEL, abi.PARMRK}
	oflags := []uint32{abi.OPOST, abi.ONLCR, abi.OCRNL, abi.ONOCR, abi.ONLRET, abi.OLCUC, abi.TAB3}
	lflags := []uint32{abi.ICANON, abi.ICANON, abi.ECHO, abi.ECHOE, abi.ECHOK, abi.ECHOCTL, abi.ECHOKE, abi.ECHONL, abi.ECHOPRT, abi.NOFLSH, abi.IEXTEN, abi.ISIG}
	keys := []string{"a", "b", " ", "\n", "\r", "\t", "\b", "\x7f", "\x15", "\x17", "\x04", "\x16", "\x12", "\x03", "\x1a", "A", "Zz", "_", "\x00",
		"\xff", "\xc3\xa9", "\xe2\x82\xac", "\x80", "\x1b[A", "hello world", "!", "\x05", "\x06"}
	flip := func(rnd *rand.Rand, f *uint32, from []uint32) {
		if rnd.Intn(2) == 0 {
			*f ^= from[rnd.Intn(len(from))]
		}
	}
	for seed := range int64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			compare(t, func(w *world) {
				rnd := rand.New(rand.NewSource(seed))
				for range 12 {
					w.set(func(s *Termios) {
						for range 3 {
							flip(rnd, &s.Iflag, iflags)
							flip(rnd, &s.Oflag, oflags)
							flip(rnd, &s.Lflag, lflags)
						}
						s.CC[abi.VEOL], s.CC[abi.VEOL2] = 5, 6
						s.CC[abi.VMIN] = byte(rnd.Intn(3))
						s.CC[abi.VTIME] = byte(rnd.Intn(2))
					})
					for range 4 {
						var b strings.Builder
						for range 1 + rnd.Intn(5) {
							b.WriteString(keys[rnd.Intn(len(keys))])
						}
						switch rnd.Intn(4) {
						case 0:
							w.write(b.String())
						case 1:
							w.read(1 + rnd.Intn(8))
						default:
							w.typed(b.String())
						}
						w.poll()
					}
				}
			})
		})
	}
}

func TestHangup(t *testing.T) {
	w := newWorld(t)
	w.typed("line\npart")
	unix.Close(w.hm)
	w.om.Release(nil)
	w.hm, _ = unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	w.read(10)
	n, err := unix.Write(w.hs, []byte("x"))
	on, oerr := w.os.Write(w.ctx, nil, uio.One([]byte("x")), nil)
	w.same("write", text(n, err), text(on, oerr))
	const mask = wait.In | wait.Out | wait.Hup | wait.Err
	w.same("poll", fmt.Sprintf("%#x", hostPoll(w.hs, mask)), fmt.Sprintf("%#x", w.os.(vfs.Poller).Poll(nil)&mask))
	_, err = unix.IoctlGetTermios(w.hs, unix.TCGETS)
	_, oerr = w.os.(vfs.Ioctler).Ioctl(w.ctx, nil, abi.TCGETS, 0, make(memory, 64))
	w.same("TCGETS", text(0, err), text(0, oerr))
}

func TestSlaveClose(t *testing.T) {
	w := newWorld(t)
	w.os.Release(nil)
	unix.Close(w.hs)
	w.hs, _ = unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	w.awaitHost()
	b := make([]byte, 4)
	n, err := unix.Read(w.hm, b)
	on, oerr := w.om.Read(w.ctx, nil, uio.One(b), nil)
	w.same("read", text(n, err), text(on, oerr))
	const mask = wait.In | wait.Out | wait.Hup | wait.Err
	w.same("poll", fmt.Sprintf("%#x", hostPoll(w.hm, mask)), fmt.Sprintf("%#x", w.om.(vfs.Poller).Poll(nil)&mask))
}

func TestPacketMode(t *testing.T) {
	w := newWorld(t)
	unix.IoctlSetPointerInt(w.hm, abi.TIOCPKT, 1)
	w.om.(vfs.Ioctler).Ioctl(w.ctx, nil, abi.TIOCPKT, 0, memory{1, 0, 0, 0})
	step := func(what string) {
		t.Helper()
		w.awaitHost()
		for {
			hb, ob := make([]byte, 32), make([]byte, 32)
			hn, herr := unix.Read(w.hm, hb)
			on, oerr := w.om.Read(w.ctx, nil, uio.One(ob), nil)
			w.same(what, fmt.Sprintf("%s %q", text(hn, herr), hb), fmt.Sprintf("%s %q", text(on, oerr), ob))
			if herr != nil {
				return
			}
		}
	}
	step("nothing")
	unix.Write(w.hs, []byte("hello\n"))
	w.os.Write(w.ctx, nil, uio.One([]byte("hello\n")), nil)
	step("data")
	for _, k := range []string{"a\x13", "\x11", "\x03"} {
		unix.Write(w.hm, []byte(k))
		w.om.Write(w.ctx, nil, uio.One([]byte(k)), nil)
		step(fmt.Sprintf("%q", k))
	}
	for _, on := range []bool{false, true} {
		h, _ := unix.IoctlGetTermios(w.hs, unix.TCGETS)
		mem := make(memory, 64)
		w.os.(vfs.Ioctler).Ioctl(w.ctx, nil, abi.TCGETS, 0, mem)
		var s Termios
		s.decode(mem[:termiosSize])
		h.Iflag &^= unix.IXON
		s.Iflag &^= abi.IXON
		if on {
			h.Iflag |= unix.IXON
			s.Iflag |= abi.IXON
		}
		unix.IoctlSetTermios(w.hs, unix.TCSETS, h)
		copy(mem, s.encode())
		w.os.(vfs.Ioctler).Ioctl(w.ctx, nil, abi.TCSETS, 0, mem)
		step("IXON")
	}
}

func TestBounded(t *testing.T) {
	tt, m := NewPTY(136, 0, nil)
	tt.ptLocked = false
	ctx := &vfs.Context{}
	s, err := tt.Open(ctx, abi.O_NOCTTY)
	if err != nil {
		t.Fatal(err)
	}
	big := uio.One(make([]byte, 1<<20))
	tt.termios.Lflag &^= abi.ICANON
	for range 10 {
		m.Write(ctx, nil, big, nil)
		s.Write(ctx, nil, big, nil)
	}
	if n := len(tt.in.queue) + len(tt.in.buf) + len(tt.out.buf); n > inputSize+queueSize+outputSize+echoRoom {
		t.Errorf("%d bytes buffered", n)
	}
	if _, err := s.Write(ctx, nil, big, nil); err != abi.EAGAIN {
		t.Errorf("write to a full terminal: %v", err)
	}
	tt.termios.Lflag |= abi.ICANON
	m.Release(nil)
}
