package sandbox

import (
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// launchScript has a shell run script as a child of a sandbox and returns what it printed.
func launchScript(t *testing.T, exe, script string, attr *launchAttr, more ...*os.File) (string, error) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "script")
	if err := os.WriteFile(file, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	for dir := dir; dir != "/"; dir = filepath.Dir(dir) {
		_ = os.Chmod(dir, 0o755) // the child's user may be another
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	out, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	sync, kid, err := syncPair()
	if err != nil {
		t.Fatal(err)
	}
	d := newDonation(null, w, kid)
	for _, f := range more {
		d.add(f)
	}
	c, err := spawn(exe, file, "id", d, sync, attr)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []*os.File{null, w, kid} {
		_ = f.Close()
	}
	err = c.launch.await()
	text, rerr := io.ReadAll(out)
	if rerr != nil {
		t.Fatal(rerr)
	}
	ws, werr := c.proc.Wait()
	if werr != nil || err == nil && ws.ExitStatus() != 0 {
		t.Errorf("%s, %v", describe(ws), werr)
	}
	c.close()
	return string(text), err
}

const sayState = `
echo "dir $(pwd)"
echo "args $0 $1"
echo "env $GODEBUG"
grep -E '^(SigBlk|SigIgn):' /proc/self/status
echo "slack $(cat /proc/$$/timerslack_ns)"
echo "uids $(echo $(cat /proc/self/uid_map))"
echo "gids $(echo $(cat /proc/self/gid_map))"
echo "groups $(cat /proc/self/setgroups)"
for fd in 0 1 2 3 4 5 6; do [ -e /proc/$$/fd/$fd ] && echo "fd $fd $(readlink /proc/$$/fd/$fd)"; done
true
`

func TestLaunch(t *testing.T) {
	// Handlers of this process must not be there, and what it ignores not be ignored.
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, unix.SIGUSR1)
	defer signal.Stop(ch)
	first, err := os.Open("/etc")
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	second, err := os.Open("/usr")
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	attr := &launchAttr{flags: unix.CLONE_NEWIPC}
	ids := idMapping{uid: uint32(os.Geteuid()), gid: uint32(os.Getegid())}
	ids.apply(attr)
	text, err := launchScript(t, "/bin/sh", sayState, attr, second, first)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"dir /\n", "/script id\n", "env " + strings.TrimPrefix(childEnv, "GODEBUG=") + "\n",
		"SigBlk:\t0000000000000000\n", "SigIgn:\t0000000000000000\n", "slack 1000000\n",
		"groups deny\n", "fd 0 /dev/null\n", "fd 3 socket:", "fd 4 /usr\n", "fd 5 /etc\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing", want)
		}
	}
	for _, want := range []string{"uids 0 " + mapText(attr.maps.uids)[2:], "gids 0 " + mapText(attr.maps.gids)[2:]} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if strings.Contains(text, "fd 6 ") {
		t.Error("a file was inherited that was not donated")
	}
	if t.Failed() {
		t.Logf("the child said\n%s", text)
	}
}

// The numbers of files may be those that others shall get.
func TestLaunchSwapsNumbers(t *testing.T) {
	l := &launch{}
	l.donate([]uintptr{70, 2, 1, 3})
	have := map[uintptr]string{70: "a", 2: "b", 1: "c", 3: "d"}
	for _, c := range l.calls {
		if c.nr == unix.SYS_DUP3 {
			have[c.b] = have[c.a]
		}
	}
	if got := have[0] + have[1] + have[2] + have[3]; got != "abcd" {
		t.Errorf("files 0 to 3 are %q, want %q", got, "abcd")
	}
}

func TestLaunchFails(t *testing.T) {
	_, err := launchScript(t, "/nonexistent/runsc", "", &launchAttr{})
	if err == nil || !strings.Contains(err.Error(), "execute runsc: no such file") {
		t.Errorf("a missing program: %v", err)
	}
	_, err = launchScript(t, "/bin/sh", "", &launchAttr{flags: unix.CLONE_PARENT})
	if err == nil || !strings.Contains(err.Error(), "invalid argument") {
		t.Errorf("flags that unshare(2) refuses: %v", err)
	}
}
