package e2e

import (
	"net"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// hostClient is what a program finds where its sockets are the host's.
const hostClient = `
import array, asyncio, errno, fcntl, os, select, socket, struct, sys, tempfile, threading
a4, a6 = sys.argv[1:3]
def name(f):
    try: return f()
    except OSError as e: return errno.errorcode[e.errno]
async def echo(r, w):
    while b := await r.read(65536): w.write(b); await w.drain()
    w.close()
async def one(port, i):
    r, w = await asyncio.open_connection("127.0.0.1", port)
    b = b"%d" % i * 20000; w.write(b); w.write_eof(); got = await r.read(-1); w.close()
    return got == b
async def many():
    s = await asyncio.start_server(echo, "127.0.0.1", 0, backlog=512)
    return sum(await asyncio.gather(*[one(s.sockets[0].getsockname()[1], i) for i in range(200)]))
print("asyncio", asyncio.run(many()))
l = socket.create_server(("127.0.0.1", 0)); c = socket.create_connection(l.getsockname()); s, peer = l.accept()
print("names", peer == c.getsockname(), c.getpeername() == l.getsockname())
e = select.epoll(); e.register(s, select.EPOLLIN | select.EPOLLET)
print("epoll", e.poll(0.05)); c.send(b"abc"); print("epoll", [m for _, m in e.poll(20)], e.poll(0.05)); c.send(b"d"); print("bytes", s.recv(4, socket.MSG_WAITALL))
print("again", e.poll(0.05)); c.send(b"xyz"); print("epoll", [m for _, m in e.poll(20)])
n = array.array("i", [0]); fcntl.ioctl(s, 0x541b, n); print("FIONREAD", n[0], s.recv(9, socket.MSG_PEEK), s.recv(9))
s.setblocking(False); print("nonblock", name(lambda: s.recv(1)))
s.settimeout(None); s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 50000)); print("timeout", name(lambda: s.recv(1)))
f = tempfile.TemporaryFile(); f.write(b"q" * 300000); f.flush(); f.seek(0)
got = []
def drain():
    n = 0
    while n < 300000: n += len(s.recv(65536))
    got.append(n)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 0))
t = threading.Thread(target=drain); t.start(); off = 0
while off < 300000: off += os.sendfile(c.fileno(), f.fileno(), off, 300000 - off)
t.join(); print("sendfile", got)
for level, opt in (6, socket.TCP_NODELAY), (1, socket.SO_KEEPALIVE), (0, socket.IP_TOS), (6, socket.TCP_USER_TIMEOUT):
    c.setsockopt(level, opt, 16); print("option", c.getsockopt(level, opt))
print("info", len(c.getsockopt(6, socket.TCP_INFO, 104)), c.getsockopt(1, socket.SO_ERROR), c.getsockopt(1, socket.SO_TYPE), l.getsockopt(1, socket.SO_ACCEPTCONN))
print("refused options", name(lambda: c.setsockopt(1, 36, 1)), name(lambda: c.setsockopt(1, 25, b"lo")), name(lambda: c.setsockopt(6, 999, 1)), name(lambda: c.setsockopt(0, 64, b"x" * 40)))
u = socket.socket(type=socket.SOCK_DGRAM); u.bind(("127.0.0.1", 0)); u.setsockopt(0, 8, 1); u.setsockopt(0, 12, 1)
v = socket.socket(type=socket.SOCK_DGRAM); v.sendmsg([b"one", b"two"], [(0, 2, struct.pack("i", 7))], 0, u.getsockname())
data, cmsgs, flags, _ = u.recvmsg(4, 200); print("cmsg", data, flags == socket.MSG_TRUNC, sorted((l, t, len(d)) for l, t, d in cmsgs), [d[0] for l, t, d in cmsgs if t == 2])
x = socket.socket(socket.AF_INET6); x.bind(("::", 0)); x.listen(); y = socket.create_connection(("127.0.0.1", x.getsockname()[1])); print("dual", x.accept()[1][0])
w = socket.socket(); w.setblocking(False); print("connect", name(lambda: w.connect(l.getsockname()))); select.select([], [w], [], 20); print("connected", w.getsockopt(1, 4))
c.setsockopt(1, socket.SO_LINGER, struct.pack("ii", 1, 0)); c.close(); print("reset", name(lambda: s.recv(1)))
print("raw", name(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)), name(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132)))
p = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 1); p.settimeout(20); p.sendto(b"\x08\0\0\0\0\0\0\1hello", (a4, 0)); print("ping", p.recv(99)[-5:])
print("abstract", name(lambda: socket.socket(socket.AF_UNIX).connect("\0lazaret-test")))
print("in use", name(lambda: socket.create_server((sys.argv[3], int(sys.argv[4])))))
`

const hostClientSays = `asyncio 200
names True True
epoll []
epoll [1] []
bytes b'abcd'
again []
epoll [1]
FIONREAD 3 b'xyz' b'xyz'
nonblock EAGAIN
timeout EAGAIN
sendfile [300000]
option 1
option 1
option 16
option 16
info 104 0 1 1
refused options EPERM EPERM ENOPROTOOPT ENOPROTOOPT
cmsg b'onet' True [(0, 2, 4), (0, 8, 12)] [7]
dual ::ffff:127.0.0.1
connect EINPROGRESS
connected 0
reset ECONNRESET
raw EPERM EPROTONOSUPPORT
ping b'hello'
abstract ECONNREFUSED
in use EADDRINUSE
`

// TestHostNetwork: sockets are the host's, with what programs expect of them.
func TestHostNetwork(t *testing.T) {
	v := newVeth(t)
	v.startServers()
	r := v.host(ours(t, "--network", "host"))
	if a := r.do(t, "", "do", "python3", "-c", client, outside4, outside6); a.code != 0 || a.out != clientSays {
		t.Errorf("exit %d\n%s\n%s\nwant\n%s", a.code, a.out, a.err, clientSays)
	}
	// The test's own names are not those of a sandbox.
	l, err := net.Listen("unix", "@lazaret-test")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	v.serve("/", "nsenter", "--net=/run/netns/"+v.in, "python3", "-c", "import socket, time; l = socket.create_server(('127.0.0.1', 9001)); m = socket.socket(socket.AF_UNIX); m.bind('\\0lazaret-test'); m.listen(); time.sleep(600)")
	v.outside("nsenter --net=/run/netns/" + v.in + " sh -c 'for i in $(seq 100); do nc -z 127.0.0.1 9001 && exit; sleep 0.1; done; exit 1'")
	if a := r.do(t, "", "do", "python3", "-c", hostClient, outside4, outside6, "127.0.0.1", "9001"); a.code != 0 || a.out != hostClientSays {
		t.Errorf("exit %d\n%s\n%s\nwant\n%s", a.code, a.out, a.err, hostClientSays)
	}
	a := r.do(t, "", "do", "sh", "-c", "ip -o addr show dev eth7; ip route; ip link set eth7 down; ip addr add 10.1.1.1/24 dev eth7; cat /proc/net/dev; unshare -n ip -o link")
	for _, want := range []string{inside4 + "/24", inside6 + "/64", "default via " + outside4, "  eth7:", "Operation not permitted"} {
		if !strings.Contains(a.out+a.err, want) {
			t.Errorf("no %q in\n%s%s", want, a.out, a.err)
		}
	}
	emptyState(t, r)
}

// TestHostNetworkPath: the namespace of sockets is the one that the configuration names.
func TestHostNetworkPath(t *testing.T) {
	v := newVeth(t)
	v.startServers()
	b := v.networked("curl -s http://" + outside4 + ":8001/1000 | wc -c; ip -o addr show dev eth7 | grep -c " + inside4)
	if a := b.run(ours(t, "--network", "host"), ""); a.code != 0 || a.out != "1000\n1\n" {
		t.Errorf("exit %d, %q %q", a.code, a.out, a.err)
	}
	// The sockets of a proxy are there, too.
	b = v.networked("curl -s http://" + outside4 + ":8001/1000 | wc -c; ip -o addr show dev eth0 | grep -c 10.0.2.100")
	if a := b.run(ours(t, "--network", "user"), ""); a.code != 0 || a.out != "1000\n1\n" {
		t.Errorf("user: exit %d, %q %q", a.code, a.out, a.err)
	}
	missing := newBundle(t, func(s *specs.Spec) {
		for i := range s.Linux.Namespaces {
			if n := &s.Linux.Namespaces[i]; n.Type == specs.NetworkNamespace {
				n.Path = "/run/netns/does-not-exist"
			}
		}
	})
	for _, mode := range []string{"host", "user"} {
		if a := missing.run(ours(t, "--network", mode), ""); a.code == 0 || strings.Count(a.err, "\n") != 1 || !strings.Contains(a.err, "/run/netns/does-not-exist") {
			t.Errorf("%s: exit %d, %q", mode, a.code, a.err)
		}
	}
}

// TestHostNetworkCalls: the Sentry may make sockets in this mode, and in no other.
func TestHostNetworkCalls(t *testing.T) {
	for mode, want := range map[string]bool{"host": true, "user": false, "sandbox": false, "none": false} {
		for _, platform := range []string{"trap", "ptrace"} {
			a := ours(t, "--network", mode, "--platform", platform).do(t, "", "debug", "--host-syscalls").must(t, "debug")
			for _, call := range []string{"socket", "bind", "connect", "listen", "setsockopt", "getsockopt"} {
				if got := strings.Contains(a.out, "\n"+call+" "); got != want {
					t.Errorf("%s on %s: %s is allowed: %v", mode, platform, call, got)
				}
			}
		}
	}
}

// TestInheritedNetwork: without a network namespace in the configuration the network is the
// runtime's own, unless a flag or an annotation says otherwise.
func TestInheritedNetwork(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("from the host\n"))
			c.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	b := newBundle(t, script1("nc 127.0.0.1 "+port+" </dev/null 2>/dev/null || echo nobody"), func(s *specs.Spec) {
		s.Linux.Namespaces = slices.DeleteFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.NetworkNamespace })
	})
	annotated := newBundle(t, func(s *specs.Spec) {
		*s = *b.spec
		s.Annotations = map[string]string{"dev.lazaret.network": "sandbox"}
	})
	for _, c := range []struct {
		name string
		b    *bundle
		r    *runtimeUnderTest
		want string
	}{
		{"annotation", annotated, ours(t), "nobody\n"}, {"flag", b, ours(t, "--network", "sandbox"), "nobody\n"},
		{"runsc", b, ours(t), "from the host\n"}, {"runc", b, peerRunc(t), "from the host\n"},
	} {
		if c.name == "runc" {
			b.privateRoot()
		}
		if a := c.b.run(c.r, ""); a.out != c.want || a.code != 0 {
			t.Errorf("%s: exit %d, %q %q, want %q", c.name, a.code, a.out, a.err, c.want)
		}
	}
}
