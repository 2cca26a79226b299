package proto

import (
	"lazaret/syscalls/abi"
)

// Event is a change that somebody made in a directory of a shared root.
type Event struct {
	Mask               uint32 // IN_* of inotify(7); IN_Q_OVERFLOW: events were lost
	Cookie             uint32 // joins the two halves of a rename
	DevMajor, DevMinor uint32 // the directory
	Ino                uint64
	Name               string // what changed in it; empty: the directory itself
}

// WatchEvents asks for host changes and starts the goroutine that hands them to sink. It
// ends with StopEvents, or when the gofer is gone. One call a client.
func (c *Client) WatchEvents(sink EventSink) error {
	c.mu.Lock()
	if c.owned {
		c.mu.Unlock()
		return abi.EBUSY
	}
	c.owned = true
	c.mu.Unlock()
	ch, err := c.acquire(Txchannel)
	if err != nil {
		return err
	}
	ch.enc.U32(ChannelEvents)
	d, fd, err := c.exchange(ch)
	if err == nil {
		err = c.finish(&d)
	}
	c.release(ch)
	if err == nil && fd < 0 {
		err = c.fail()
	}
	if err != nil {
		closeFD(fd)
		return err
	}
	conn := newPacketConn(fd)
	conn.spin = 0
	c.done.Add(1)
	go c.receiveEvents(conn, sink)
	return nil
}

// StopEvents makes the gofer close the event channel and waits for the goroutine's end.
func (c *Client) StopEvents() error {
	ch, err := c.acquire(Txstopevents)
	if err != nil {
		return err
	}
	err = c.emptyReply(ch)
	c.release(ch)
	if err != nil {
		return err
	}
	c.done.Wait()
	c.mu.Lock()
	c.owned = false
	c.mu.Unlock()
	return nil
}

func (c *Client) receiveEvents(conn *Conn, sink EventSink) {
	defer c.done.Done()
	defer conn.Close()
	for {
		msg, err := conn.Recv()
		if err != nil {
			return
		}
		events, ok := parseEvents(msg)
		if !ok {
			_ = c.fail()
			return
		}
		sink.HostEvents(events)
	}
}

// minEvent is the least length of an event on the wire.
const minEvent = 4*4 + 8 + 2

func parseEvents(msg []byte) ([]Event, bool) {
	typ, _, body, ok := Header(msg)
	if !ok || typ != Rxevents {
		return nil, false
	}
	d := NewDecoder(body)
	n := int(d.U16())
	if n*minEvent > d.Left() {
		return nil, false
	}
	events := make([]Event, n)
	for i := range events {
		e := &events[i]
		e.Mask, e.Cookie = d.U32(), d.U32()
		e.DevMajor, e.DevMinor = d.U32(), d.U32()
		e.Ino = d.U64()
		if e.Name = d.String(); e.Name != "" && !ValidName(e.Name) {
			return nil, false
		}
	}
	return events, d.Done()
}

// Event appends one event to an Rxevents; the count in front is the caller's.
func (e *Encoder) Event(ev *Event) {
	e.U32(ev.Mask)
	e.U32(ev.Cookie)
	e.U32(ev.DevMajor)
	e.U32(ev.DevMinor)
	e.U64(ev.Ino)
	e.String(ev.Name)
}

// Connect connects to the Unix socket that the file is; socktype is SOCK_STREAM ... The
// caller owns the connected descriptor. Only for attach points that allow it (else ECONNREFUSED).
func (f *File) Connect(socktype uint32) (int, error) {
	ch, err := f.c.acquire(Txconnect)
	if err != nil {
		return -1, err
	}
	defer f.c.release(ch)
	ch.enc.U32(f.fid)
	ch.enc.U32(socktype)
	return f.c.socketReply(ch)
}

// StopListening as a backlog ends what Bind began: nobody can connect any more.
const StopListening = ^uint32(0)

// Listen lets the host connect to the Unix socket that Bind made.
func (f *File) Listen(backlog uint32) error {
	ch, err := f.c.acquire(Txlisten)
	if err != nil {
		return err
	}
	defer f.c.release(ch)
	ch.enc.U32(f.fid)
	ch.enc.U32(backlog)
	d, fd, err := f.c.exchange(ch)
	closeFD(fd)
	if err != nil {
		return err
	}
	return f.c.finish(&d)
}

// Accept takes a connection to the Unix socket that Bind made: EAGAIN if there is none. The
// caller owns the descriptor.
func (f *File) Accept() (int, error) {
	ch, err := f.c.acquire(Txaccept)
	if err != nil {
		return -1, err
	}
	defer f.c.release(ch)
	ch.enc.U32(f.fid)
	return f.c.socketReply(ch)
}

// socketReply is the end of a request whose answer is nothing but a socket.
func (c *Client) socketReply(ch *channel) (int, error) {
	d, fd, err := c.exchange(ch)
	if err != nil {
		return -1, err
	}
	if err := c.finish(&d); err != nil || fd < 0 {
		closeFD(fd)
		return -1, c.fail()
	}
	return c.takeFD(fd, abi.S_IFSOCK)
}

// Bind makes a Unix socket on the host named name in directory f, and returns its file
// and the bound descriptor, which the caller owns. Only for attach points that allow it (else EPERM).
func (f *File) Bind(name string, socktype, mode, uid, gid uint32) (child *File, fd int, a Attr, err error) {
	if err := checkName(name); err != nil {
		return nil, -1, a, err
	}
	fids := f.c.newFIDs(nil, 1)
	ch, err := f.c.acquire(Txbind)
	if err != nil {
		return nil, -1, a, err
	}
	defer f.c.release(ch)
	ch.enc.U32(f.fid)
	ch.enc.U32(fids[0])
	ch.enc.String(name)
	for _, v := range [...]uint32{socktype, mode, uid, gid} {
		ch.enc.U32(v)
	}
	fd, err = f.c.attrReply(ch, &a)
	if err != nil {
		f.c.putFIDs(fids)
		return nil, -1, a, err
	}
	return &File{c: f.c, fid: fids[0]}, fd, a, nil
}
