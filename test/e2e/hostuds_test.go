package e2e

import (
	"bufio"
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// udsClient is what a program finds at the Unix sockets in the directory of its argument. What
// its argument "host" adds differs by design: who the peer is, and that no descriptor crosses.
const udsClient = `
import array, errno, fcntl, os, select, socket, struct, sys, threading
d = sys.argv[1]
def name(f):
    try: return f()
    except OSError as e: return errno.errorcode[e.errno]
for kind, t in ("stream", socket.SOCK_STREAM), ("seqpacket", socket.SOCK_SEQPACKET):
    path = d + "/" + kind
    s = socket.socket(socket.AF_UNIX, t); s.connect(path); print(kind, s.getpeername() == path, s.getsockname() == "", s.getsockopt(1, socket.SO_TYPE), s.getsockopt(1, socket.SO_ERROR))
    e = select.epoll(); e.register(s, select.EPOLLIN | select.EPOLLET); print(e.poll(0)); s.sendall(b"hello"); print(e.poll(20)[0][1])
    n = array.array("i", [0]); fcntl.ioctl(s, 0x541b, n); print(n[0], s.recv(9, socket.MSG_PEEK), s.recv(2), name(lambda: s.recv(9, socket.MSG_DONTWAIT)))
    s.setblocking(False); print(name(lambda: s.recv(1))); s.setblocking(True)
    s.setsockopt(1, socket.SO_RCVTIMEO, struct.pack("ll", 0, 20000)); print(name(lambda: s.recv(1))); s.setsockopt(1, socket.SO_RCVTIMEO, struct.pack("ll", 0, 0))
    os.write(s.fileno(), b"by write"); print(os.read(s.fileno(), 20)); print(s.sendmsg([b"a", b"b"]), s.recvmsg(20, 100)[:3])
    print(name(lambda: s.connect(path)))
    if kind == "stream":
        w = threading.Thread(target=s.sendall, args=(b"x" * 1000000,)); w.start(); got = 0
        while got < 1000000: got += len(s.recv(65536))
        w.join(); print(got, s.sendfile(open("/etc/passwd", "rb"), 0, 100), len(s.recv(100, socket.MSG_WAITALL)))
    else:
        s.sendall(b"long"); print(s.recvmsg(2)[::2])
    if sys.argv[2:]:
        print(struct.unpack("3i", s.getsockopt(1, socket.SO_PEERCRED, 12)), name(lambda: socket.send_fds(s, [b"x"], [0])))
    s.shutdown(socket.SHUT_WR); print(s.recv(9), [m for _, m in e.poll(20)][0] & 0x2011); s.close()
s = socket.socket(socket.AF_UNIX); print(name(lambda: s.connect(d + "/dgram")), name(lambda: s.connect(d + "/gone")), name(lambda: s.connect(d + "/dead")))
g = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); print(g.sendto(b"by name", d + "/dgram"), name(lambda: g.send(b"x")))
g.connect(d + "/dgram"); print(g.send(b"connected"), select.select([], [g], [], 0)[1] == [g])
`

// udsServers answers on sockets in a new directory, in small letters; datagrams come on the
// channel.
func udsServers(t *testing.T) (dir string, datagrams chan string) {
	t.Helper()
	dir, datagrams = t.TempDir(), make(chan string, 10)
	for _, kind := range []struct{ name, network string }{{"stream", "unix"}, {"seqpacket", "unixpacket"}} {
		l, err := net.Listen(kind.network, filepath.Join(dir, kind.name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer c.Close()
					buf := make([]byte, 1<<17)
					for {
						n, err := c.Read(buf)
						if n == 0 || err != nil {
							return
						}
						if _, err := c.Write(bytes.ToUpper(buf[:n])); err != nil {
							return
						}
					}
				}()
			}
		}()
	}
	g, err := net.ListenPacket("unixgram", filepath.Join(dir, "dgram"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	go func() {
		buf := make([]byte, 100)
		for {
			n, _, err := g.ReadFrom(buf)
			if err != nil {
				return
			}
			datagrams <- string(buf[:n])
		}
	}()
	dead, err := net.Listen("unix", filepath.Join(dir, "dead"))
	if err != nil {
		t.Fatal(err)
	}
	dead.(*net.UnixListener).SetUnlinkOnClose(false)
	dead.Close()
	return dir, datagrams
}

// TestHostSockets: programs use Unix sockets of the host as natively, through a bind mount and
// through the root, if that was asked for.
func TestHostSockets(t *testing.T) {
	dir, datagrams := udsServers(t)
	native, err := exec.Command("python3", "-c", udsClient, dir).CombinedOutput()
	if err != nil {
		t.Fatalf("native: %v\n%s", err, native)
	}
	r := ours(t, "--host-uds")
	for what, args := range map[string][]string{
		"a bind mount":           {"do", "--volume", dir + ":/mnt", "python3", "-c", udsClient, "/mnt"},
		"a read-only bind mount": {"do", "--volume", dir + ":/mnt:ro", "python3", "-c", udsClient, "/mnt"},
		"an overlay":             {"--overlay", "all", "do", "--volume", dir + ":/mnt", "python3", "-c", udsClient, "/mnt"},
	} {
		if a := r.do(t, "", args...); a.code != 0 || a.out != string(native) {
			t.Errorf("%s: exit %d\n%s%s\nwant\n%s", what, a.code, a.out, a.err, native)
		}
	}
	for range 4 {
		for _, want := range []string{"by name", "connected"} {
			if got := <-datagrams; got != want {
				t.Errorf("datagram %q, want %q", got, want)
			}
		}
	}
	a := r.do(t, "", "do", "--volume", dir+":/mnt", "python3", "-c", udsClient, "/mnt", "host")
	if got := strings.Count(a.out, "(0, 65534, 65534) EPERM\n"); got != 2 {
		t.Errorf("who the peer is, and descriptors: %d\n%s%s", got, a.out, a.err)
	}
	const connect = "import socket; socket.socket(socket.AF_UNIX).connect('/mnt/s')"
	if a := r.do(t, "", "do", "--volume", filepath.Join(dir, "stream")+":/mnt/s", "python3", "-c", connect); a.code != 0 {
		t.Errorf("a socket bound alone: exit %d %s", a.code, a.err)
	}
	// A mount's permissions count, and nothing works unasked.
	if err := os.Chmod(filepath.Join(dir, "stream"), 0o700); err != nil {
		t.Fatal(err)
	}
	user := "import os; os.setuid(1000)\n" + connect
	if a := r.do(t, "", "do", "--volume", filepath.Join(dir, "stream")+":/mnt/s", "python3", "-c", user); !strings.Contains(a.err, "PermissionError") {
		t.Errorf("another user: exit %d %s", a.code, a.err)
	}
	r = ours(t)
	if a := r.do(t, "", "do", "--volume", filepath.Join(dir, "stream")+":/mnt/s", "python3", "-c", connect); !strings.Contains(a.err, "ConnectionRefusedError") {
		t.Errorf("unasked: exit %d %s", a.code, a.err)
	}
	emptyState(t, r)
}

// TestHostFIFOs: FIFOs lead to processes of the host if that was asked for, else nowhere.
func TestHostFIFOs(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"in", "out"} {
		if err := unix.Mkfifo(filepath.Join(dir, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // what the container does is the same for who comes first
		b := newBundle(t, script1("read x < /mnt/in; echo got $x > /mnt/out"), func(s *specs.Spec) {
			s.Mounts = append(s.Mounts, specs.Mount{Destination: "/mnt", Type: "bind", Source: dir, Options: []string{"bind"}})
		})
		done := make(chan answer, 1)
		r := ours(t, "--host-uds")
		go func() { done <- b.run(r, "") }()
		out, err := exec.Command("sh", "-c", "echo hello > "+dir+"/in; cat "+dir+"/out").Output()
		if a := <-done; a.code != 0 || err != nil || string(out) != "got hello\n" {
			t.Errorf("exit %d, %q %q %v", a.code, out, a.err, err)
		}
	}
	a := ours(t).do(t, "", "do", "--volume", dir+":/mnt", "sh", "-c", "cat /mnt/in & echo own > /mnt/in; wait")
	if a.code != 0 || a.out != "own\n" {
		t.Errorf("unasked: exit %d %q %q", a.code, a.out, a.err)
	}
}

// udsServer serves at sockets that it makes in the directory of its argument, each twice, then
// one that it closes and one that it removes.
const udsServer = `
import os, select, socket, sys
d = sys.argv[1]
kinds = {"stream": socket.SOCK_STREAM, "seqpacket": socket.SOCK_SEQPACKET, "dgram": socket.SOCK_DGRAM}
socks, by, left, e = [], {}, {}, select.epoll()
os.umask(0o027)
for kind, t in kinds.items():
    s = socket.socket(socket.AF_UNIX, t); s.bind(d + "/" + kind)
    if kind != "dgram": s.listen(5)
    e.register(s, select.EPOLLIN); by[s.fileno()] = (kind, s); left[kind] = 3
try: socket.socket(socket.AF_UNIX).bind(d + "/stream")
except OSError as x: print(x.strerror)
os.chown(d + "/dgram", 7, 8)
# A program beside it does not go over the host: a descriptor crosses.
if os.fork() == 0:
    c = socket.socket(socket.AF_UNIX); c.connect(d + "/stream"); socket.send_fds(c, [b"inside"], [0]); c.recv(9)
    c = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); c.connect(d + "/seqpacket"); c.send(b"inside"); c.recv(9)
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"inside", d + "/dgram"); os._exit(0)
said = []
def serve():
    for fd, _ in e.poll():
        kind, s = by[fd]
        if kind == "dgram": got, fds, c = s.recv(99), [], None
        else:
            c, _ = s.accept(); got, fds, _, _ = socket.recv_fds(c, 99, 4); c.sendall(got.upper())
        said.append((kind, got.decode(), len(fds))); left[kind] -= 1
        if sum(left.values()) == 6: print("ready", flush=True) # what is inside is done
while any(left.values()): serve()
os.wait()
for x in sorted(said): print(*x)
for kind, s in by.values(): s.close()
g = socket.socket(socket.AF_UNIX); g.bind(d + "/gone"); g.listen(1); os.unlink(d + "/gone")
open(d + "/end", "w").close(); print("closed", flush=True); sys.stdin.read()
`

// TestHostBind: what a program binds in a bind mount is a socket of the host, to which programs
// there connect, as long as it listens.
func TestHostBind(t *testing.T) {
	for _, name := range []string{"native", "ours"} {
		dir := t.TempDir()
		cmd := exec.Command("unshare", "-m", "sh", "-c", `mount --bind "$1" /mnt && exec python3 -c "$2" /mnt`, "sh", dir, udsServer)
		if name == "ours" {
			cmd = ours(t, "--host-uds").command(t.Context(), "do", "--volume", dir+":/mnt", "python3", "-c", udsServer, "/mnt")
		}
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		var errs bytes.Buffer
		cmd.Stderr = &errs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		said := ""
		until := func(word string) {
			for lines.Scan() {
				if lines.Text() == word {
					return
				}
				said += lines.Text() + "\n"
			}
			t.Fatalf("%s: ended before %q\n%s%s", name, word, said, errs.String())
		}
		until("ready")
		hostClients(t, name, dir)
		until("closed")
		for _, gone := range []string{"stream", "gone"} {
			if c, err := net.Dial("unix", filepath.Join(dir, gone)); err == nil {
				t.Errorf("%s: %s can be connected to after its end", name, gone)
				c.Close()
			}
		}
		in.Close()
		const want = "Address already in use\ndgram host0 0\ndgram host1 0\ndgram inside 0\nseqpacket host0 0\nseqpacket host1 0\nseqpacket inside 0\nstream host0 0\nstream host1 0\nstream inside 1\n"
		if err := cmd.Wait(); err != nil || said != want {
			t.Errorf("%s: %v\n%s%s\nwant\n%s", name, err, said, errs.String(), want)
		}
	}
	const bind = "import socket; s = socket.socket(socket.AF_UNIX); s.bind('/mnt/s'); s.listen(1)"
	for _, tc := range []struct{ volume, flag, says string }{
		{":/mnt:ro", "--host-uds", "Read-only file system"}, {":/mnt", "--debug", ""},
	} {
		dir := t.TempDir()
		a := ours(t, tc.flag).do(t, "", "do", "--volume", dir+tc.volume, "python3", "-c", bind)
		if !strings.Contains(a.err, tc.says) || (a.code == 0) != (tc.says == "") {
			t.Errorf("%v: exit code %d\n%s", tc, a.code, a.err)
		}
	}
}

// hostClients connects as a program of the host.
func hostClients(t *testing.T, name, dir string) {
	t.Helper()
	st, err := os.Stat(filepath.Join(dir, "stream"))
	if err != nil || st.Mode() != os.ModeSocket|0o750 {
		t.Errorf("%s: mode %v, %v", name, st.Mode(), err)
	}
	if st, err := os.Stat(filepath.Join(dir, "dgram")); err != nil || st.Sys().(*syscall.Stat_t).Uid != 7 || st.Sys().(*syscall.Stat_t).Gid != 8 {
		t.Errorf("%s: the owner is not what was asked for, %v", name, err)
	}
	for i, network := range []string{"unix", "unixpacket", "unix", "unixpacket", "unixgram", "unixgram"} {
		file := map[string]string{"unix": "stream", "unixpacket": "seqpacket", "unixgram": "dgram"}[network]
		c, err := net.Dial(network, filepath.Join(dir, file))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := c.Write([]byte("host" + string("001101"[i]))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if file != "dgram" {
			buf := make([]byte, 9)
			if n, err := c.Read(buf); err != nil || string(buf[:n]) != "HOST"+string("001101"[i]) {
				t.Errorf("%s: %s answers %q, %v", name, file, buf[:n], err)
			}
		}
		c.Close()
	}
}
