package unix

import (
	"testing"
	"time"

	sys "golang.org/x/sys/unix"

	"lazaret/sentry/fs/hostfile"
	"lazaret/sentry/socket"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// hostPair is a Unix socket of the host whose server end is there already.
type hostPair struct {
	t      *testing.T
	n      *hostfile.Notifier
	server int
	fail   error
}

// ConnectHost implements hostSocket.
func (p *hostPair) ConnectHost(typ int) (int, *hostfile.Notifier, error) {
	if p.fail != nil {
		return -1, nil, p.fail
	}
	fds, err := sys.Socketpair(sys.AF_UNIX, typ, 0)
	if err != nil {
		p.t.Fatal(err)
	}
	p.server = fds[1]
	p.t.Cleanup(p.hangUp)
	return fds[0], p.n, nil
}

// hangUp closes the server's end.
func (p *hostPair) hangUp() {
	if p.server >= 0 {
		sys.Close(p.server)
	}
	p.server = -1
}

// onHost is a socket that is connected to the host.
func onHost(t *testing.T, typ int) (*Socket, *hostPair, *vfs.Context) {
	t.Helper()
	n, err := hostfile.NewNotifier()
	if err != nil {
		t.Fatal(err)
	}
	p := &hostPair{t: t, n: n}
	ctx := testContext()
	s := newSocket(ctx, NewNamespace(), typ)
	t.Cleanup(func() { s.Close(); n.Close() })
	if typ == abi.SOCK_DGRAM {
		h, err := s.openHost(p, []byte("/peer"))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.setPeer(nil, h); err != nil {
			t.Fatal(err)
		}
	} else if err := s.joinHost(p, []byte("/peer")); err != nil {
		t.Fatal(err)
	}
	return s, p, ctx
}

// await waits until one of events is true.
func await(t *testing.T, s *Socket, events wait.Mask) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); s.Poll()&events == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no event of %#x", events)
		}
	}
}

// TestHost: all types talk to a socket of the host, and say who they are talking to.
func TestHost(t *testing.T) {
	for _, typ := range []int{abi.SOCK_STREAM, abi.SOCK_SEQPACKET, abi.SOCK_DGRAM} {
		s, p, ctx := onHost(t, typ)
		if err := s.Connect(ctx, []byte("\x01\x00\x00none")); typ != abi.SOCK_DGRAM && err != abi.ECONNREFUSED {
			t.Errorf("type %d: connect again: %v", typ, err)
		}
		if typ != abi.SOCK_DGRAM {
			if err := s.joinHost(p, nil); err != abi.EISCONN {
				t.Errorf("type %d: connect to the host again: %v", typ, err)
			}
		}
		buf := make([]byte, 8)
		if _, err := s.Recv(ctx, &socket.Message{Bufs: uio.One(buf)}); err != abi.EAGAIN {
			t.Errorf("type %d: nothing to receive: %v", typ, err)
		}
		if n, err := s.Send(ctx, &socket.Message{Bufs: uio.Bufs{[]byte("to "), []byte("host")}}); n != 7 || err != nil {
			t.Errorf("type %d: send: %d %v", typ, n, err)
		}
		if n, err := sys.Read(p.server, buf); err != nil || string(buf[:n]) != "to host" {
			t.Errorf("type %d: the host got %q %v", typ, buf[:max(n, 0)], err)
		}
		sys.Write(p.server, []byte("from the host"))
		await(t, s, wait.In)
		m := socket.Message{Bufs: uio.One(buf)}
		n, err := s.Recv(ctx, &m)
		if err != nil || string(buf[:n]) != "from the" || (m.Flags&abi.MSG_TRUNC != 0) != (typ != abi.SOCK_STREAM) {
			t.Errorf("type %d: got %q %v, flags %#x", typ, buf[:max(n, 0)], err, m.Flags)
		}
		if name, err := s.PeerName(); err != nil || string(name) != "\x01\x00/peer\x00" {
			t.Errorf("type %d: peer %q %v", typ, name, err)
		}
		cred, err := s.GetOption(ctx, abi.SOL_SOCKET, abi.SO_PEERCRED, 12)
		if err != nil || string(cred) != "\x00\x00\x00\x00\xfe\xff\x00\x00\xfe\xff\x00\x00" {
			t.Errorf("type %d: SO_PEERCRED %x %v", typ, cred, err)
		}
		p.hangUp()
		if typ != abi.SOCK_DGRAM {
			await(t, s, wait.Hup)
		}
		if typ == abi.SOCK_SEQPACKET {
			if n, err := s.Recv(ctx, &socket.Message{Bufs: uio.One(buf)}); n != 0 || err != nil {
				t.Errorf("the end: %d %v", n, err)
			}
			if _, err := s.Send(ctx, &socket.Message{Bufs: uio.One(buf)}); err != abi.EPIPE {
				t.Errorf("send to nobody: %v", err)
			}
		}
	}
}

