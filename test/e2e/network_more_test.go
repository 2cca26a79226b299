package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// unkind is a server whose connections end badly, by the letter that they begin with: r is
// reset, at s the link goes down for a while, everything else comes back.
const unkind = `
import os, socket, struct, threading, time
l = socket.create_server(("%s", 8005))
def serve(c):
    k = c.recv(1)
    if k == b"r":
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); c.close()
    elif k == b"s":
        c.sendall(b"k"); time.sleep(0.3); os.system("ip link set peer7 down"); time.sleep(6); os.system("ip link set peer7 up")
    else:
        c.sendall(k); c.close()
while True: threading.Thread(target=serve, args=l.accept()[:1]).start()
`

// TestNetworkFailures: a reset, a peer that is gone without a word, and a link that was down.
func TestNetworkFailures(t *testing.T) {
	v := newVeth(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "unkind.py"), fmt.Appendf(nil, unkind, outside4), 0o644); err != nil {
		t.Fatal(err)
	}
	v.serve(dir, "python3", "unkind.py")
	a := v.networked(fmt.Sprintf(`cat > /tmp/c.py <<'P'
import errno, socket, time
def trial(name, f):
    try: r = f()
    except OSError as e: r = errno.errorcode.get(e.errno, e)
    print(name, r, flush=True)
def ask(k, wait):
    for i in range(100):
        try: c = socket.create_connection(("%s", 8005), wait); break
        except OSError: time.sleep(0.2)
    c.sendall(k); return c, c.recv(1)
trial("reset", lambda: ask(b"r", 9))
def silent():
    c, _ = ask(b"s", 9); c.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000); time.sleep(1)
    c.sendall(b"x"); c.settimeout(30); return c.recv(1)
trial("half-open", silent)
trial("again", lambda: ask(b"e", 2)[1])
P
python3 /tmp/c.py`, outside4)).run(ours(t), "")
	if want := "reset ECONNRESET\nhalf-open ETIMEDOUT\nagain b'e'\n"; a.out != want || a.code != 0 {
		t.Errorf("%q, want %q (exit %d)\n%s", a.out, want, a.code, a.err)
	}
}

// TestNetworkTools: datagrams and IPv6 both ways, a capture inside, and a hop on the way.
func TestNetworkTools(t *testing.T) {
	v := newVeth(t)
	v.serve(t.TempDir(), "iperf3", "-s")
	a := v.networked(fmt.Sprintf(`
until nc -z %[1]s 5201; do sleep 0.2; done
try() { for i in 1 2 3; do iperf3 "$@" >/dev/null 2>&1 && { echo "$*"; return; }; sleep 0.5; done; echo "failed: $*"; }
for a in %[1]s %[2]s; do for b in '' -R; do try -n 2M $b -c $a; try -u -b 50M -n 1M $b -c $a; done; done
(tcpdump -n -t -e -i eth7 -c 2 'icmp and host %[1]s' > /tmp/cap 2>/tmp/err & echo $! > /tmp/pid)
until grep -q listening /tmp/err; do sleep 0.1; done
ping -q -c 2 -i 0.2 %[1]s >/dev/null
until [ $(wc -l < /tmp/cap) = 2 ]; do sleep 0.1; done
sed 's/.*length [0-9]*: //; s/id [0-9]*/id N/' /tmp/cap
traceroute -n -q 1 -w 3 %[1]s | tail -1 | sed 's/  [0-9.]* ms//'; traceroute -6 -n -q 1 -w 3 %[2]s | tail -1 | sed 's/  [0-9.]* ms//'
`, outside4, outside6)).run(ours(t), "")
	var want strings.Builder
	for _, ip := range []string{outside4, outside6} {
		for _, back := range []string{"", "-R "} {
			fmt.Fprintf(&want, "-n 2M %s-c %s\n-u -b 50M -n 1M %s-c %s\n", back, ip, back, ip)
		}
	}
	fmt.Fprintf(&want, "%s > %s: ICMP echo request, id N, seq 1, length 64\n%s > %s: ICMP echo reply, id N, seq 1, length 64\n 1  %s\n 1  %s\n",
		inside4, outside4, outside4, inside4, outside4, outside6)
	if a.out != want.String() || a.code != 0 {
		t.Errorf("%q, want %q (exit %d)\n%s", a.out, want.String(), a.code, a.err)
	}
}

