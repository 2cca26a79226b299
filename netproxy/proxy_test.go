package netproxy

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/waiter"

	"lazaret/netstack"
	"lazaret/syscalls/abi"
)

// patience bounds what a test waits for; it is no expectation.
const patience = 20 * time.Second

// inside is a sandbox's stack at the other end of the wire of a Proxy.
type inside struct {
	t *testing.T
	s *netstack.Stack
}

func start(t *testing.T, cfg Config) *inside {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Usec: 50000}); err != nil {
			t.Fatal(err)
		}
	}
	cfg.LinkFD = fds[1]
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- p.Serve() }()
	s := netstack.New()
	s.StartUp()
	if err := s.Apply(Guest(), fds[:1]); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = unix.Shutdown(fds[0], unix.SHUT_RDWR)
		if err := <-served; err == nil {
			t.Error("the proxy ended without a reason")
		}
		s.Close()
	})
	return &inside{t, s}
}

// program is an endpoint inside with blocking calls.
type program struct {
	t  *testing.T
	e  *netstack.Endpoint
	ch chan struct{}
}

func (p *program) NotifyEvent(waiter.EventMask) {
	select {
	case p.ch <- struct{}{}:
	default:
	}
}

func (in *inside) open(kind netstack.Kind, v6 bool) *program {
	in.t.Helper()
	p := &program{t: in.t, ch: make(chan struct{}, 1)}
	var err error
	if p.e, err = in.s.NewEndpoint(kind, v6, 0, p); err != nil {
		in.t.Fatal(err)
	}
	in.t.Cleanup(p.e.Close)
	return p
}

// wait calls f until it says something else than EAGAIN.
func (p *program) wait(f func() error) error {
	end := time.After(patience)
	for {
		if err := f(); err != abi.EAGAIN {
			return err
		}
		select {
		case <-p.ch:
		case <-time.After(10 * time.Millisecond):
		case <-end:
			return abi.ETIMEDOUT
		}
	}
}

func (p *program) connect(to netip.AddrPort) error {
	err := p.e.Connect(netstack.Addr{IP: to.Addr(), Port: to.Port()})
	if err != abi.EINPROGRESS {
		return err
	}
	return p.wait(func() error {
		if n := p.e.TakeError(); n != 0 {
			return n
		}
		switch p.e.State() {
		case abi.TCP_ESTABLISHED, abi.TCP_CLOSE_WAIT:
			return nil
		}
		return abi.EAGAIN
	})
}

func (p *program) read(n int) (string, error) {
	var b bytes.Buffer
	for b.Len() < n {
		err := p.wait(func() error {
			_, err := p.e.Read(&b, false)
			return err
		})
		if err != nil {
			return b.String(), err
		}
	}
	return b.String(), nil
}

