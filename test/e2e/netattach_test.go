package e2e

import (
	"os/exec"
	"strings"
	"testing"
)

// TestNetworkAttach: an interface that appears in the namespace of a running sandbox is the
// sandbox's after a command, with its addresses, both ways; another time nothing changes.
func TestNetworkAttach(t *testing.T) {
	v := newVeth(t)
	r := ours(t)
	b := v.networked(`mkdir /tmp/www; echo later > /tmp/www/index.html; cd /tmp/www; exec python3 -m http.server --bind :: 8004`)
	id := newID()
	r.detached(t, "run", "--detach", "--bundle", b.dir, id).must(t, "run")
	t.Cleanup(func() { nothingLeft(t, r, id) })
	show := func() string {
		t.Helper()
		return r.do(t, "", "exec", id, "sh", "-c", "ip -o link | cut -d: -f2; ip -o addr show | grep -c 10.67.0.2; ip route | grep -c 10.67").out
	}
	if got := show(); got != " lo\n eth7\n0\n0\n" {
		t.Fatalf("before: %q", got)
	}
	for _, line := range []string{
		"link add eth8 netns " + v.in + " type veth peer name peer8 netns " + v.out,
		"-n " + v.in + " addr add 10.67.0.2/24 dev eth8", "-n " + v.out + " addr add 10.67.0.1/24 dev peer8",
		"-n " + v.in + " link set eth8 up", "-n " + v.out + " link set peer8 up",
		"-n " + v.in + " route add 10.67.9.0/24 via 10.67.0.1",
	} {
		if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v %s", line, err, out)
		}
	}
	for _, when := range []string{"attached", "attached again"} {
		r.do(t, "", "update", "--network-attach", id).must(t, when)
		if got := show(); got != " lo\n eth7\n eth8\n1\n2\n" {
			t.Errorf("%s: %q", when, got)
		}
	}
	if got := v.outside("curl -s -m 20 --retry 20 --retry-connrefused --retry-delay 1 http://10.67.0.2:8004/; curl -s -m 20 http://" + inside4 + ":8004/"); got != "later\nlater\n" {
		t.Errorf("from outside: %q", got)
	}
	if a := r.do(t, "", "exec", id, "ping", "-q", "-c", "1", "10.67.0.1"); !strings.Contains(a.out, " 0% packet loss") {
		t.Errorf("from inside: %s %s", a.out, a.err)
	}
	r.do(t, "", "delete", "--force", id).must(t, "delete")
}
