package proto

import (
	"sync"

	"golang.org/x/sys/unix"

	"lazaret/syscalls/abi"
)

const (
	maxChannels = 8  // threads that talk to a gofer at once; others wait their turn
	clunkBatch  = 64 // closed files that may wait before the gofer is told
)

// Client is the Sentry's end of a gofer connection. Safe for concurrent use. Its calls
// block the calling thread in recvmsg until the gofer answers.
type Client struct {
	mu       sync.Mutex
	freed    sync.Cond  // a channel was put back, or the connection died
	idle     []*channel // last used on top: its server thread may still be polling
	channels int        // idle and in use
	refused  bool       // the gofer gave no more channels
	waiting  int
	dead     bool
	nextFID  uint32
	freeFIDs []uint32
	clunks   []uint32 // closed, not yet told
	owned    bool     // the event channel is open
	done     sync.WaitGroup
}

// channel is one connection, used by one thread at a time.
type channel struct {
	conn *Conn
	enc  Encoder
	told []uint32 // clunked here; reusable once a later reply came here
}

// EventSink receives what changed on the host.
type EventSink interface {
	// HostEvents is called from the client's event goroutine. The slice is valid only
	// during the call.
	HostEvents(events []Event)
}

// NewClient starts the protocol on fd, one end of SocketPair, which it then owns.
func NewClient(fd int) (*Client, error) {
	c := &Client{channels: 1}
	c.freed.L = &c.mu
	ch := &channel{conn: newPacketConn(fd)}
	ch.enc.Begin(Tversion, NoTag)
	ch.enc.U32(MaxMessage)
	ch.enc.String(Version)
	if err := ch.conn.Send(ch.enc.Bytes(), -1); err != nil {
		return nil, err
	}
	msg, err := ch.conn.Recv()
	if err != nil {
		return nil, err
	}
	typ, _, body, ok := Header(msg)
	d := NewDecoder(body)
	msize, version := d.U32(), d.String()
	if !ok || !d.Done() || typ != Tversion+1 || msize != MaxMessage || version != Version {
		return nil, ErrMalformed
	}
	c.idle = append(c.idle, ch)
	return c, nil
}

// Close ends the connection: the gofer drops all files. No call may be running.
func (c *Client) Close() {
	c.mu.Lock()
	c.dead = true
	idle := c.idle
	c.idle = nil
	c.mu.Unlock()
	for _, ch := range idle {
		ch.conn.Close()
	}
	c.done.Wait() // the gofer sees the end and closes the event channel
}

// Dead reports whether the connection is lost; every call then gives EIO.
func (c *Client) Dead() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dead
}

// acquire takes a channel and starts a request on it.
func (c *Client) acquire(typ uint8) (*channel, error) {
	c.mu.Lock()
	waited := false
	for len(c.idle) == 0 && !c.dead {
		waited = true
		c.waiting++
		c.freed.Wait()
		c.waiting--
	}
	if c.dead {
		c.mu.Unlock()
		return nil, abi.EIO
	}
	ch := c.idle[len(c.idle)-1]
	c.idle = c.idle[:len(c.idle)-1]
	grow := waited && !c.refused && c.channels < maxChannels
	if grow {
		c.channels++
	}
	var clunks []uint32
	if len(c.clunks) >= clunkBatch {
		clunks = c.takeClunksLocked()
	}
	c.mu.Unlock()
	if grow {
		c.addChannel(ch)
	}
	if clunks != nil {
		c.tell(ch, clunks)
	}
	ch.enc.Begin(typ, 1)
	return ch, nil
}

func (c *Client) takeClunksLocked() []uint32 {
	n := min(len(c.clunks), MaxClunk)
	out := append([]uint32(nil), c.clunks[:n]...)
	c.clunks = append(c.clunks[:0], c.clunks[n:]...)
	return out
}

// tell sends closed fids on ch. A failure shows in the request that follows.
func (c *Client) tell(ch *channel, fids []uint32) {
	ch.enc.Begin(Txclunk, NoTag)
	ch.enc.U32(uint32(len(fids)))
	for _, f := range fids {
		ch.enc.U32(f)
	}
	if ch.conn.Send(ch.enc.Bytes(), -1) == nil {
		ch.told = append(ch.told, fids...)
	}
}

// addChannel asks for another channel through ch.
func (c *Client) addChannel(ch *channel) {
	ch.enc.Begin(Txchannel, 1)
	ch.enc.U32(ChannelRequests)
	_, fd, err := c.exchange(ch)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil || fd < 0 {
		c.channels--
		c.refused = true
		return
	}
	c.idle = append(c.idle, &channel{conn: newPacketConn(fd)})
	c.freed.Signal()
}

