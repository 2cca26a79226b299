package hostinet

import (
	"encoding/binary"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazaret/sentry/auth"
	"lazaret/sentry/fs/hostfile"
	"lazaret/sentry/socket"
	"lazaret/sentry/socket/inet"
	"lazaret/sentry/uio"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

func newFamily(t *testing.T) Family {
	t.Helper()
	n, err := hostfile.NewNotifier()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return Family{NS: NewNamespace(inet.NewNamespace(&auth.UserNamespace{}), n)}
}

func (f Family) open(t *testing.T, typ, proto int) *Socket {
	t.Helper()
	s, err := f.NewSocket(nil, typ, proto)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s.(*Socket)
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

var anyPort = []byte{abi.AF_INET, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}

// TestStream: a connection over the host, from both ends.
func TestStream(t *testing.T) {
	f := newFamily(t)
	l := f.open(t, abi.SOCK_STREAM, 0)
	if err := l.Bind(nil, anyPort); err != nil {
		t.Fatal(err)
	}
	if err := l.Listen(nil, 5); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Accept(nil); err != abi.EAGAIN {
		t.Fatalf("accept of nothing: %v", err)
	}
	name, err := l.LocalName()
	if err != nil || len(name) != 16 {
		t.Fatal(name, err)
	}
	c := f.open(t, abi.SOCK_STREAM, unix.IPPROTO_TCP)
	if err := c.Connect(nil, name); err != nil && err != abi.EINPROGRESS {
		t.Fatal(err)
	}
	await(t, l, wait.In)
	a, err := l.Accept(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if from := a.(*Socket).AcceptedFrom(); len(from) != 16 || binary.LittleEndian.Uint16(from) != abi.AF_INET {
		t.Errorf("accepted from %v", from)
	}
	if n, err := a.Send(nil, &socket.Message{Bufs: uio.Bufs{[]byte("ab"), []byte("cd")}}); n != 4 || err != nil {
		t.Fatal(n, err)
	}
	await(t, c, wait.In)
	b := make([]byte, 9)
	if n, err := c.Recv(nil, &socket.Message{Bufs: uio.One(b)}); string(b[:max(n, 0)]) != "abcd" || err != nil {
		t.Fatal(n, err)
	}
	if _, err := c.Recv(nil, &socket.Message{Bufs: uio.One(b)}); err != abi.EAGAIN {
		t.Errorf("nothing to receive: %v", err)
	}
	if err := a.Shutdown(unix.SHUT_WR); err != nil {
		t.Fatal(err)
	}
	await(t, c, wait.RdHup)
	if n, err := c.Recv(nil, &socket.Message{Bufs: uio.One(b)}); n != 0 || err != nil {
		t.Errorf("the end: %d %v", n, err)
	}
}

// TestRefused: what is not on a list does not get to the host.
func TestRefused(t *testing.T) {
	f := newFamily(t)
	for _, c := range []struct {
		typ, proto int
		want       abi.Errno
	}{
		{abi.SOCK_RAW, 1, abi.EPERM}, {abi.SOCK_RAW, 0, abi.EPROTONOSUPPORT}, {abi.SOCK_STREAM, 132, abi.EPROTONOSUPPORT},
		{abi.SOCK_DGRAM, 58, abi.EPROTONOSUPPORT}, {abi.SOCK_SEQPACKET, 0, abi.ESOCKTNOSUPPORT}, {abi.SOCK_STREAM, -1, abi.EINVAL},
		{abi.SOCK_STREAM, 263, abi.EINVAL},
	} {
		if _, err := f.NewSocket(nil, c.typ, c.proto); err != c.want {
			t.Errorf("type %d, protocol %d: %v, want %v", c.typ, c.proto, err, c.want)
		}
	}
	s := f.open(t, abi.SOCK_DGRAM, 0)
	long := make([]byte, 100)
	for _, c := range []struct {
		level, name int
		value       []byte
		want        error
	}{
		{abi.SOL_SOCKET, unix.SO_MARK, long[:4], abi.EPERM}, {abi.SOL_SOCKET, unix.SO_ATTACH_FILTER, long[:16], abi.ENOPROTOOPT},
		{abi.SOL_SOCKET, unix.SO_REUSEADDR, long[:3], abi.EINVAL}, {abi.SOL_SOCKET, unix.SO_REUSEADDR, long, nil},
		{abi.SOL_SOCKET, unix.SO_ERROR, long[:4], abi.ENOPROTOOPT}, {abi.SOL_IP, 64, long, abi.ENOPROTOOPT}, // IPT_SO_SET_REPLACE
		{abi.SOL_SOCKET, unix.SO_RCVTIMEO, long[:8], abi.EINVAL},
	} {
		if err := s.SetOption(nil, c.level, c.name, c.value); err != c.want {
			t.Errorf("option %d/%d: %v, want %v", c.level, c.name, err, c.want)
		}
	}
	bad := []socket.Cmsg{{Level: abi.SOL_IP, Type: unix.IP_RETOPTS, Data: long[:8]}}
	if _, err := s.Send(nil, &socket.Message{Bufs: uio.One(long), Name: anyPort, Control: socket.Control{Cmsgs: bad}}); err != abi.EINVAL {
		t.Errorf("ancillary data: %v", err)
	}
}

// TestBound: sockets are counted, and given back.
func TestBound(t *testing.T) {
	f := newFamily(t)
	f.NS.sockets.Store(maxSockets)
	if _, err := f.NewSocket(nil, abi.SOCK_STREAM, 0); err != abi.ENFILE {
		t.Errorf("one too many: %v", err)
	}
	f.NS.sockets.Store(0)
	s, err := f.NewSocket(nil, abi.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if n := f.NS.sockets.Load(); n != 0 {
		t.Errorf("%d are counted after the end", n)
	}
}

func FuzzControlIn(f *testing.F) {
	f.Add(0, 8, []byte("123456789012"))
	f.Add(41, 50, []byte(""))
	f.Fuzz(func(t *testing.T, level, typ int, data []byte) {
		b, err := controlIn([]socket.Cmsg{{Level: level, Type: typ, Data: data}})
		if err == nil && (len(b) > maxControl || len(b)%8 != 0) {
			t.Errorf("%d bytes", len(b))
		}
	})
}
