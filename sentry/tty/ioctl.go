package tty

import (
	"encoding/binary"

	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// call is one ioctl.
type call struct {
	ctx    *vfs.Context
	t      *TTY
	master bool
	arg    abi.Addr
	mem    uio.Memory
}

// handlers are the ioctls of both ends. set: they change the terminal, which a background
// process may not (SIGTTOU).
var handlers = map[uint32]struct {
	f   func(*call, uint32) error
	set bool
}{
	abi.TCGETS: {(*call).getTermios, false}, abi.TCGETS2: {(*call).getTermios, false}, abi.TCGETA: {(*call).getTermios, false},
	abi.TCSETS: {(*call).setTermios, true}, abi.TCSETSW: {(*call).setTermios, true}, abi.TCSETSF: {(*call).setTermios, true},
	abi.TCSETS2: {(*call).setTermios, true}, abi.TCSETSW2: {(*call).setTermios, true}, abi.TCSETSF2: {(*call).setTermios, true},
	abi.TCSETA: {(*call).setTermios, true}, abi.TCSETAW: {(*call).setTermios, true}, abi.TCSETAF: {(*call).setTermios, true},
	abi.TCSBRK: {(*call).nothing, true}, abi.TCSBRKP: {(*call).nothing, true}, abi.TIOCSBRK: {(*call).nothing, true}, abi.TIOCCBRK: {(*call).nothing, true},
	abi.TCXONC: {(*call).flow, true}, abi.TCFLSH: {(*call).flush, true},
	abi.TIOCGWINSZ: {(*call).getWinsize, false}, abi.TIOCSWINSZ: {(*call).setWinsize, false},
	abi.FIONREAD: {(*call).inQueue, false}, abi.TIOCOUTQ: {(*call).outQueue, false},
	abi.TIOCGPGRP: {(*call).getForeground, false}, abi.TIOCSPGRP: {(*call).setForeground, true},
	abi.TIOCGSID: {(*call).getSession, false}, abi.TIOCSCTTY: {(*call).setControlling, false}, abi.TIOCNOTTY: {(*call).dropControlling, false},
	abi.TIOCEXCL: {(*call).exclusive, false}, abi.TIOCNXCL: {(*call).exclusive, false}, abi.TIOCGEXCL: {(*call).getExclusive, false},
	abi.TIOCGETD: {(*call).getDiscipline, false}, abi.TIOCSETD: {(*call).setDiscipline, true},
	abi.TIOCGDEV: {(*call).getDevice, false}, abi.TIOCGSOFTCAR: {(*call).getSoftCarrier, false}, abi.TIOCSSOFTCAR: {(*call).nothing, false},
	abi.TIOCVHANGUP: {(*call).vhangup, false},
	// Typing for the user into the shell behind an escaped session: Linux can switch it
	// off too (dev.tty.legacy_tiocsti).
	abi.TIOCSTI: {(*call).refuse, false},
}

var masterHandlers = map[uint32]func(*call, uint32) error{
	abi.TIOCGPTN: (*call).getNumber, abi.TIOCSPTLCK: (*call).setLock, abi.TIOCGPTLCK: (*call).getLock,
	abi.TIOCPKT: (*call).setPacket, abi.TIOCGPKT: (*call).getPacket, abi.TIOCSIG: (*call).signal,
}

// Ioctl implements vfs.Ioctler.
func (o *file) Ioctl(ctx *vfs.Context, _ *vfs.File, cmd uint32, arg uint64, mem uio.Memory) (uint64, error) {
	c := &call{ctx, o.t, false, abi.Addr(arg), mem}
	o.t.mu.Lock()
	hung := o.t.hung
	o.t.mu.Unlock()
	if hung {
		return 0, abi.EIO
	}
	h, ok := handlers[cmd]
	if !ok {
		return 0, abi.ENOTTY
	}
	if h.set {
		if err := o.t.checkBackground(ctx, abi.SIGTTOU); err != nil {
			return 0, err
		}
	}
	return 0, h.f(c, cmd)
}

// Ioctl implements vfs.Ioctler. TIOCGPTPEER, which makes a descriptor, is PeerOf's.
func (m *Master) Ioctl(ctx *vfs.Context, _ *vfs.File, cmd uint32, arg uint64, mem uio.Memory) (uint64, error) {
	c := &call{ctx, m.t, true, abi.Addr(arg), mem}
	if f, ok := masterHandlers[cmd]; ok {
		return 0, f(c, cmd)
	}
	switch cmd {
	case abi.TIOCNOTTY:
		return 0, abi.ENOTTY
	case abi.TIOCGPTPEER:
		return 0, abi.EINVAL
	}
	if h, ok := handlers[cmd]; ok {
		return 0, h.f(c, cmd)
	}
	return 0, abi.ENOTTY
}

// PeerOf opens the terminal of the master f (TIOCGPTPEER): ENOTTY if f is none. The system
// call installs the descriptor.
func PeerOf(ctx *vfs.Context, f *vfs.File, flags uint32) (*vfs.File, error) {
	m, ok := f.Ops.(*Master)
	if !ok {
		return nil, abi.ENOTTY
	}
	p, ok := m.owner.(Peer)
	if !ok {
		return nil, abi.EIO
	}
	return p.OpenPeer(ctx, m.t, flags)
}

func (c *call) out(b []byte) error { return c.mem.CopyOut(c.arg, b) }

func (c *call) outInt(n int) error { return c.out(binary.LittleEndian.AppendUint32(nil, uint32(n))) }

func (c *call) inInt() (int, error) {
	var b [4]byte
	err := c.mem.CopyIn(c.arg, b[:])
	return int(int32(binary.LittleEndian.Uint32(b[:]))), err
}

func (c *call) nothing(uint32) error { return nil }

func (c *call) refuse(uint32) error { return abi.EIO }

func (c *call) getTermios(cmd uint32) error {
	c.t.mu.Lock()
	s := c.t.termios
	c.t.mu.Unlock()
	switch cmd {
	case abi.TCGETA:
		return c.out(s.encodeOld())
	case abi.TCGETS:
		return c.out(s.encode()[:termiosSize])
	}
	return c.out(s.encode())
}

func (c *call) setTermios(cmd uint32) error {
	size, flush := termiosSize, false
	switch cmd {
	case abi.TCSETS2, abi.TCSETSW2, abi.TCSETSF2:
		size = termios2Size
	case abi.TCSETA, abi.TCSETAW, abi.TCSETAF:
		size = termioSize
	}
	switch cmd {
	case abi.TCSETSF, abi.TCSETSF2, abi.TCSETAF:
		flush = true
	}
	var buf [termios2Size]byte
	if err := c.mem.CopyIn(c.arg, buf[:size]); err != nil {
		return err
	}
	var e effects
	c.t.mu.Lock()
	s := c.t.termios
	if size == termioSize {
		s.decodeOld(buf[:size])
	} else {
		s.decode(buf[:size])
	}
	if flush {
		c.t.in.flush()
		c.t.in.queue = c.t.in.queue[:0]
		e.room = true
	}
	c.t.setTermiosLocked(s, &e)
	c.t.mu.Unlock()
	c.t.tell(&e)
	return nil
}

// setTermiosLocked changes the settings. A pseudoterminal has eight bits and no parity.
func (t *TTY) setTermiosLocked(s Termios, e *effects) {
	old := t.termios
	s.Cflag = s.Cflag&^(abi.CSIZE|abi.PARENB) | abi.CS8 | abi.CREAD
	t.termios = s
	if old.canon() != s.canon() {
		// What was typed so far becomes one line; a zero byte at its end then is what
		// an end of file looks like (n_tty_set_termios).
		clear(t.in.ends)
		t.in.committed = len(t.in.buf)
		if n := len(t.in.buf); s.canon() && n > 0 {
			t.in.ends[n-1] = newline
			if t.in.buf[n-1] == 0 {
				t.in.ends[n-1] = eof
			}
		}
		t.in.erasing, t.in.lnext = false, false
	}
	if s.Iflag&abi.IXON == 0 && old.Iflag&abi.IXON != 0 && !t.tcStop {
		t.startLocked(e)
	}
	if t.packet {
		t.packetModeLocked(&old, &s, e)
	}
	t.processLocked(e)
	e.readable, e.writable = true, true
}

// packetModeLocked reports to the master that ^S and ^Q began or ceased to work.
func (t *TTY) packetModeLocked(old, now *Termios, e *effects) {
	usual := func(s *Termios) bool {
		return s.Iflag&abi.IXON != 0 && s.CC[abi.VSTOP] == 'S'&0x1f && s.CC[abi.VSTART] == 'Q'&0x1f
	}
	if extproc := (old.Lflag | now.Lflag) & abi.EXTPROC; extproc != 0 {
		t.statusLocked(pktIoctl, 0, e)
	}
	switch was, is := usual(old), usual(now); {
	case was && !is:
		t.statusLocked(pktNoStop, pktDoStop, e)
	case !was && is:
		t.statusLocked(pktDoStop, pktNoStop, e)
	}
}

func (c *call) flow(uint32) error {
	var e effects
	t := c.t
	t.mu.Lock()
	var reply byte
	switch c.arg {
	case abi.TCOOFF:
		if !t.tcStop {
			if !t.stopped {
				t.out.held = len(t.out.buf)
			}
			t.tcStop = true
			if t.packet {
				t.statusLocked(pktStop, pktStart, &e)
			}
		}
	case abi.TCOON:
		if t.tcStop {
			t.tcStop = false
			e.writable, e.shown = true, true
			if t.packet {
				t.statusLocked(pktStart, pktStop, &e)
			}
		}
	case abi.TCIOFF:
		reply = t.termios.CC[abi.VSTOP]
	case abi.TCION:
		reply = t.termios.CC[abi.VSTART]
	default:
		t.mu.Unlock()
		return abi.EINVAL
	}
	if reply != 0 {
		t.out.put(reply, &e)
	}
	t.mu.Unlock()
	t.tell(&e)
	return nil
}

func (c *call) flush(uint32) error {
	if c.arg > abi.TCIOFLUSH {
		return abi.EINVAL
	}
	var e effects
	t := c.t
	t.mu.Lock()
	// On the master end input and output change places. What was sent is flushed as long
	// as it has not arrived at the other end.
	in := c.arg == abi.TCIOFLUSH || (c.arg == abi.TCIFLUSH) != c.master
	out := c.arg == abi.TCIOFLUSH || (c.arg == abi.TCOFLUSH) != c.master
	if in {
		if !c.master {
			t.in.flush()
		}
		t.in.queue = t.in.queue[:0]
		e.room = true
		if t.packet {
			t.statusLocked(pktFlushRead, 0, &e)
		}
	}
	if out {
		if c.master {
			t.out.flush(0)
		} else {
			t.out.flush(arrived)
		}
		e.writable = true
		if t.packet {
			t.statusLocked(pktFlushWrite, 0, &e)
		}
	}
	t.mu.Unlock()
	t.tell(&e)
	return nil
}

func (c *call) getWinsize(uint32) error {
	w := c.t.Winsize()
	return c.out(w.encode())
}

func (c *call) setWinsize(uint32) error {
	var b [8]byte
	if err := c.mem.CopyIn(c.arg, b[:]); err != nil {
		return err
	}
	var w Winsize
	w.decode(b[:])
	c.t.SetWinsize(w)
	return nil
}

func (c *call) inQueue(uint32) error {
	c.t.mu.Lock()
	n := c.t.in.committed
	if c.master {
		n = len(c.t.out.buf)
	} else if c.t.termios.canon() {
		for _, end := range c.t.in.ends[:n] {
			if end == eof {
				n--
			}
		}
	}
	c.t.mu.Unlock()
	return c.outInt(n)
}

func (c *call) outQueue(uint32) error {
	return c.outInt(0) // what a pty shows is with its master at once
}

func (c *call) exclusive(cmd uint32) error {
	c.t.mu.Lock()
	c.t.excl = cmd == abi.TIOCEXCL
	c.t.mu.Unlock()
	return nil
}

func (c *call) getExclusive(uint32) error { return c.outInt(c.flag(&c.t.excl)) }

func (c *call) flag(b *bool) int {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	if *b {
		return 1
	}
	return 0
}

func (c *call) getDiscipline(uint32) error { return c.outInt(abi.N_TTY) }

func (c *call) setDiscipline(uint32) error {
	n, err := c.inInt()
	if err == nil && n != abi.N_TTY {
		err = abi.EINVAL
	}
	return err
}

func (c *call) getDevice(uint32) error { return c.outInt(int(vfs.MakeDev(c.t.major, c.t.minor))) }

func (c *call) getSoftCarrier(uint32) error {
	c.t.mu.Lock()
	local := c.t.termios.Cflag&abi.CLOCAL != 0
	c.t.mu.Unlock()
	return c.outInt(c.flag(&local))
}

func (c *call) vhangup(uint32) error {
	if !c.ctx.Creds.HasCap(abi.CAP_SYS_ADMIN) {
		return abi.EPERM
	}
	c.t.Hangup()
	return nil
}

func (c *call) getForeground(uint32) error {
	k := task(c.ctx)
	if k == nil {
		return abi.ENOTTY
	}
	id, err := k.ForegroundPGID(c.t, c.master)
	if err != nil {
		return err
	}
	return c.outInt(int(id))
}

func (c *call) setForeground(uint32) error {
	id, err := c.inInt()
	if err != nil {
		return err
	}
	k := task(c.ctx)
	if k == nil {
		return abi.ENOTTY
	}
	return k.SetForegroundPGID(c.t, int32(id))
}

func (c *call) getSession(uint32) error {
	k := task(c.ctx)
	if k == nil {
		return abi.ENOTTY
	}
	id, err := k.SessionID(c.t, c.master)
	if err != nil {
		return err
	}
	return c.outInt(int(id))
}

func (c *call) setControlling(uint32) error { return c.t.setControlling(c.ctx, c.arg == 1) }

func (c *call) dropControlling(uint32) error {
	k := task(c.ctx)
	if k == nil {
		return abi.ENOTTY
	}
	return k.DropControllingTTY(c.t)
}

func (c *call) getNumber(uint32) error { return c.outInt(int(c.t.minor)) }

func (c *call) setLock(uint32) error {
	n, err := c.inInt()
	if err != nil {
		return err
	}
	c.t.mu.Lock()
	c.t.ptLocked = n != 0
	c.t.mu.Unlock()
	return nil
}

func (c *call) getLock(uint32) error { return c.outInt(c.flag(&c.t.ptLocked)) }

func (c *call) setPacket(uint32) error {
	n, err := c.inInt()
	if err != nil {
		return err
	}
	c.t.mu.Lock()
	c.t.packet, c.t.status = n != 0, 0
	c.t.mu.Unlock()
	c.t.masterQueue.Notify(wait.In)
	return nil
}

func (c *call) getPacket(uint32) error { return c.outInt(c.flag(&c.t.packet)) }

// signal is TIOCSIG: the master sends what a key would.
func (c *call) signal(uint32) error {
	switch sig := int(c.arg); sig {
	case abi.SIGINT, abi.SIGQUIT, abi.SIGTSTP:
		c.t.signalForeground(sig)
		return nil
	}
	return abi.EINVAL
}