// release puts a channel back.
func (c *Client) release(ch *channel) {
	c.mu.Lock()
	if c.dead {
		c.channels--
		c.mu.Unlock()
		ch.conn.Close()
		return
	}
	c.idle = append(c.idle, ch)
	if c.waiting > 0 {
		c.freed.Signal()
	}
	c.mu.Unlock()
}

// exchange sends the request in ch.enc and returns the reply's body, valid until the
// channel's next exchange, and the descriptor that came with it, else -1.
func (c *Client) exchange(ch *channel) (Decoder, int, error) {
	var one [1]int32
	d, n, err := c.exchangeFDs(ch, one[:])
	if n == 0 {
		return d, -1, err
	}
	return d, int(one[0]), err
}

// exchangeFDs is exchange for a reply with as many descriptors as fds has room for.
func (c *Client) exchangeFDs(ch *channel, fds []int32) (Decoder, int, error) {
	req := ch.enc.Bytes()
	if len(req) > MaxMessage {
		return Decoder{}, 0, abi.E2BIG
	}
	want := req[4] + 1
	if err := ch.conn.Send(req, -1); err != nil {
		return Decoder{}, 0, c.fail()
	}
	msg, n, err := ch.conn.RecvFDs(fds)
	if err != nil {
		return Decoder{}, 0, c.fail()
	}
	d, err := parseReply(msg, want)
	if err == ErrMalformed {
		err = c.fail()
	}
	if err != nil {
		closeAll(fds[:n])
		return Decoder{}, 0, err
	}
	if len(ch.told) > 0 {
		c.mu.Lock()
		c.freeFIDs = append(c.freeFIDs, ch.told...)
		c.mu.Unlock()
		ch.told = ch.told[:0]
	}
	return d, n, nil
}

// parseReply checks a reply's header. An Rlerror becomes an abi.Errno.
func parseReply(msg []byte, want uint8) (Decoder, error) {
	typ, tag, body, ok := Header(msg)
	d := NewDecoder(body)
	if !ok || tag != 1 {
		return d, ErrMalformed
	}
	if typ == Rlerror {
		err := wireErrno(d.U32())
		if !d.Done() || err == nil {
			return d, ErrMalformed
		}
		return d, err
	}
	if typ != want {
		return d, ErrMalformed
	}
	return d, nil
}

// fail marks the connection as lost: after a reply that breaks the protocol nothing that
// the gofer says can be matched to a request any more.
func (c *Client) fail() error {
	c.mu.Lock()
	c.dead = true
	c.freed.Broadcast()
	c.mu.Unlock()
	return abi.EIO
}

// finish ends a call whose reply was read with d: bytes missing or left over are the
// peer's fault.
func (c *Client) finish(d *Decoder) error {
	if !d.Done() {
		return c.fail()
	}
	return nil
}

// newFIDs appends n unused fids to dst.
func (c *Client) newFIDs(dst []uint32, n int) []uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	for ; n > 0; n-- {
		if k := len(c.freeFIDs); k > 0 {
			dst = append(dst, c.freeFIDs[k-1])
			c.freeFIDs = c.freeFIDs[:k-1]
			continue
		}
		dst = append(dst, c.nextFID)
		c.nextFID++
	}
	return dst
}

// putFIDs takes back fids that the gofer does not know.
func (c *Client) putFIDs(fids []uint32) {
	c.mu.Lock()
	c.freeFIDs = append(c.freeFIDs, fids...)
	c.mu.Unlock()
}

// clunk closes fids, at once if urgent, else when enough came together.
func (c *Client) clunk(urgent urgency, fids ...uint32) {
	c.mu.Lock()
	c.clunks = append(c.clunks, fids...)
	var ch *channel
	var out []uint32
	if (urgent == now || len(c.clunks) >= 2*clunkBatch) && !c.dead && len(c.idle) > 0 {
		ch = c.idle[len(c.idle)-1]
		c.idle = c.idle[:len(c.idle)-1]
		out = c.takeClunksLocked()
	}
	c.mu.Unlock()
	if ch != nil {
		c.tell(ch, out)
		c.release(ch)
	}
}

type urgency int

const (
	whenever urgency = iota
	now
)

func closeFD(fd int) {
	if fd >= 0 {
		_ = unix.Close(fd)
	}
}

// takeFD checks a donated descriptor: its type must be want (S_IFREG ...). Without a
// descriptor it returns -1.
func (c *Client) takeFD(fd int, want uint32) (int, error) {
	if fd < 0 {
		return -1, nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != want {
		closeFD(fd)
		return -1, c.fail()
	}
	return fd, nil
}