// TestNetworkLoss: what is lost on the way is sent again, in both directions.
func TestNetworkLoss(t *testing.T) {
	v := newVeth(t)
	dir := t.TempDir()
	data := []byte(strings.Repeat("0123456789abcde\n", 20_000))
	if err := os.WriteFile(filepath.Join(dir, "big"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	v.serve(dir, "python3", "-m", "http.server", "8001", "--bind", outside4)
	v.serve(dir, "sh", "-c", "socat -u TCP-LISTEN:8002,bind="+outside4+" OPEN:got,creat")
	// Every 25th segment with data, of those that come and of those that go.
	v.outside("for c in INPUT OUTPUT; do iptables -A $c -p tcp -m length --length 100: -m statistic --mode nth --every 25 --packet 9 -j DROP; done")
	a := v.networked(fmt.Sprintf(`
until curl -s -m 20 -o /tmp/big http://%[1]s:8001/big; do sleep 0.2; done
md5sum < /tmp/big
until nc -z -w 1 %[1]s 8001; do sleep 0.2; done
python3 -c 'import socket; c = socket.create_connection(("%[1]s", 8002)); c.sendall(open("/tmp/big", "rb").read())'`, outside4)).run(ours(t), "")
	if want := v.outside("md5sum < " + filepath.Join(dir, "big")); a.out != want || a.code != 0 {
		t.Errorf("received %q, want %q (exit %d)\n%s", a.out, want, a.code, a.err)
	}
	sum := v.outside("for i in $(seq 60); do cmp -s " + dir + "/got " + dir + "/big && break; sleep 0.3; done; md5sum < " + filepath.Join(dir, "got"))
	if sum != a.out {
		t.Errorf("sent %q, want %q", sum, a.out)
	}
	if lost := v.outside("iptables -nvxL | awk '$3 == \"DROP\" && $1 > 0' | grep -c DROP"); lost != "2\n" {
		t.Errorf("chains that lost something: %s", lost)
	}
}

// TestNetworkRouter: a namespace made inside reaches the other end through the sandbox's
// interface (a pair and MASQUERADE, as an engine inside would do it), in segments of any size;
// and a port of that interface leads into it (DNAT).
func TestNetworkRouter(t *testing.T) {
	v := newVeth(t)
	dir := t.TempDir()
	data := []byte(strings.Repeat("0123456789abcde\n", 200_000))
	if err := os.WriteFile(filepath.Join(dir, "big"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	v.serve(dir, "python3", "-m", "http.server", "8001", "--bind", outside4)
	v.serve(dir, "sh", "-c", "socat -u TCP-LISTEN:8002,bind="+outside4+",reuseaddr OPEN:got,creat")
	v.serve(dir, "sh", "-c", "until socat -u TCP:"+inside4+":80,connect-timeout=3 OPEN:pulled,creat; do sleep 0.3; done 2>/dev/null")
	a := v.networked(fmt.Sprintf(`
mkdir -p /tmp/w; cd /tmp/w
ip link add c0 type veth peer name c1
unshare -n sleep 1000 & p=$!; until [ "$(readlink /proc/$p/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.1; done
ip link set c1 netns $p
inner() { nsenter -n -t $p "$@"; }
ip addr add 10.1.0.1/24 dev c0; ip link set c0 up
inner ip link set lo up; inner ip link set c1 up; inner ip addr add 10.1.0.2/24 dev c1; inner ip route add default via 10.1.0.1
echo 1 > /proc/sys/net/ipv4/ip_forward
export XTABLES_LOCKFILE=/tmp/lock
iptables-legacy -t nat -A POSTROUTING -s 10.1.0.0/24 -o eth7 -j MASQUERADE
iptables-legacy -t nat -A PREROUTING -i eth7 -p tcp --dport 80 -j DNAT --to-destination 10.1.0.2:8080
for i in 1 2 3 4; do inner curl -s -m 10 --retry 9 --retry-connrefused -o big http://%[1]s:8001/big && break; done; md5sum < big
inner python3 -c 'import socket; c = socket.create_connection(("%[1]s", 8002)); c.sendall(open("big", "rb").read())'
inner timeout 40 socat -u OPEN:big TCP-LISTEN:8080
for i in $(seq 50); do [ -z "$(inner ss -Htn)" ] && break; sleep 0.2; done
kill $p
`, outside4))
	caps := append(a.spec.Process.Capabilities.Bounding, "CAP_SYS_ADMIN", "CAP_SYS_PTRACE")
	a.spec.Process.Capabilities = &specs.LinuxCapabilities{Bounding: caps, Effective: caps, Permitted: caps}
	a.spec.Linux.ReadonlyPaths = nil
	a.write()
	got := a.run(ours(t), "")
	want := v.outside("md5sum < " + filepath.Join(dir, "big"))
	if got.out != want || got.code != 0 {
		t.Errorf("received %q, want %q (exit %d)\n%s", got.out, want, got.code, got.err)
	}
	for _, name := range []string{"got", "pulled"} {
		sum := v.outside("for i in $(seq 60); do cmp -s " + dir + "/" + name + " " + dir + "/big && break; sleep 0.3; done; md5sum < " + filepath.Join(dir, name))
		if sum != want {
			t.Errorf("%s: %q, want %q", name, sum, want)
		}
	}
}