func (p *program) write(b []byte) error {
	r := bytes.NewReader(b)
	for r.Len() > 0 {
		if err := p.wait(func() error {
			_, err := p.e.Write(r, &netstack.WriteOptions{})
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// listen opens a listener of the host and returns its address as the inside sees it.
func listen(t *testing.T, network, addr string) (net.Listener, netip.AddrPort) {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	at := l.Addr().(*net.TCPAddr).AddrPort()
	gate := gateway4
	if at.Addr().Is6() {
		gate = gateway6
	}
	return l, netip.AddrPortFrom(gate, at.Port())
}

// TestTCP: bytes both ways, ends and resets arrive as what they are, over both protocols.
func TestTCP(t *testing.T) {
	in := start(t, Config{HostLoopback: true})
	for name, addr := range map[string]string{"tcp4": "127.0.0.1:0", "tcp6": "[::1]:0"} {
		t.Run(name, func(t *testing.T) {
			l, to := listen(t, name, addr)
			c := in.open(netstack.TCP, to.Addr().Is6())
			if err := c.connect(to); err != nil {
				t.Fatal(err)
			}
			host, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			// The inside ends its direction; the host's goes on.
			if err := c.write([]byte("question")); err != nil {
				t.Fatal(err)
			}
			if err := c.e.Shutdown(false, true); err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(host); string(b) != "question" || err != nil {
				t.Fatalf("%q %v", b, err)
			}
			big := bytes.Repeat([]byte("0123456789"), 100000)
			go func(host net.Conn) {
				_, _ = host.Write(big)
				_ = host.Close()
			}(host)
			if got, err := c.read(len(big)); got != string(big) || err != nil {
				t.Fatalf("%d bytes of %d: %v", len(got), len(big), err)
			}
			if _, err := c.read(1); err != abi.EPIPE {
				t.Errorf("after the end: %v", err)
			}
			// A reset of the host's side.
			c = in.open(netstack.TCP, to.Addr().Is6())
			if err := c.connect(to); err != nil {
				t.Fatal(err)
			}
			if host, err = l.Accept(); err != nil {
				t.Fatal(err)
			}
			_ = host.(*net.TCPConn).SetLinger(0)
			_ = host.Close()
			if _, err := c.read(1); err != abi.ECONNRESET {
				t.Errorf("reset by the host: %v", err)
			}
			// And of the inside.
			c = in.open(netstack.TCP, to.Addr().Is6())
			if err := c.connect(to); err != nil {
				t.Fatal(err)
			}
			if host, err = l.Accept(); err != nil {
				t.Fatal(err)
			}
			c.e.Abort()
			_ = host.SetDeadline(time.Now().Add(patience))
			if _, err := host.Read(make([]byte, 1)); err == nil || err == io.EOF || cause(err) != unix.ECONNRESET {
				t.Errorf("reset by the inside: %v", err)
			}
			_ = l.Close()
			if err := in.open(netstack.TCP, to.Addr().Is6()).connect(to); err != abi.ECONNREFUSED {
				t.Errorf("a closed port: %v", err)
			}
		})
	}
}

// TestPolicy: what is the host's alone is not reached.
func TestPolicy(t *testing.T) {
	p := &Proxy{}
	for text, want := range map[string]bool{
		"1.2.3.4": true, "192.168.7.1": true, "10.0.3.1": true, "2001:db8::1": true, "fd66::1": true,
		"127.0.0.1": false, "127.9.9.9": false, "0.0.0.0": false, "0.1.2.3": false, "169.254.169.254": false,
		"224.0.0.1": false, "255.255.255.255": false, "240.0.0.1": false, "10.0.2.2": false, "10.0.2.55": false,
		"::": false, "::1": false, "::ffff:127.0.0.1": false, "::ffff:0:127.0.0.1": false, "fe80::1": false, "ff02::1": false,
		"fd00::2": false, "fd00::77": false,
	} {
		if _, ok := p.destination(netip.MustParseAddr(text)); ok != want {
			t.Errorf("%s: %v, want %v", text, ok, want)
		}
	}
	p.cfg.HostLoopback = true
	if to, ok := p.destination(gateway4); !ok || to != loopback4 {
		t.Errorf("the gateway, with host loopback: %v %v", to, ok)
	}
	// Refused on the wire, too.
	in := start(t, Config{})
	l, to := listen(t, "tcp4", "127.0.0.1:0")
	defer l.Close()
	if err := in.open(netstack.TCP, false).connect(to); err != abi.ECONNREFUSED {
		t.Errorf("the host's loopback: %v", err)
	}
	if err := in.open(netstack.TCP, false).connect(netip.MustParseAddrPort("169.254.169.254:80")); err != abi.EHOSTUNREACH {
		t.Errorf("a link-local address: %v", err)
	}
	if err := in.open(netstack.TCP, true).connect(netip.MustParseAddrPort("[fe80::1]:80")); err == nil {
		t.Error("a link-local address of IPv6 is reached")
	}
}

// packetConn opens a socket of the host and returns its address as the inside sees it.
func packetConn(t *testing.T) (*net.UDPConn, netip.AddrPort) {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, netip.AddrPortFrom(gateway4, c.LocalAddr().(*net.UDPAddr).AddrPort().Port())
}

func echo(c *net.UDPConn) {
	b := make([]byte, 64<<10)
	for {
		n, from, err := c.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		_, _ = c.WriteToUDPAddrPort(b[:n], from)
	}
}

// TestUDP: datagrams up to the largest come back; a closed port is refused.
func TestUDP(t *testing.T) {
	in := start(t, Config{HostLoopback: true})
	server, to := packetConn(t)
	go echo(server)
	c := in.open(netstack.UDP, false)
	if err := c.connect(to); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 1400, 40000, maxDatagram} {
		b := bytes.Repeat([]byte("x"), n)
		if err := c.write(b); err != nil {
			t.Fatal(n, err)
		}
		if got, err := c.read(n); len(got) != n || err != nil {
			t.Fatalf("%d bytes of %d: %v", len(got), n, err)
		}
	}
	_ = server.Close()
	c = in.open(netstack.UDP, false)
	if err := c.connect(to); err != nil {
		t.Fatal(err)
	}
	if err := c.write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.read(1); err != abi.ECONNREFUSED {
		t.Errorf("a closed port: %v", err)
	}
}

// TestPublished: connections and datagrams of the host arrive inside and are answered; a
// port where nobody listens is a reset.
func TestPublished(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u, _ := packetConn(t)
	in := start(t, Config{Published: []Published{
		{FD: fdOf(t, l.(*net.TCPListener)), Port: 80}, {FD: fdOf(t, dead.(*net.TCPListener)), Port: 81}, {FD: fdOf(t, u), UDP: true, Port: 53},
	}})
	server := in.open(netstack.TCP, false)
	if err := server.e.Bind(netstack.Addr{Port: 80}); err != nil {
		t.Fatal(err)
	}
	if err := server.e.Listen(10); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	conn := &program{t: t, ch: make(chan struct{}, 1)}
	var peer netstack.Addr
	if err := server.wait(func() (err error) {
		conn.e, peer, err = server.e.Accept()
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if peer.IP != gateway4 {
		t.Errorf("the peer is %v", peer.IP)
	}
	conn.e.Follow(conn)
	if _, err := io.WriteString(c, "question"); err != nil {
		t.Fatal(err)
	}
	if got, err := conn.read(8); got != "question" || err != nil {
		t.Fatal(got, err)
	}
	if err := conn.write([]byte("answer")); err != nil {
		t.Fatal(err)
	}
	conn.e.Close()
	if b, err := io.ReadAll(c); string(b) != "answer" || err != nil {
		t.Errorf("%q %v", b, err)
	}
	d, err := net.Dial("tcp4", dead.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = d.SetDeadline(time.Now().Add(patience))
	if _, err := d.Read(make([]byte, 1)); cause(err) != unix.ECONNRESET {
		t.Errorf("nobody listens inside: %v", err)
	}
	us := in.open(netstack.UDP, false)
	if err := us.e.Bind(netstack.Addr{Port: 53}); err != nil {
		t.Fatal(err)
	}
	client, err := net.Dial("udp4", u.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	_, _ = io.WriteString(client, "ping")
	var b bytes.Buffer
	var from netstack.Addr
	if err := us.wait(func() error {
		r, err := us.e.Read(&b, false)
		from = r.From
		return err
	}); err != nil || b.String() != "ping" {
		t.Fatal(b.String(), err)
	}
	if _, err := us.e.Write(bytes.NewReader([]byte("pong")), &netstack.WriteOptions{To: &from}); err != nil {
		t.Fatal(err)
	}
	_ = client.SetDeadline(time.Now().Add(patience))
	answer := make([]byte, 10)
	if n, err := client.Read(answer); string(answer[:n]) != "pong" || err != nil {
		t.Errorf("%q %v", answer[:n], err)
	}
}

// TestFlows: the oldest gives way, idle ones end.
func TestFlows(t *testing.T) {
	tb := newTable(2)
	ended := make(chan uint16, 10)
	add := func(port uint16, idle time.Duration) *flow {
		return tb.add(endpointID(port), idle, func() { ended <- port })
	}
	a, b := add(1, time.Hour), add(2, time.Hour)
	b.used.Store(1)
	a.touch()
	c := add(3, time.Millisecond)
	if got := <-ended; got != 2 {
		t.Errorf("%d gave way", got)
	}
	if got := <-ended; got != 3 {
		t.Errorf("%d was idle", got)
	}
	if c.end(); tb.find(endpointID(3)) != nil || tb.find(endpointID(1)) != a {
		t.Error("the table has the wrong flows")
	}
}

func endpointID(port uint16) stack.TransportEndpointID {
	return stack.TransportEndpointID{LocalPort: port}
}

// fdOf returns a copy of a socket's descriptor.
func fdOf(t *testing.T, c interface{ File() (*os.File, error) }) int {
	t.Helper()
	f, err := c.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

// TestQuestions: a resolver that refuses or stays silent makes the relay ask the next one.
func TestQuestions(t *testing.T) {
	q := questions{on: true}
	if q.again([]byte("aaquestion")) || q.again([]byte("bbquestion")) || !q.again([]byte("aaquestion")) {
		t.Error("the first one is not known again")
	}
	if last, ok := q.retry(3); !ok || string(last) != "aaquestion" {
		t.Errorf("after one refusal of three: %q %v", last, ok)
	}
	if _, ok := q.retry(3); !ok {
		t.Error("after two refusals of three")
	}
	if _, ok := q.retry(3); ok {
		t.Error("after three refusals of three")
	}
	for i := range 100 {
		q.again([]byte{byte(i), 'x'})
	}
	if len(q.ids) > maxQuestions {
		t.Errorf("%d ids are kept", len(q.ids))
	}
	if (&questions{}).again([]byte("aa")) {
		t.Error("again")
	}
}

// TestFlood: beginnings of connections are bounded, and the next honest one gets through.
func TestFlood(t *testing.T) {
	in := start(t, Config{HostLoopback: true})
	l, to := listen(t, "tcp4", "127.0.0.1:0")
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); _ = c.Close() }()
		}
	}()
	for range 300 {
		c := in.open(netstack.TCP, false)
		_ = c.e.Connect(netstack.Addr{IP: to.Addr(), Port: to.Port()})
		c.e.Abort()
	}
	c := in.open(netstack.TCP, false)
	if err := c.connect(to); err != nil {
		t.Fatal(err)
	}
	if err := c.write([]byte("still")); err != nil {
		t.Fatal(err)
	}
	if got, err := c.read(5); got != "still" || err != nil {
		t.Errorf("%q %v", got, err)
	}
}

// FuzzWire: whatever comes over the wire for the gateway's own addresses, it goes on.
func FuzzWire(f *testing.F) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		f.Fatal(err)
	}
	p, err := New(Config{LinkFD: fds[1]})
	if err != nil {
		f.Fatal(err)
	}
	go func() { _ = p.Serve() }()
	go func() { // what it answers is not looked at
		b := make([]byte, 70000)
		for {
			if n, err := unix.Read(fds[0], b); n <= 0 && err != unix.EINTR {
				return
			}
		}
	}()
	f.Add(byte(17), []byte{0, 9, 0, 53, 0, 9, 0, 0, 'x'})
	f.Add(byte(1), []byte{8, 0, 0, 0, 0, 1, 0, 1})
	f.Add(byte(6), make([]byte, 20))
	f.Fuzz(func(t *testing.T, proto byte, data []byte) {
		if len(data) > 60000 {
			return
		}
		frame := make([]byte, 10+14+20, 10+14+20+len(data))
		copy(frame[10:], gatewayMAC[:])
		copy(frame[16:], guestMAC[:])
		frame[0], frame[22], frame[24] = 1, 8, 0x45 // checksums are right; IPv4
		ip := frame[24:]
		ip[2], ip[3], ip[8], ip[9] = byte((20+len(data))>>8), byte(20+len(data)), 64, proto
		copy(ip[12:], guest4.AsSlice())
		copy(ip[16:], gateway4.AsSlice())
		sum := uint32(0)
		for i := 0; i < 20; i += 2 {
			sum += uint32(ip[i])<<8 | uint32(ip[i+1])
		}
		sum = sum>>16 + sum&0xffff
		sum += sum >> 16
		ip[10], ip[11] = ^byte(sum>>8), ^byte(sum)
		if err := unix.Sendto(fds[0], append(frame, data...), unix.MSG_NOSIGNAL, nil); err != nil {
			t.Fatal(err)
		}
	})
}
