package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// The two ends of the veth pair. Both namespaces are the test's own.
const (
	inside4, outside4 = "10.66.0.2", "10.66.0.1"
	inside6, outside6 = "fd66::2", "fd66::1"
)

// veth is two network namespaces with a link between them: in is what an engine would
// hand to a runtime.
type veth struct {
	t       *testing.T
	in, out string
}

func newVeth(t *testing.T) *veth {
	t.Helper()
	v := &veth{t, newID() + "i", newID() + "o"}
	t.Cleanup(func() {
		_ = exec.Command("ip", "netns", "del", v.in).Run()
		_ = exec.Command("ip", "netns", "del", v.out).Run()
	})
	for _, line := range []string{
		"netns add " + v.in, "netns add " + v.out,
		"link add eth7 netns " + v.in + " type veth peer name peer7 netns " + v.out,
		"-n " + v.in + " link set lo up", "-n " + v.out + " link set lo up",
		"-n " + v.in + " addr add " + inside4 + "/24 dev eth7", "-n " + v.out + " addr add " + outside4 + "/24 dev peer7",
		"-n " + v.in + " addr add " + inside6 + "/64 dev eth7 nodad", "-n " + v.out + " addr add " + outside6 + "/64 dev peer7 nodad",
		"-n " + v.in + " link set eth7 mtu 1400 up", "-n " + v.out + " link set peer7 mtu 1400 up",
		"-n " + v.in + " route add default via " + outside4, "-n " + v.in + " -6 route add default via " + outside6,
	} {
		if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v %s", line, err, out)
		}
	}
	return v
}

// outside runs a command at the host's end.
func (v *veth) outside(script string) string {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	out, err := exec.CommandContext(ctx, "nsenter", "--net=/run/netns/"+v.out, "sh", "-c", script).CombinedOutput()
	if err != nil {
		v.t.Errorf("outside: %s: %v\n%s", script, err, out)
	}
	return string(out)
}

// serve runs a server at the host's end until the test ends.
func (v *veth) serve(dir string, argv ...string) {
	v.t.Helper()
	cmd := exec.Command("nsenter", append([]string{"--net=/run/netns/" + v.out}, argv...)...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	v.t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
}

// networked is a bundle over the machine's own files, for the programs that are tested.
func (v *veth) networked(script string) *bundle {
	v.t.Helper()
	return newBundle(v.t, script1(script), func(s *specs.Spec) {
		s.Root.Path = "/"
		caps := append(s.Process.Capabilities.Bounding, "CAP_NET_RAW", "CAP_NET_ADMIN")
		s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: caps, Effective: caps, Permitted: caps}
		for i := range s.Linux.Namespaces {
			if n := &s.Linux.Namespaces[i]; n.Type == specs.NetworkNamespace {
				n.Path = "/run/netns/" + v.in
			}
		}
	})
}

