package boot

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"lazaret/runsc/sandbox"
	"lazaret/sentry/fs/hostfile"
	"lazaret/sentry/kernel"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// terminal joins the host terminal that runsc made for a process ("terminal": true) to a
// pseudoterminal of the container's own devpts: the application's terminal has a name in
// /dev/pts, and its line discipline and job control are the kernel's. The host side is raw.
type terminal struct {
	host   *vfs.File
	master *vfs.File
	ctx    *vfs.Context // each pump has a copy
	pumps  sync.WaitGroup
	moved  wait.Queue // who waits for output that is on its way

	// carrying says that output is between the pseudoterminal and the host; ended, that
	// the process has ended; over, that no other has the terminal open either.
	carrying, ended, over atomic.Bool

	mu   sync.Mutex
	fd   int // of host; NoFD when that is closed
	size unix.Winsize
}

// intArg is an ioctl's argument in the kernel's own memory.
type intArg struct{ b [8]byte }

// CopyIn implements uio.Memory.
func (a *intArg) CopyIn(_ abi.Addr, dst []byte) error { copy(dst, a.b[:]); return nil }

// CopyOut implements uio.Memory.
func (a *intArg) CopyOut(_ abi.Addr, src []byte) error { copy(a.b[:], src); return nil }

// openTerminal gives t a controlling terminal that is joined to the host's fd, which is
// taken. It returns the slave, which becomes t's stdio, and its name.
func (c *container) openTerminal(t *kernel.Task, fd *int) (slave *vfs.File, name string, err error) {
	if err := makeRaw(*fd); err != nil {
		return nil, "", err
	}
	master, slave, name, err := openPTY(t)
	if err != nil {
		return nil, "", err
	}
	n := takeFD(fd)
	host, err := hostfile.NewFile(t.Ctx(), c.s.notifier, n)
	if err != nil {
		master.DecRef()
		slave.DecRef()
		return nil, "", fmt.Errorf("process.terminal: %w", err)
	}
	term := &terminal{fd: n, host: host, master: master, ctx: c.kernelCtx()}
	term.resize()
	term.pumps.Add(2)
	go term.pumpInput()
	go term.pumpOutput()
	go term.finish()
	c.terminals.add(t, term)
	return slave, name, nil
}

// openPTY makes a pseudoterminal, t's controlling terminal.
func openPTY(t *kernel.Task) (master, slave *vfs.File, name string, err error) {
	ctx := t.Ctx()
	root := ctx.FS.Root()
	master, err = vfs.OpenAt(ctx, root, "/dev/ptmx", vfs.OpenHow{Flags: abi.O_RDWR | abi.O_NOCTTY})
	if err != nil {
		return nil, nil, "", fmt.Errorf("process.terminal: open /dev/ptmx: %w; mount devpts on /dev/pts", describe(err))
	}
	var arg intArg
	_, err = master.Ioctl(ctx, abi.TIOCSPTLCK, 1, &arg)
	if err == nil {
		_, err = master.Ioctl(ctx, abi.TIOCGPTN, 1, &arg)
	}
	if err == nil {
		name = fmt.Sprintf("/dev/pts/%d", binary.LittleEndian.Uint32(arg.b[:]))
		slave, err = vfs.OpenAt(ctx, root, name, vfs.OpenHow{Flags: abi.O_RDWR | abi.O_NOCTTY})
	}
	if err == nil {
		_, err = slave.Ioctl(ctx, abi.TIOCSCTTY, 0, &arg)
	}
	if err != nil {
		master.DecRef()
		if slave != nil {
			slave.DecRef()
		}
		return nil, nil, "", fmt.Errorf("process.terminal: %w", err)
	}
	return master, slave, name, nil
}

// makeRaw is cfmakeraw(3).
func makeRaw(fd int) error {
	tio, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return fmt.Errorf("process.terminal: the donated file is not a terminal: %w", err)
	}
	tio.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	tio.Oflag &^= unix.OPOST
	tio.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	tio.Cflag = tio.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	tio.Cc[unix.VMIN], tio.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, tio); err != nil {
		return fmt.Errorf("process.terminal: make it raw: %w", err)
	}
	return nil
}

// pumpInput passes on what is typed until either side ends. The end of the host's side is
// a hangup: the session gets SIGHUP.
func (x *terminal) pumpInput() {
	defer x.pumps.Done()
	defer x.master.DecRef()
	s := kernel.NewOutsideSleeper()
	ctx := *x.ctx
	buf := make([]byte, 4096)
	for {
		n, err := ready(s, x.host, wait.In|wait.Hup|wait.Err|wait.RdHup, func() (int, error) {
			if x.over.Load() {
				return 0, abi.EIO
			}
			return x.host.Read(&ctx, uio.One(buf))
		})
		if err != nil || n == 0 {
			return
		}
		x.resize() // no signal tells of a change that the host's side made alone
		// What is typed while nobody has the terminal open (EIO) is lost.
		_ = writeAll(s, &ctx, x.master, buf[:n])
	}
}

