package netstack

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

const (
	copyChunk = 32 << 10

	// closeWait bounds how long the last bytes of a connection may take to get inside.
	closeWait = time.Minute
)

// Stream is one end of a Splice.
type Stream interface {
	io.ReadWriter
	CloseWrite() error
	Abort() // ends it at once, with a reset if it can
}

// Conn is a TCP connection that nobody's socket holds.
type Conn struct {
	*gonet.TCPConn
	ep tcpip.Endpoint
}

// NewConn returns the connection of ep.
func NewConn(wq *waiter.Queue, ep tcpip.Endpoint) *Conn { return &Conn{gonet.NewTCPConn(wq, ep), ep} }

// Dial connects; from may be the zero value.
func Dial(ctx context.Context, st *stack.Stack, from, to tcpip.FullAddress) (*Conn, error) {
	var wq waiter.Queue
	ep, terr := st.NewEndpoint(tcp.ProtocolNumber, protoOf(fromAddress(to.Addr)), &wq)
	if terr != nil {
		return nil, errors.New(terr.String())
	}
	entry, ch := waiter.NewChannelEntry(waiter.WritableEvents | waiter.EventErr | waiter.EventHUp)
	wq.EventRegister(&entry)
	defer wq.EventUnregister(&entry)
	if from != (tcpip.FullAddress{}) {
		terr = ep.Bind(from)
	}
	if terr == nil {
		terr = ep.Connect(to)
	}
	if _, ok := terr.(*tcpip.ErrConnectStarted); ok {
		select {
		case <-ch:
			terr = ep.LastError()
		case <-ctx.Done():
			terr = &tcpip.ErrTimeout{}
		}
	}
	if terr != nil {
		ep.Abort()
		return nil, errors.New(terr.String())
	}
	return NewConn(&wq, ep), nil
}

// Abort implements Stream.
func (c *Conn) Abort() { c.ep.Abort() }

// Finish closes the connection, and waits until what was sent has arrived: what waits is
// memory, which counts as long as it is there.
func (c *Conn) Finish() {
	_ = c.Close()
	deadline := time.Now().Add(closeWait)
	for pause := time.Millisecond; ; pause = min(2*pause, time.Second) {
		switch tcp.EndpointState(c.ep.State()) {
		case tcp.StateClose, tcp.StateError, tcp.StateTimeWait, tcp.StateFinWait2:
			return
		}
		if time.Now().After(deadline) {
			c.ep.Abort()
			return
		}
		time.Sleep(pause)
	}
}

// Splice carries bytes, ends and failures both ways until both directions have ended.
func Splice(a, b Stream) {
	var failed sync.Once
	carry := func(to, from Stream) {
		if err := copyStream(to, from); err != nil {
			// Each side sees what happened on the other: a reset.
			failed.Do(func() { a.Abort(); b.Abort() })
			return
		}
		_ = to.CloseWrite()
	}
	var both sync.WaitGroup
	both.Go(func() { carry(a, b) })
	both.Go(func() { carry(b, a) })
	both.Wait()
}

// copyStream copies until the end, which is no error. A writer that is slow makes it wait.
func copyStream(dst io.Writer, src io.Reader) error {
	b := make([]byte, copyChunk)
	for {
		n, err := src.Read(b)
		if n > 0 {
			if _, werr := dst.Write(b[:n]); werr != nil {
				return werr
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
