package e2e

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// servers runs at the far end of the link: what programs in a sandbox talk to. It says
// "ready" when all of it listens.
const servers = `
import http.server, os, socket, socketserver, struct, sys, threading
a4, a6 = sys.argv[1:]
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"x" * int(self.path[1:])
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *a): pass
class Web(http.server.ThreadingHTTPServer):
    request_queue_size = 512; daemon_threads = True
class Web6(Web): address_family = socket.AF_INET6
def loop(f):
    threading.Thread(target=f, daemon=True).start()
def half(c):  # answers when the other side has ended its direction
    n = 0
    while True:
        b = c.recv(65536)
        if not b: break
        n += len(b)
    c.sendall(b"got %d" % n); c.close()
def reset(c):
    c.recv(1); c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); c.close()
def silent(c):
    c.recv(1); held.append(c)
held = []
def serve(port, f):
    l = socket.create_server((a4, port), backlog=512)
    def run():
        while True:
            c, _ = l.accept(); loop(lambda: f(c))
    loop(run)
def udp(family, addr, port, f):
    s = socket.socket(family, socket.SOCK_DGRAM); s.bind((addr, port))
    def run():
        while True:
            b, a = s.recvfrom(65536); r = f(b)
            if r: s.sendto(r, a)
    loop(run)
def dns(q):  # name.test has addresses, other names do not exist
    end = q.index(b"\0", 12) + 5
    typ, known = q[end-4:end-2], q[12:end-5] == b"\4name\4test"
    data = b""
    if known and typ == b"\0\1": data = socket.inet_aton(a4)
    if known and typ == b"\0\x1c": data = socket.inet_pton(socket.AF_INET6, a6)
    head = q[:2] + (b"\x81\x80" if known else b"\x81\x83") + b"\0\1" + (b"\0\1" if data else b"\0\0") + b"\0\0\0\0"
    return head + q[12:end] + (b"\xc0\x0c" + typ + b"\0\1\0\0\0\x3c" + struct.pack(">H", len(data)) + data if data else b"")
loop(Web((a4, 8001), Page).serve_forever); loop(Web6((a6, 8001), Page).serve_forever)
serve(7001, half); serve(7002, reset); serve(7003, silent)
udp(socket.AF_INET, a4, 7004, lambda b: b); udp(socket.AF_INET6, a6, 7004, lambda b: b); udp(socket.AF_INET, a4, 53, dns)
print("ready", flush=True)
threading.Event().wait()
`

// startServers runs the servers until the test ends.
func (v *veth) startServers() {
	v.t.Helper()
	cmd := exec.Command("nsenter", "--net=/run/netns/"+v.out, "python3", "-c", servers, outside4, outside6)
	out, err := cmd.StdoutPipe()
	if err != nil {
		v.t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	v.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if _, err := io.ReadFull(out, make([]byte, len("ready\n"))); err != nil {
		v.t.Fatalf("servers: %v", err)
	}
}

// host makes a runtime run where the near end of the link is its machine's network, with
// the far end as resolver of names.
func (v *veth) host(r *runtimeUnderTest) *runtimeUnderTest {
	v.t.Helper()
	dir := v.t.TempDir()
	resolv, bin := filepath.Join(dir, "resolv.conf"), filepath.Join(dir, "runsc")
	script := fmt.Sprintf("#!/bin/sh\nexec nsenter --net=/run/netns/%s unshare --mount sh -c 'mount --bind %s /etc/resolv.conf; exec \"$@\"' runsc %s \"$@\"\n", v.in, resolv, r.bin)
	for name, text := range map[string]string{resolv: "search corner.test\nnameserver " + outside4 + "\n", bin: script} {
		if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
			v.t.Fatal(err)
		}
	}
	near := exec.Command("nsenter", "--net=/run/netns/"+v.in, "sh", "-c", `echo "0 2147483647" > /proc/sys/net/ipv4/ping_group_range; ip route add unreachable 10.98.0.0/16`)
	if out, err := near.CombinedOutput(); err != nil {
		v.t.Fatalf("%v %s", err, out)
	}
	h := *r
	h.bin = bin
	return &h
}

