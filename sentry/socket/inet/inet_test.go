package inet

import (
	"testing"
	"time"

	"lazaret/sentry/auth"
	"lazaret/sentry/memfile"
	"lazaret/sentry/socket"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

func testNamespace(t testing.TB) (*vfs.Context, *Namespace) {
	u := auth.NewInitial()
	n := NewNamespace(u)
	n.Stack.StartUp()
	t.Cleanup(n.Release)
	return &vfs.Context{Creds: &auth.Creds{UserNS: u, Effective: ^auth.CapSet(0)}, Account: &memfile.Account{}, PID: 1}, n
}

func newSocket(t testing.TB, ctx *vfs.Context, n *Namespace, v6 bool, typ int) *Socket {
	s, err := Family{n, v6}.NewSocket(ctx, typ, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s.(*Socket)
}

// await waits for an event: what lo carries is under way in other goroutines.
func await(t testing.TB, s *Socket, m wait.Mask) {
	t.Helper()
	for range 10000 {
		if s.Poll()&m != 0 {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
	t.Fatalf("events %#x, want one of %#x", s.Poll(), m)
}

func loopback(port uint16) []byte {
	return []byte{abi.AF_INET, 0, byte(port >> 8), byte(port), 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}
}

// connected returns both ends of a connection over lo.
func connected(t testing.TB, ctx *vfs.Context, n *Namespace) (*Socket, *Socket) {
	t.Helper()
	l := newSocket(t, ctx, n, false, abi.SOCK_STREAM)
	if err := l.Bind(ctx, loopback(0)); err != nil {
		t.Fatal(err)
	}
	if err := l.Listen(ctx, 4); err != nil {
		t.Fatal(err)
	}
	name, _ := l.LocalName()
	c := newSocket(t, ctx, n, false, abi.SOCK_STREAM)
	if err := c.Connect(ctx, name); err != abi.EINPROGRESS {
		t.Fatal(err)
	}
	await(t, l, wait.In)
	s, err := l.Accept(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	await(t, c, wait.Out)
	return c, s.(*Socket)
}

// TestCharge: a socket pays for itself, and for data that nobody fetches.
func TestCharge(t *testing.T) {
	ctx, n := testNamespace(t)
	c, s := connected(t, ctx, n)
	base := ctx.Account.Used()
	if base != 3*costTCP {
		t.Errorf("three sockets: %d bytes", base)
	}
	data := make([]byte, 64<<10)
	var sent int
	for end := time.Now().Add(20 * time.Second); sent < 100<<10 && time.Now().Before(end); {
		k, err := c.Send(ctx, &socket.Message{Bufs: uio.One(data)})
		if err != nil && err != abi.EAGAIN {
			t.Fatal(err)
		}
		sent += k
	}
	for range 10000 {
		if s.ep.Load().ReadQueue() > 64<<10 {
			break
		}
		time.Sleep(2 * time.Millisecond)
	}
	n.sent.Store(sweepBytes) // the next bytes bring the charges up to date
	_ = n.sending(1)
	if u := ctx.Account.Used(); u < base+64<<10 {
		t.Errorf("with %d bytes waiting: %d charged, %d before", s.ep.Load().ReadQueue(), u, base)
	}
	ctx.Account.SetLimit(ctx.Account.Used())
	if _, err := (Family{n, false}).NewSocket(ctx, abi.SOCK_DGRAM, 0); err != abi.ENOBUFS {
		t.Errorf("a socket beyond the limit: %v", err)
	}
	ctx.Account.SetLimit(0)
	c.Close()
	s.Close()
	if u := ctx.Account.Used(); u != costTCP {
		t.Errorf("after close: %d bytes", u)
	}
}

// TestReconnect: a socket whose connection failed can connect again, bound as it was.
func TestReconnect(t *testing.T) {
	ctx, n := testNamespace(t)
	s := newSocket(t, ctx, n, false, abi.SOCK_STREAM)
	if err := s.SetOption(ctx, abi.SOL_IP, abi.IP_TTL, i32(9)); err != nil {
		t.Fatal(err)
	}
	if err := s.Bind(ctx, loopback(4321)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := s.Connect(ctx, loopback(1)); err != abi.EINPROGRESS {
			t.Fatal(err)
		}
		await(t, s, wait.Err)
		if err := s.Connect(ctx, loopback(1)); err != abi.ECONNREFUSED {
			t.Fatal(err)
		}
		if name, _ := s.LocalName(); name[2] != 4321>>8 || name[3] != 4321&0xff {
			t.Fatalf("bound to % x", name)
		}
	}
	if v, err := s.GetOption(ctx, abi.SOL_IP, abi.IP_TTL, 4); err != nil || word(v) != 9 {
		t.Errorf("TTL %v %v", v, err)
	}
}

// TestPrivilege: what needs a capability.
func TestPrivilege(t *testing.T) {
	ctx, n := testNamespace(t)
	plain := *ctx
	plain.Creds = &auth.Creds{UserNS: n.UserNS, EUID: 1000, EGID: 1000}
	if _, err := (Family{n, false}).NewSocket(&plain, abi.SOCK_RAW, abi.IPPROTO_ICMP); err != abi.EPERM {
		t.Errorf("raw: %v", err)
	}
	if _, err := (Family{n, false}).NewSocket(&plain, abi.SOCK_DGRAM, abi.IPPROTO_ICMP); err != abi.EACCES {
		t.Errorf("ping: %v", err)
	}
	if err := n.SetSysctl("net/ipv4/ping_group_range", "1000\t1000"); err != nil {
		t.Fatal(err)
	}
	if s, err := (Family{n, false}).NewSocket(&plain, abi.SOCK_DGRAM, abi.IPPROTO_ICMP); err != nil {
		t.Errorf("ping in the range: %v", err)
	} else {
		s.Close()
	}
	s := newSocket(t, &plain, n, false, abi.SOCK_STREAM)
	if err := s.Bind(&plain, loopback(80)); err != abi.EACCES {
		t.Errorf("port 80: %v", err)
	}
	if err := n.SetSysctl("net/ipv4/ip_unprivileged_port_start", "80"); err != nil {
		t.Fatal(err)
	}
	if err := s.Bind(&plain, loopback(80)); err != nil {
		t.Errorf("port 80 from 80 on: %v", err)
	}
	for _, o := range []int{abi.SO_SNDBUFFORCE, abi.SO_MARK, abi.SO_BUSY_POLL} {
		if err := s.SetOption(&plain, abi.SOL_SOCKET, o, i32(1)); err != abi.EPERM {
			t.Errorf("option %d: %v", o, err)
		}
	}
}

// TestOptionTable: each row is found, and has room among the values.
func TestOptionTable(t *testing.T) {
	if len(optIndex()) != len(optTable) {
		t.Errorf("%d options, %d rows: one is there twice", len(optIndex()), len(optTable))
	}
	seen := map[optID]int{}
	for _, r := range optIndex() {
		if r.id == optNone || int(r.id) >= maxOptions {
			t.Errorf("option %d %d has place %d", r.level, r.name, r.id)
		}
		if other, ok := seen[r.id]; ok && other != r.name {
			t.Errorf("options %d and %d share place %d", r.name, other, r.id)
		}
		seen[r.id] = r.name
	}
}

func FuzzAddresses(f *testing.F) {
	ctx, n := testNamespace(f)
	f.Add(loopback(80), true, 1)
	f.Add([]byte{abi.AF_INET6, 0, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0}, true, 2)
	f.Add([]byte{0, 0}, false, 1)
	f.Fuzz(func(t *testing.T, addr []byte, v6 bool, typ int) {
		s, err := Family{n, v6}.NewSocket(ctx, 1+typ&1, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		i := s.(*Socket)
		_ = i.Bind(ctx, addr)
		_ = i.Connect(ctx, addr)
		_, _ = i.Send(ctx, &socket.Message{Bufs: uio.One([]byte("x")), Name: addr})
		_, _ = i.LocalName()
		i.Poll()
	})
}
