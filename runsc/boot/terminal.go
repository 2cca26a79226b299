package boot

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"time"

	"golang.org/x/sys/unix"

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
	fd     int // host
	host   *vfs.File
	master *vfs.File
	ctx    *vfs.Context // for the pumps; they take turns with ctxMu
	pumps  sync.WaitGroup

	mu   sync.Mutex
	size unix.Winsize
}

// intArg is an ioctl's argument in the kernel's own memory.
type intArg struct{ b [8]byte }

// CopyIn implements uio.Memory.
func (a *intArg) CopyIn(_ abi.Addr, dst []byte) error { copy(dst, a.b[:]); return nil }

// CopyOut implements uio.Memory.
func (a *intArg) CopyOut(_ abi.Addr, src []byte) error { copy(a.b[:], src); return nil }

// openTerminal gives t a controlling terminal that is joined to the host's fd. It returns
// the slave, which becomes t's stdio, and its name.
func (c *container) openTerminal(t *kernel.Task, fd int) (slave *vfs.File, name string, err error) {
	if err := makeRaw(fd); err != nil {
		return nil, "", err
	}
	ctx := t.Ctx()
	root := ctx.FS.Root()
	master, err := vfs.OpenAt(ctx, root, "/dev/ptmx", vfs.OpenHow{Flags: abi.O_RDWR | abi.O_NOCTTY})
	if err != nil {
		return nil, "", fmt.Errorf("process.terminal: open /dev/ptmx: %w; mount devpts on /dev/pts", describe(err))
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
		return nil, "", fmt.Errorf("process.terminal: %w", err)
	}
	host, err := hostfile.NewFile(ctx, c.s.notifier, fd)
	if err != nil {
		master.DecRef()
		slave.DecRef()
		return nil, "", fmt.Errorf("process.terminal: %w", err)
	}
	term := &terminal{fd: fd, host: host, master: master, ctx: c.kernelCtx()}
	term.resize()
	term.pumps.Add(2)
	go term.pump(host, master, term.hangUp)
	go term.pump(master, host, nil)
	go term.finish()
	c.terminals.add(t, term)
	return slave, name, nil
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

// pump copies from one file to the other until one of them ends; then it calls end.
func (x *terminal) pump(from, to *vfs.File, end func()) {
	defer x.pumps.Done()
	s := kernel.NewOutsideSleeper()
	ctx := *x.ctx
	buf := make([]byte, 4096)
	for {
		n, err := ready(s, from, wait.In|wait.Hup|wait.Err|wait.RdHup, func() (int, error) { return from.Read(&ctx, uio.One(buf)) })
		if err != nil || n == 0 {
			break
		}
		if from == x.host {
			x.resize() // no signal tells of a change that the host's side made alone
		}
		for done := 0; done < n; {
			k, err := ready(s, to, wait.Out|wait.Hup|wait.Err, func() (int, error) { return to.Write(&ctx, uio.One(buf[done:n])) })
			if err != nil {
				n = 0
				break
			}
			done += k
		}
		if n == 0 {
			break
		}
	}
	if end != nil {
		end()
	}
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

// hangUp is the end of the host's side: the session gets SIGHUP.
func (x *terminal) hangUp() { x.master.DecRef() }

// finish closes the host's side when the application has closed its own.
func (x *terminal) finish() {
	x.pumps.Wait()
	x.host.DecRef()
}

// resize takes the window size over from the host.
func (x *terminal) resize() {
	w, err := unix.IoctlGetWinsize(x.fd, unix.TIOCGWINSZ)
	if err != nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if *w == x.size {
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
	}
}

// drainTime bounds how long the end of a process waits for its terminal's reader.
const drainTime = 2 * time.Second

// drain waits until the output is with the host. Other processes may still hold the
// terminal open, and its reader may be gone: the wait is bounded.
func (x *terminal) drain() {
	done := make(chan struct{})
	go func() {
		s := kernel.NewOutsideSleeper()
		_ = wait.Until(s, x.master.WaitQueue(), wait.All, time.Now().Add(drainTime), func() bool {
			return x.master.Poll()&wait.In == 0
		})
		close(done)
	}()
	<-done
}

// followWindow makes the first container's host terminal the controlling terminal of this
// process, so that the host says (SIGWINCH) when its window changes. Terminals of later
// processes are looked at when something is typed, or told by Resize.
func (s *Sentry) followWindow() {
	p := s.cfg.Spec.Process
	fd := s.cfg.StdioFDs[0]
	if p == nil || !p.Terminal || fd < 0 {
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