// client is what a program sees of servers; it says the same wherever its network works.
const client = `
import errno, socket, sys, threading, urllib.request
a4, a6 = sys.argv[1:3]
def tell(what, f):
    try: print(what, f(), flush=True)
    except OSError as e: print(what, errno.errorcode.get(e.errno, e), flush=True)
def tcp(port, host=a4):
    s = socket.create_connection((host, port), timeout=30); return s
def half():
    s = tcp(7001)
    for i in range(20): s.sendall(b"y" * 50000)
    s.shutdown(socket.SHUT_WR); r = b""
    while True:
        b = s.recv(100)
        if not b: return r.decode()
        r += b
def reset():
    s = tcp(7002); s.sendall(b"x"); return s.recv(1)
def udp(family, host, n):
    s = socket.socket(family, socket.SOCK_DGRAM); s.settimeout(30); s.connect((host, 7004)); s.send(b"z" * n); return len(s.recv(65536))
def refused_udp():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(30); s.connect((a4, 9)); s.send(b"z"); return s.recv(1)
def names():
    return sorted({x[4][0] for x in socket.getaddrinfo("name.test", 80)})
def many():
    ok, lock = [], threading.Lock()
    def one():
        n = len(urllib.request.urlopen("http://%s:8001/10000" % a4, timeout=50).read())
        with lock: ok.append(n)
    ts = [threading.Thread(target=one) for _ in range(200)]
    for t in ts: t.start()
    for t in ts: t.join()
    return len(ok), sum(ok)
tell("v4", lambda: len(urllib.request.urlopen("http://%s:8001/5000000" % a4).read()))
tell("v6", lambda: len(urllib.request.urlopen("http://[%s]:8001/5000000" % a6).read()))
tell("half", half)
tell("reset", reset)
tell("refused", lambda: tcp(9))
tell("refused6", lambda: tcp(9, a6))
tell("unreachable", lambda: tcp(9, "10.98.0.1"))
for n in 1, 1400, 9000, 60000: tell("udp", lambda: udp(socket.AF_INET, a4, n))
tell("udp6", lambda: udp(socket.AF_INET6, a6, 9000))
tell("udp refused", refused_udp)
tell("names", names)
try: socket.getaddrinfo("nobody.test", 80)
except socket.gaierror as e: print("nobody", e.errno == socket.EAI_NONAME)
tell("many", many)
`

const clientSays = `v4 5000000
v6 5000000
half got 1000000
reset ECONNRESET
refused ECONNREFUSED
refused6 ECONNREFUSED
unreachable EHOSTUNREACH
udp 1
udp 1400
udp 9000
udp 60000
udp6 9000
udp refused ECONNREFUSED
names ['` + outside4 + `', '` + outside6 + `']
nobody True
many (200, 2000000)
`

// TestUserNetwork: programs reach the network of the host through the proxy, and what
// happens there is what they are told.
func TestUserNetwork(t *testing.T) {
	v := newVeth(t)
	v.startServers()
	r := v.host(ours(t))
	a := r.do(t, "", "do", "--network", "user", "python3", "-c", client, outside4, outside6)
	if a.code != 0 || a.out != clientSays {
		t.Errorf("exit %d\n%s\n%s\nwant\n%s", a.code, a.out, a.err, clientSays)
	}
	a = r.do(t, "", "do", "--network", "user", "sh", "-c", "cat /etc/resolv.conf; ip -o addr show dev eth0 | sed 's/ scope.*//'; ip route; ping -q -c 2 -i 0.2 "+outside4+" | grep -o ' 0% packet loss'; ping -q -c 2 -i 0.2 "+outside6+" | grep -o ' 0% packet loss'")
	for _, want := range []string{"search corner.test\nnameserver 10.0.2.3\n", "inet 10.0.2.100/24", "inet6 fd00::100/64", "default via 10.0.2.2 dev eth0", " 0% packet loss\n 0% packet loss\n"} {
		if !strings.Contains(a.out, want) {
			t.Errorf("no %q in\n%s%s", want, a.out, a.err)
		}
	}
	emptyState(t, r)
}

