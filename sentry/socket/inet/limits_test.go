package inet

import (
	"encoding/binary"
	"runtime"
	"testing"
	"time"

	"lazaret/sentry/socket"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// fill sends until nothing more is taken for a while, and returns how much was.
func fill(t *testing.T, ctx *vfs.Context, s *Socket) int {
	t.Helper()
	b, sent := make([]byte, 64<<10), 0
	for idle := 0; idle < 50; {
		n, err := s.Send(ctx, &socket.Message{Bufs: uio.One(b)})
		if sent += n; n > 0 {
			idle = 0
			continue
		}
		if err != abi.EAGAIN {
			t.Fatalf("after %d: %v", sent, err)
		}
		idle++
		time.Sleep(2 * time.Millisecond)
	}
	return sent
}

// TestSlowReader: what a peer does not read is charged, in the queue that it waits in, and
// is bounded.
func TestSlowReader(t *testing.T) {
	ctx, n := testNamespace(t)
	c, s := connected(t, ctx, n)
	acct := ctx.Account
	before := acct.Used()
	sent := fill(t, ctx, c)
	if sent > 16<<20 {
		t.Errorf("%d bytes taken that nobody reads", sent)
	}
	if err := n.sending(sweepBytes); err != nil {
		t.Fatal(err)
	}
	if got := acct.Used() - before; got < uint64(sent)*3/4 {
		t.Errorf("charged %d for %d that wait", got, sent)
	}
	c.Close()
	s.Close()
	for _, o := range n.Sockets() {
		o.Close()
	}
	if got := acct.Used(); got != 0 {
		t.Errorf("charged %d when all is closed", got)
	}
}

// TestSlowReaderLimit: an account that is full stops the sender.
func TestSlowReaderLimit(t *testing.T) {
	ctx, n := testNamespace(t)
	b, failed := make([]byte, 64<<10), false
	ctx.Account.SetLimit(8 << 20)
	for range 40 {
		c, _ := connected(t, ctx, n)
		for idle := 0; idle < 20 && !failed; {
			switch k, err := c.Send(ctx, &socket.Message{Bufs: uio.One(b)}); {
			case err == abi.ENOBUFS:
				failed = true
			case k == 0:
				idle++
				time.Sleep(time.Millisecond)
			}
		}
		if failed {
			break
		}
		n.sent.Add(sweepBytes) // as if as much had been sent elsewhere
	}
	if used := ctx.Account.Used(); !failed || used > 8<<20 {
		t.Errorf("refused %v with %d charged", failed, used)
	}
}

// TestGiantBuffers: nobody gets more than net.core allows, privileged or not.
func TestGiantBuffers(t *testing.T) {
	ctx, n := testNamespace(t)
	for _, typ := range []int{abi.SOCK_STREAM, abi.SOCK_DGRAM} {
		s := newSocket(t, ctx, n, false, typ)
		for _, name := range []int{abi.SO_SNDBUF, abi.SO_RCVBUF, abi.SO_SNDBUFFORCE, abi.SO_RCVBUFFORCE} {
			for _, v := range []uint32{1 << 30, 1<<31 - 1, 1 << 31, 1<<32 - 1} {
				if err := s.SetOption(ctx, abi.SOL_SOCKET, name, binary.LittleEndian.AppendUint32(nil, v)); err != nil {
					t.Errorf("option %d := %#x: %v", name, v, err)
				}
			}
		}
		if send, recv := s.ep.Load().Buffers(); send > 2*defaultSettings.wmemMax || recv > 2*defaultSettings.rmemMax {
			t.Errorf("type %d: buffers of %d and %d bytes", typ, send, recv)
		}
	}
	r := newSocket(t, ctx, n, false, abi.SOCK_DGRAM)
	if err := r.Bind(ctx, loopback(0)); err != nil {
		t.Fatal(err)
	}
	if err := r.SetOption(ctx, abi.SOL_SOCKET, abi.SO_RCVBUF, binary.LittleEndian.AppendUint32(nil, 1<<30)); err != nil {
		t.Fatal(err)
	}
	name, _ := r.LocalName()
	s := newSocket(t, ctx, n, false, abi.SOCK_DGRAM)
	for range 10000 {
		if _, err := s.Send(ctx, &socket.Message{Bufs: uio.One(make([]byte, 1000)), Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	got := 0
	for {
		if _, err := r.Recv(ctx, &socket.Message{Bufs: uio.One(make([]byte, 10))}); err != nil {
			break
		}
		got++
	}
	if got == 0 || got*1000 > 4*defaultSettings.rmemMax {
		t.Errorf("%d datagrams waited", got)
	}
}

// TestManyConnects: connections that nobody accepts are bounded by the backlog, and those
// that were not answered cost no memory when they are gone.
func TestManyConnects(t *testing.T) {
	ctx, n := testNamespace(t)
	l := newSocket(t, ctx, n, false, abi.SOCK_STREAM)
	if err := l.Bind(ctx, loopback(0)); err != nil {
		t.Fatal(err)
	}
	const backlog, tries = 16, 400
	if err := l.Listen(ctx, backlog); err != nil {
		t.Fatal(err)
	}
	name, _ := l.LocalName()
	all := make([]*Socket, tries)
	for i := range all {
		all[i] = newSocket(t, ctx, n, false, abi.SOCK_STREAM)
		if err := all[i].Connect(ctx, name); err != abi.EINPROGRESS {
			t.Fatal(i, err)
		}
	}
	await(t, l, wait.In)
	accepted := 0
	for quiet := 0; quiet < 20; quiet++ {
		for {
			c, err := l.Accept(ctx)
			if err != nil {
				break
			}
			accepted++
			c.Close()
			if accepted > 4*backlog {
				t.Fatalf("more than %d connections waited for a backlog of %d", accepted-1, backlog)
			}
		}
		time.Sleep(time.Millisecond)
	}
	if accepted < backlog {
		t.Errorf("only %d of a backlog of %d", accepted, backlog)
	}
	for _, s := range all {
		s.Close()
	}
	if used := ctx.Account.Used(); used > 2*costTCP {
		t.Errorf("charged %d when only the listener is left", used)
	}
	runtime.KeepAlive(all)
}