// TestNetworkClient: the interface looks inside as it does outside, and programs reach
// servers at the other end, over both protocols and in both directions.
func TestNetworkClient(t *testing.T) {
	v := newVeth(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "big"), make([]byte, 5<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	v.serve(dir, "python3", "-m", "http.server", "8001", "--bind", outside4)
	v.serve(dir, "python3", "-m", "http.server", "8001", "--bind", outside6)
	v.serve(dir, "iperf3", "-s")
	show := "ip -o addr show dev eth7 | sed 's/ scope.*//' | grep -v fe80; ip route | sort; ip -6 route | grep -v fe80 | sort; ip -o link show dev eth7 | sed 's/.*mtu \\([0-9]*\\).*ether \\([^ ]*\\).*/\\1 \\2/'"
	native, err := exec.Command("nsenter", "--net=/run/netns/"+v.in, "sh", "-c", show).CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	awaitPort := "for a in " + outside4 + " '[" + outside6 + "]'; do for i in $(seq 100); do curl -g -s -o /dev/null http://$a:8001/ && break; sleep 0.3; done; done\n"
	a := v.networked(show+"\necho ==\n"+awaitPort+fmt.Sprintf(`
curl -s http://%s:8001/big | wc -c; curl -g -s 'http://[%s]:8001/big' | wc -c
for a in %s %s %s %s; do ping -q -c 2 -i 0.2 $a | grep -o ' 0%% packet loss'; done
python3 -c 'import socket; s = socket.create_server(("%s", 0)); c = socket.create_connection(s.getsockname()); print(c.getsockname()[0]); u = socket.socket(type=socket.SOCK_DGRAM); u.bind(("%s", 0)); u.sendto(b"x", ("%s", 9)); u.sendto(b"y", u.getsockname()); print(u.recv(9))'
until iperf3 -c %s -t 1 >/dev/null; do sleep 0.3; done; echo sent; until iperf3 -R -c %s -t 1 > /dev/null; do sleep 0.3; done; echo received
curl -s -m 5 http://%s:9/; echo refused $?`, outside4, outside6, outside4, outside6, inside4, inside6, inside4, inside4, outside4, outside4, outside6, outside4)).run(ours(t), "")
	seen, rest, _ := strings.Cut(a.out, "==\n")
	if seen != string(native) {
		t.Errorf("the interface inside:\n%s\nin its namespace:\n%s", seen, native)
	}
	if want := "5242880\n5242880\n 0% packet loss\n 0% packet loss\n 0% packet loss\n 0% packet loss\n" + inside4 + "\nb'y'\nsent\nreceived\nrefused 7\n"; rest != want || a.code != 0 {
		t.Errorf("programs: %q, want %q (exit %d)\n%s", rest, want, a.code, a.err)
	}
}

// TestNetworkServer: a server inside answers clients at the other end, and the host's own
// stack is silent meanwhile. After the sandbox was killed the host has its interface back.
func TestNetworkServer(t *testing.T) {
	v := newVeth(t)
	pcap := filepath.Join(t.TempDir(), "pcap")
	r := ours(t, "--pcap", pcap)
	b := v.networked(`mkdir /tmp/ng; cd /tmp/ng; head -c 100000 /dev/zero > file; echo hello > index.html
cat > conf <<'C'
error_log /tmp/ng/err; pid /tmp/ng/pid; daemon off;
events { worker_connections 1024; }
http { access_log off; client_body_temp_path a; proxy_temp_path b; fastcgi_temp_path c; uwsgi_temp_path d; scgi_temp_path e;
 server { listen 8002; listen [::]:8002; location / { root /tmp/ng; } } }
C
exec nginx -c /tmp/ng/conf -p /tmp/ng`)
	// A listener of the namespace itself must not be reached while the sandbox has it.
	host := exec.Command("nsenter", "--net=/run/netns/"+v.in, "python3", "-m", "http.server", "8003")
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = host.Process.Kill(); _ = host.Wait() })
	id := newID()
	r.detached(t, "run", "--detach", "--bundle", b.dir, id).must(t, "run")
	t.Cleanup(func() { nothingLeft(t, r, id) })
	get := "for i in $(seq 100); do curl -s -m 5 http://" + inside4 + ":8002/ && break; sleep 0.3; done"
	if got := v.outside(get); got != "hello\n" {
		t.Fatalf("nginx says %q", got)
	}
	if got := v.outside("curl -g -s 'http://[" + inside6 + "]:8002/file' | wc -c; curl -s -m 3 http://" + inside4 + ":8003/ >/dev/null; echo $?"); got != "100000\n7\n" {
		t.Errorf("file and the host's own server: %q", got)
	}
	out := v.outside("wrk -t1 -c 200 -d 2s http://" + inside4 + ":8002/")
	if !strings.Contains(out, "Requests/sec") || strings.Contains(out, "Socket errors") || strings.Contains(out, "Non-2xx") {
		t.Errorf("wrk:\n%s", out)
	}
	if a := r.do(t, "", "debug", "--net", id).must(t, "debug --net"); !strings.Contains(a.out, "eth7") || !strings.Contains(a.out, "address "+inside4+"/24") ||
		!strings.Contains(a.out, "socket inet tcp *:8002") {
		t.Errorf("debug --net:\n%s", a.out)
	}
	if data := readAll(t, pcap); !strings.HasPrefix(data, "\xd4\xc3\xb2\xa1") || !strings.Contains(data, "GET / HTTP/1.1") || !strings.Contains(data, "hello\n") {
		t.Errorf("--pcap: %d bytes without the request or its answer", len(data))
	}
	// A container of the same namespace shares the sandbox; one that another state directory
	// knows of cannot have the interface.
	if a := v.networked("curl -s http://127.0.0.1:8002/").run(r, ""); a.out != "hello\n" || a.code != 0 {
		t.Errorf("a second container in the namespace: %+v", a)
	}
	if a := v.networked("true").run(ours(t), ""); a.code == 0 || strings.Count(a.err, "\n") != 1 || !strings.Contains(a.err, "another sandbox") {
		t.Errorf("a second sandbox on the interface: exit %d, %q", a.code, a.err)
	}
	pids := processesOf(id)["sentry"]
	if len(pids) != 1 {
		t.Fatalf("sentries: %v", pids)
	}
	if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	back := false
	for range 50 {
		if back = exec.Command("nsenter", "--net=/run/netns/"+v.out, "curl", "-s", "-m", "2", "-o", "/dev/null", "http://"+inside4+":8003/").Run() == nil; back {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if !back {
		t.Error("the host does not have its interface back after a SIGKILL")
	}
	r.do(t, "", "delete", "--force", id).must(t, "delete")
}

// TestNetworkBad: what cannot be taken over is one line, and nothing is left.
func TestNetworkBad(t *testing.T) {
	r := ours(t)
	missing := newBundle(t, func(s *specs.Spec) {
		for i := range s.Linux.Namespaces {
			if n := &s.Linux.Namespaces[i]; n.Type == specs.NetworkNamespace {
				n.Path = "/run/netns/does-not-exist"
			}
		}
	})
	a := missing.run(r, "")
	if a.code == 0 || strings.Count(a.err, "\n") != 1 || !strings.Contains(a.err, "/run/netns/does-not-exist") {
		t.Errorf("no such namespace: exit %d, %q", a.code, a.err)
	}
	own := newBundle(t, script1("ip addr show lo | grep -c 127.0.0.1"), func(s *specs.Spec) {
		for i := range s.Linux.Namespaces {
			if n := &s.Linux.Namespaces[i]; n.Type == specs.NetworkNamespace {
				n.Path = "/proc/self/ns/net"
			}
		}
	})
	if a := own.run(r, ""); a.code != 0 || a.out != "1\n" || !strings.Contains(a.err, "not taken over") {
		t.Errorf("the host's own namespace: exit %d, %q %q", a.code, a.out, a.err)
	}
}

// TestPodNetwork: containers of a pod have its network, unless one asks for its own.
func TestPodNetwork(t *testing.T) {
	v := newVeth(t)
	r := ours(t)
	path := func(p string) func(*specs.Spec) {
		return func(s *specs.Spec) {
			for i := range s.Linux.Namespaces {
				if n := &s.Linux.Namespaces[i]; n.Type == specs.NetworkNamespace {
					n.Path = p
				}
			}
		}
	}
	sandbox := newBundle(t, forever, pod(""), path("/run/netns/"+v.in)).started(r)
	a := newBundle(t, forever, pod(sandbox), path("/run/netns/"+v.in)).started(r)
	own := newBundle(t, forever, pod(sandbox), path("")).started(r)
	inside := func(id, script string) string {
		t.Helper()
		return r.do(t, "", "exec", id, "sh", "-c", script).must(t, "exec").out
	}
	inside(sandbox, "(echo from the pod | nc -l -p 7777) >/dev/null 2>&1 </dev/null & sleep 0.5")
	if got := inside(a, "ip -o -4 addr show dev eth7 | grep -c "+inside4+"; nc 127.0.0.1 7777 </dev/null"); got != "1\nfrom the pod\n" {
		t.Errorf("in a container of the pod: %q", got)
	}
	if got := inside(own, "ip -o link | grep -c ''; ip -o link | grep -c eth7; true"); got != "1\n0\n" {
		t.Errorf("in a container with a network of its own: %q", got)
	}
	v.outside("ping -q -c 1 " + inside4)
	if a := r.do(t, "", "events", "--stats", sandbox).must(t, "events"); !strings.Contains(a.out, `"network_interfaces":[{"Name":"eth7","RxBytes":`) {
		t.Errorf("events: %s", a.out)
	}
	for _, id := range []string{own, a, sandbox} {
		r.do(t, "", "delete", "--force", id).must(t, "delete")
	}
}