// TestUserNetworkLoopback: the host's own loopback is reached by the gateway's address, if
// that is asked for.
func TestUserNetworkLoopback(t *testing.T) {
	v := newVeth(t)
	r := v.host(ours(t))
	l := exec.Command("nsenter", "--net=/run/netns/"+v.in, "python3", "-c", `
import socket
l = socket.create_server(("127.0.0.1", 9000)); m = socket.create_server(("::1", 9000), family=socket.AF_INET6); print("ready", flush=True)
while True:
    for s in l, m: c, _ = s.accept(); c.sendall(b"hello"); c.close()`)
	out, err := l.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Process.Kill(); _ = l.Wait() })
	if _, err := io.ReadFull(out, make([]byte, len("ready\n"))); err != nil {
		t.Fatal(err)
	}
	ask := []string{"do", "--network", "user", "python3", "-c", `
import socket
for a in "10.0.2.2", "fd00::2":
    try: print(socket.create_connection((a, 9000), timeout=30).recv(9))
    except OSError as e: print(e.strerror)`}
	if a := r.do(t, "", ask...); a.out != "Connection refused\nConnection refused\n" {
		t.Errorf("without the flag: %q %q", a.out, a.err)
	}
	r.flags = append(r.flags, "--network-host-loopback")
	if a := r.do(t, "", ask...); a.out != "b'hello'\nb'hello'\n" {
		t.Errorf("with the flag: %q %q", a.out, a.err)
	}
}

// overHost is a container over the machine's own files.
func overHost(argv ...string) func(*specs.Spec) {
	return func(s *specs.Spec) {
		s.Root.Path, s.Process.Args = "/", argv
	}
}

// publishServer answers on a TCP and a UDP port; it says "ready" first.
const publishServer = `
import http.server, os, socket, threading
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = ("from %s to %d" % (self.client_address[0], self.server.server_port)).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *a): pass
class Web(http.server.ThreadingHTTPServer): request_queue_size = 512
for p in 80, 81: threading.Thread(target=Web(("", p), Page).serve_forever).start()
u = socket.socket(type=socket.SOCK_DGRAM); u.bind(("", 53))
print("ready", flush=True)
while True:
    b, a = u.recvfrom(65536); u.sendto(b[::-1], a)
`

// TestUserPublish: ports of the host lead to servers inside, at the addresses that were named
// and no others.
func TestUserPublish(t *testing.T) {
	v := newVeth(t)
	flags := []string{"--network", "user", "--publish", inside4 + ":8080-8081:80-81", "--publish", "[" + inside6 + "]:8080:80", "--publish", "5353:53/udp",
		"--publish", "127.0.0.1:8082:80", "--publish", "8083:99"}
	r := v.host(ours(t, flags...))
	b := newBundle(t, overHost("python3", "-c", publishServer))
	id, out := newID(), filepath.Join(t.TempDir(), "out")
	r.detachedTo(t, out, "run", "--detach", "--bundle", b.dir, id).must(t, "run")
	t.Cleanup(func() { nothingLeft(t, r, id) })
	awaitText(t, out, "ready\n")
	v.confinedProxy(netProxyOf(t, id))
	ask := fmt.Sprintf(`curl -s http://%[1]s:8080/; echo; curl -s http://%[1]s:8081/; echo; curl -g -s 'http://[%[2]s]:8080/'; echo
curl -s http://%[1]s:8082/; echo $?
python3 -c 'import socket
try: socket.create_connection(("%[1]s", 8083)).recv(1)
except ConnectionResetError: print("reset")'
python3 -c 'import socket, threading, urllib.request
ok = []
ts = [threading.Thread(target=lambda: ok.append(urllib.request.urlopen("http://%[1]s:8080/", timeout=50).read())) for i in range(200)]
for t in ts: t.start()
for t in ts: t.join()
print(len(ok))
for f, a in (socket.AF_INET, "%[1]s"), (socket.AF_INET6, "%[2]s"):
    s = socket.socket(f, socket.SOCK_DGRAM); s.settimeout(30); s.sendto(b"abc", (a, 5353)); print(s.recv(9))'`, inside4, inside6)
	// 7: refused, nobody has that address. Where nobody listens inside it is accepted and reset.
	want := "from 10.0.2.2 to 80\nfrom 10.0.2.2 to 81\nfrom 10.0.2.2 to 80\n7\nreset\n200\nb'cba'\nb'cba'\n"
	if got := v.outside(ask); got != want {
		t.Errorf("from outside:\n%s\nwant\n%s", got, want)
	}
	if a := r.do(t, "", "debug", "--net", id).must(t, "debug"); !strings.Contains(a.out, "published "+inside4+":8081/tcp -> 81\n") {
		t.Errorf("debug --net:\n%s", a.out)
	}
	// The port is taken as long as the sandbox lives.
	second := newBundle(t).run(r, "")
	if second.code == 0 || strings.Count(second.err, "\n") != 1 || !strings.Contains(second.err, "address already in use") {
		t.Errorf("a port in use: exit %d, %q", second.code, second.err)
	}
	r.do(t, "", "delete", "--force", id).must(t, "delete")
	if got := v.outside("curl -s http://" + inside4 + ":8080/; echo $?"); got != "7\n" {
		t.Errorf("after the end: %q", got)
	}
}

