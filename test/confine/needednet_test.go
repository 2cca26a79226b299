package confine

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"lazaret/runsc/seccomp"
)

// networkUser makes the network proxy use its host calls: connections and datagrams both
// ways, ends and resets.
func (r *recorder) networkUser(t *testing.T) {
	t.Helper()
	r.mu.Lock()
	r.sentry = seccomp.SentryTrap
	r.mu.Unlock()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	u, err := net.ListenPacket("udp4", "127.0.0.1:0")
	must(t, err)
	defer u.Close()
	go answerStreams(l)
	go answerPackets(u)
	tcp, udp := freePort(t, "tcp4"), freePort(t, "udp4")
	done := make(chan struct{})
	go func() {
		defer close(done)
		askPublished(tcp, udp)
	}()
	script := fmt.Sprintf(`
import socket, struct
for p in 1, 2, 3:
    s = socket.create_connection(("10.0.2.2", %[1]s)); s.sendall(b"x" * 100000); s.shutdown(socket.SHUT_WR)
    while s.recv(65536): pass
s = socket.create_connection(("10.0.2.2", %[1]s)); s.sendall(b"x")
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); s.close()
l = socket.create_server(("", 80)); d = socket.socket(type=socket.SOCK_DGRAM); d.bind(("", 53))
u = socket.socket(type=socket.SOCK_DGRAM); u.sendto(b"x", ("10.0.2.2", %[2]s)); u.recv(9)
b, a = d.recvfrom(9); d.sendto(b, a)
c, _ = l.accept(); c.sendall(c.recv(9)); c.close()
d.settimeout(2)
try:
    while True: b, a = d.recvfrom(9); d.sendto(b, a)
except TimeoutError: pass
`, portOf(l.Addr()), portOf(u.LocalAddr()))
	r.run(t, nil, "--network", "user", "--network-host-loopback", "--publish", "127.0.0.1:"+tcp+":80", "--publish", "127.0.0.1:"+udp+":53/udp",
		"--host-uds", "--platform", "trap", "do", "--", "python3", "-c", script)
	<-done
}

// networkHost makes the Sentry use the calls that it has with sockets of the host.
func (r *recorder) networkHost(t *testing.T) {
	t.Helper()
	r.mu.Lock()
	r.sentry = seccomp.SentryTrapHostNet
	r.mu.Unlock()
	const script = `
import socket
l = socket.create_server(("127.0.0.1", 0)); c = socket.create_connection(l.getsockname()); c.getpeername()
for level, name in (6, socket.TCP_NODELAY), (0, socket.IP_TTL), (1, socket.SO_KEEPALIVE):
    c.setsockopt(level, name, 1); c.getsockopt(level, name)
u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); u.setsockopt(41, socket.IPV6_V6ONLY, 1); u.getsockopt(41, socket.IPV6_V6ONLY)
`
	r.run(t, nil, "--network", "host", "--host-uds", "--platform", "trap", "do", "--", "python3", "-c", script)
}

func portOf(a net.Addr) string {
	_, port, _ := net.SplitHostPort(a.String())
	return port
}

// freePort returns the number of a port that nobody has.
func freePort(t *testing.T, network string) string {
	t.Helper()
	if strings.HasPrefix(network, "udp") {
		c, err := net.ListenPacket(network, "127.0.0.1:0")
		must(t, err)
		defer c.Close()
		return portOf(c.LocalAddr())
	}
	l, err := net.Listen(network, "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return portOf(l.Addr())
}

func answerStreams(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			_, _ = io.Copy(c, c)
		}()
	}
}

func answerPackets(c net.PacketConn) {
	b := make([]byte, 9)
	for {
		n, from, err := c.ReadFrom(b)
		if err != nil {
			return
		}
		_, _ = c.WriteTo(b[:n], from)
	}
}

// askPublished asks until the servers inside have answered.
func askPublished(tcp, udp string) {
	var gotTCP, gotUDP bool
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end) && !(gotTCP && gotUDP); time.Sleep(50 * time.Millisecond) {
		if c, err := net.Dial("udp4", "127.0.0.1:"+udp); err == nil && !gotUDP {
			gotUDP = exchange(c)
		}
		if c, err := net.Dial("tcp4", "127.0.0.1:"+tcp); err == nil && !gotTCP {
			gotTCP = exchange(c)
		}
	}
}

func exchange(c net.Conn) bool {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	_, _ = c.Write([]byte("x"))
	n, err := c.Read(make([]byte, 1))
	return n == 1 && err == nil
}