// TestHostDescriptors: descriptors cross in no direction.
func TestHostDescriptors(t *testing.T) {
	s, p, ctx := onHost(t, abi.SOCK_STREAM)
	m := &socket.Message{Bufs: uio.One([]byte("x")), Control: socket.Control{Files: make([]*vfs.File, 1)}}
	if _, err := s.Send(ctx, m); err != abi.EPERM {
		t.Errorf("a descriptor for the host: %v", err)
	}
	if err := sys.Sendmsg(p.server, []byte("x"), sys.UnixRights(0), nil, 0); err != nil {
		t.Fatal(err)
	}
	m = &socket.Message{Bufs: uio.One(make([]byte, 4))}
	if n, err := s.Recv(ctx, m); n != 1 || err != nil || m.Flags&abi.MSG_CTRUNC == 0 || m.Control.Files != nil {
		t.Errorf("a descriptor of the host: %d %v, flags %#x", n, err, m.Flags)
	}
}

// TestHostError: a reset is told once, and a connection that is refused leaves a socket that
// can try again.
func TestHostError(t *testing.T) {
	s, p, ctx := onHost(t, abi.SOCK_STREAM)
	if _, err := s.Send(ctx, &socket.Message{Bufs: uio.One([]byte("unread"))}); err != nil {
		t.Fatal(err)
	}
	p.hangUp()
	await(t, s, wait.Err)
	for _, want := range []string{"\x68\x00\x00\x00", "\x00\x00\x00\x00"} { // ECONNRESET
		if b, err := s.GetOption(ctx, abi.SOL_SOCKET, abi.SO_ERROR, 4); err != nil || string(b) != want {
			t.Errorf("SO_ERROR %x %v, want %x", b, err, want)
		}
	}
	p.fail = abi.ECONNREFUSED
	c := newSocket(ctx, s.ns, abi.SOCK_STREAM)
	defer c.Close()
	if err := c.joinHost(p, nil); err != abi.ECONNREFUSED {
		t.Errorf("refused: %v", err)
	}
	p.fail = nil
	if err := c.joinHost(p, nil); err != nil {
		t.Errorf("then accepted: %v", err)
	}
}

// TestHostDgram: a datagram socket changes from the host's to nobody and sends to names.
func TestHostDgram(t *testing.T) {
	s, p, ctx := onHost(t, abi.SOCK_DGRAM)
	if err := s.Connect(ctx, make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PeerName(); err != abi.ENOTCONN {
		t.Errorf("the peer is gone: %v", err)
	}
	if _, err := s.Send(ctx, &socket.Message{Bufs: uio.One([]byte("x"))}); err != abi.ENOTCONN {
		t.Errorf("send to nobody: %v", err)
	}
	if n, err := s.sendHostOnce(p, &socket.Message{Bufs: uio.One([]byte("once"))}); n != 4 || err != nil {
		t.Errorf("send to a name: %d %v", n, err)
	}
	b := make([]byte, 8)
	if n, err := sys.Read(p.server, b); n != 4 || err != nil {
		t.Errorf("the host got %d %v", n, err)
	}
}