// confinedProxy checks what a network proxy was left with: the network, and nothing else.
func (v *veth) confinedProxy(pid int) {
	v.t.Helper()
	proc := fmt.Sprintf("/proc/%d/", pid)
	status := readAll(v.t, proc+"status")
	for _, want := range []string{"Uid:\t65534\t65534\t65534\t65534\n", "CapPrm:\t0000000000000000\n", "CapEff:\t0000000000000000\n",
		"CapBnd:\t0000000000000000\n", "NoNewPrivs:\t1\n", "Seccomp:\t2\n"} {
		if !strings.Contains(status, want) {
			v.t.Errorf("the proxy's status lacks %q:\n%s", want, status)
		}
	}
	if files, err := os.ReadDir(proc + "root/"); err != nil || len(files) != 0 {
		v.t.Errorf("the proxy's root: %v %v", files, err)
	}
	for _, ns := range []string{"net", "mnt", "pid", "ipc", "uts", "cgroup", "user"} {
		there, err := os.Stat(proc + "ns/" + ns)
		if err != nil {
			v.t.Error(err)
			continue
		}
		other := "/proc/self/ns/" + ns
		if ns == "net" {
			other = "/run/netns/" + v.in
		}
		if here, err := os.Stat(other); err != nil || os.SameFile(there, here) != (ns == "net") {
			v.t.Errorf("the proxy's %s namespace is not as it should be (%v)", ns, err)
		}
	}
	links, _ := filepath.Glob(proc + "fd/*")
	for _, l := range links {
		to, err := os.Readlink(l)
		if err == nil && !strings.HasPrefix(to, "socket:") && !strings.HasPrefix(to, "anon_inode:") && !strings.HasSuffix(to, "/null") && !strings.HasSuffix(to, "/netproxy.log") {
			v.t.Errorf("the proxy has %s", to)
		}
	}
}

// awaitText waits until a file begins with text.
func awaitText(t *testing.T, file, text string) {
	t.Helper()
	for end := time.Now().Add(commandLimit); ; time.Sleep(20 * time.Millisecond) {
		if data, err := os.ReadFile(file); err == nil && strings.Contains(string(data), text) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not say %q: %q", file, text, readAll(t, file))
		}
	}
}

// netProxyOf finds the network proxy of a container.
func netProxyOf(t *testing.T, id string) int {
	t.Helper()
	procs, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range procs {
		cmdline, _ := os.ReadFile(p + "/cmdline")
		if string(cmdline) == "runsc\x00netproxy\x00"+id+"\x00" {
			pid, _ := strconv.Atoi(filepath.Base(p))
			return pid
		}
	}
	t.Fatalf("%s has no network proxy", id)
	return 0
}