// pumpOutput shows what is written until the process has ended and the last file of its
// terminal is closed; then the other pump is told, so that the host's side sees the end.
func (x *terminal) pumpOutput() {
	defer x.pumps.Done()
	s := kernel.NewOutsideSleeper()
	ctx := *x.ctx
	buf := make([]byte, 4096)
	for {
		n, err := ready(s, x.master, wait.All, func() (int, error) {
			x.carrying.Store(true) // first: what is read is gone from there
			n, err := x.master.Read(&ctx, uio.One(buf))
			if err != nil || n == 0 {
				x.landed()
			}
			if err == abi.EIO && !x.ended.Load() {
				err = abi.EAGAIN // closed by all, but there is /dev/tty to open
			}
			return n, err
		})
		if err != nil || n == 0 || !writeAll(s, &ctx, x.host, buf[:n]) {
			break
		}
		x.landed()
	}
	x.over.Store(true)
	x.landed()
	x.host.WaitQueue().Notify(wait.Hup)
}

// landed says that all output that was read is with the host.
func (x *terminal) landed() {
	x.carrying.Store(false)
	x.moved.Notify(wait.All)
}

// writeAll writes all of b; false: it cannot.
func writeAll(s wait.Sleeper, ctx *vfs.Context, f *vfs.File, b []byte) bool {
	for len(b) > 0 {
		n, err := ready(s, f, wait.Out|wait.Hup|wait.Err, func() (int, error) { return f.Write(ctx, uio.One(b)) })
		if err != nil {
			return false
		}
		b = b[n:]
	}
	return true
}

// ready tries an operation until it does not say EAGAIN.
func ready(s wait.Sleeper, f *vfs.File, events wait.Mask, try func() (int, error)) (int, error) {
	var n int
	var err error
	q := f.WaitQueue()
	if q == nil {
		return try()
	}
	werr := wait.Until(s, q, events, time.Time{}, func() bool {
		n, err = try()
		return err != abi.EAGAIN
	})
	if werr != nil {
		return 0, werr
	}
	return n, err
}

// finish closes the host's side when the application has closed its own.
func (x *terminal) finish() {
	x.pumps.Wait()
	x.mu.Lock()
	x.fd = sandbox.NoFD
	x.mu.Unlock()
	x.host.DecRef()
}

// resize takes the window size over from the host.
func (x *terminal) resize() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.fd < 0 {
		return
	}
	w, err := unix.IoctlGetWinsize(x.fd, unix.TIOCGWINSZ)
	if err != nil || *w == x.size {
		return
	}
	x.size = *w
	x.setSize(w)
}

func (x *terminal) setSize(w *unix.Winsize) {
	var arg intArg
	for i, v := range [4]uint16{w.Row, w.Col, w.Xpixel, w.Ypixel} {
		binary.LittleEndian.PutUint16(arg.b[2*i:], v)
	}
	ctx := *x.ctx
	_, _ = x.master.Ioctl(&ctx, abi.TIOCSWINSZ, 1, &arg) // fails only once it has hung up
}

// terminals are the terminals of a container's processes.
type terminals struct {
	mu sync.Mutex
	m  map[*kernel.Task]*terminal
}

func (ts *terminals) add(t *kernel.Task, x *terminal) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.m == nil {
		ts.m = map[*kernel.Task]*terminal{}
	}
	ts.m[t] = x
}

func (ts *terminals) get(t *kernel.Task) *terminal {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	return ts.m[t]
}

// remove forgets t's terminal and waits until what it wrote last has reached the host.
func (ts *terminals) remove(t *kernel.Task) {
	ts.mu.Lock()
	x := ts.m[t]
	delete(ts.m, t)
	ts.mu.Unlock()
	if x != nil {
		x.drain()
		x.ended.Store(true)
		x.master.WaitQueue().Notify(wait.Hup)
	}
}

// drainTime bounds how long the end of a process waits for its terminal's reader.
const drainTime = 2 * time.Second

// drain waits until the output is with the host. Other processes may still hold the
// terminal open, and its reader may be gone: the wait is bounded.
func (x *terminal) drain() {
	_ = wait.Until(kernel.NewOutsideSleeper(), &x.moved, wait.All, time.Now().Add(drainTime), func() bool {
		return x.over.Load() || x.master.Poll()&wait.In == 0 && !x.carrying.Load()
	})
}

// followWindow makes the first container's host terminal the controlling terminal of this
// process, so that the host says (SIGWINCH) when its window changes. Terminals of later
// processes are looked at when something is typed, or told by Resize.
func (s *Sentry) followWindow() {
	spec, err := s.cfg.Spec()
	fd := s.cfg.StdioFDs[0]
	if err != nil || spec.Process == nil || !spec.Process.Terminal || fd < 0 {
		return
	}
	signal.Ignore(unix.SIGHUP) // the terminal's end is not this process's
	if unix.IoctlSetInt(fd, unix.TIOCSCTTY, 0) != nil {
		return // somebody else's terminal: it is looked at when something is typed
	}
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, unix.SIGWINCH)
	go func() {
		for range ch {
			s.resizeTerminals()
		}
	}()
}

func (s *Sentry) resizeTerminals() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.containers {
		c.terminals.resize()
	}
}

func (ts *terminals) resize() {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for _, x := range ts.m {
		x.resize()
	}
}