// TestUserProxyKilled: a sandbox whose proxy is gone has a dead link: its programs hear of it,
// and it ends as any other. A proxy whose Sentry is gone ends with it.
func TestUserProxyKilled(t *testing.T) {
	v := newVeth(t)
	v.startServers()
	r := v.host(ours(t, "--network", "user"))
	script := `
import errno, socket, sys
s = socket.create_connection((sys.argv[1], 7003)); s.sendall(b"x"); print("ready", flush=True)
try: s.recv(1)
except OSError as e: print("connection", errno.errorcode[e.errno])
try: socket.create_connection((sys.argv[1], 7003))
except OSError as e: print("again", errno.errorcode[e.errno], flush=True)
`
	b := newBundle(t, overHost("python3", "-c", script, outside4))
	id, out := newID(), filepath.Join(t.TempDir(), "out")
	r.detachedTo(t, out, "run", "--detach", "--bundle", b.dir, id).must(t, "run")
	t.Cleanup(func() { nothingLeft(t, r, id) })
	awaitText(t, out, "ready\n")
	if err := syscall.Kill(netProxyOf(t, id), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	awaitText(t, out, "again")
	if got := readAll(t, out); !strings.Contains(got, "connection ECONNRESET\n") || !strings.Contains(got, "again E") || strings.Contains(got, "ETIMEDOUT") {
		t.Errorf("the program says %q", got)
	}
	r.do(t, "", "delete", "--force", id).must(t, "delete")

	b = newBundle(t, forever)
	id = newID()
	r.detached(t, "run", "--detach", "--bundle", b.dir, id).must(t, "run")
	t.Cleanup(func() { nothingLeft(t, r, id) })
	for _, pid := range []int{processesOf(id)["sentry"][0]} {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	awaitGone(t, id, "after the Sentry was killed")
	r.do(t, "", "delete", "--force", id).must(t, "delete")
}

// TestUserKills: whatever of a sandbox with a proxy is killed, and when, nothing is left.
func TestUserKills(t *testing.T) {
	r, b := ours(t, "--network", "user", "--publish", "127.0.0.1::80"), newBundle(t, script1(busy))
	for i := range scenarios {
		for _, what := range []string{"runsc", "sentry", "netproxy"} {
			killRound(t, r, b, &scenarios[i], what)
		}
	}
	for range 60 {
		r.do(t, "", "list").must(t, "list")
		if entries, err := os.ReadDir(r.state); err != nil || len(entries) == 0 {
			break
		}
		time.Sleep(500 * time.Millisecond)
	}
	emptyState(t, r)
}

// TestUserNetworkBad: what cannot be is one line, and nothing is left.
func TestUserNetworkBad(t *testing.T) {
	for name, c := range map[string]struct {
		flags []string
		says  string
	}{
		"publish without user": {[]string{"--publish", "80:80"}, "--publish needs --network user"},
		"publish with none":    {[]string{"--network", "none", "--publish", "80:80"}, "--publish needs --network user"},
		"loopback":             {[]string{"--network-host-loopback"}, "needs --network user"},
		"mode":                 {[]string{"--network", "bridge"}, "want sandbox, none, user"},
		"protocol":             {[]string{"--network", "user", "--publish", "80:80/sctp"}, "neither tcp nor udp"},
		"number":               {[]string{"--network", "user", "--publish", "80:99999"}, "no port inside"},
		"ranges":               {[]string{"--network", "user", "--publish", "80-82:80-81"}, "3 ports of the host for 2 inside"},
		"address":              {[]string{"--network", "user", "--publish", "host.test:80:80"}, "is no address"},
		"not ours":             {[]string{"--network", "user", "--publish", "192.0.2.1:8080:80"}, "cannot assign requested address"},
	} {
		r := ours(t, c.flags...)
		a := newBundle(t).run(r, "")
		if a.code == 0 || strings.Count(a.err, "\n") != 1 || !strings.Contains(a.err, c.says) {
			t.Errorf("%s: exit %d, %q", name, a.code, a.err)
		}
		emptyState(t, r)
	}
}

// TestUserNetworkRootless: a user without privileges has it too.
func TestUserNetworkRootless(t *testing.T) {
	v := newVeth(t)
	v.startServers()
	r := v.host(ours(t))
	dir, err := os.MkdirTemp("/var/tmp", "lze2e-user-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	// The user must reach the binary.
	inner := *ours(t)
	data := readAll(t, inner.bin)
	inner.bin = filepath.Join(dir, "runsc")
	if err := os.WriteFile(inner.bin, []byte(data), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{dir, inner.bin} {
		if err := os.Chown(p, 4242, 4242); err != nil {
			t.Fatal(err)
		}
	}
	script := fmt.Sprintf("#!/bin/sh\nexec nsenter --net=/run/netns/%s setpriv --reuid=4242 --regid=4242 --clear-groups -- %s \"$@\"\n", v.in, inner.bin)
	if err := os.WriteFile(r.bin, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	r.state = filepath.Join(dir, "state")
	a := r.do(t, "", "do", "--network", "user", "--cwd", "/", "sh", "-c", "curl -s http://"+outside4+":8001/100000 | wc -c; id -u")
	if a.code != 0 || a.out != "100000\n4242\n" {
		t.Errorf("exit %d, %q %q", a.code, a.out, a.err)
	}
}
