package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// TestFilesAsStdio: files keep their own offsets and append semantics.
func TestFilesAsStdio(t *testing.T) {
	for _, r := range []*runtimeUnderTest{peerRunc(t), ours(t)} {
		dir := t.TempDir()
		in, out, app := filepath.Join(dir, "in"), filepath.Join(dir, "out"), filepath.Join(dir, "app")
		for name, text := range map[string]string{in: "0123456789abcdef", out: "", app: "before\n"} {
			if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		open := func(name string, flags int) *os.File {
			f, err := os.OpenFile(name, flags, 0)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
			return f
		}
		fin, fout, fapp := open(in, os.O_RDONLY), open(out, os.O_RDWR), open(app, os.O_WRONLY|os.O_APPEND)
		if _, err := fin.Seek(3, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(fout, "head ")
		b, id := newBundle(t, script1("dd bs=4 count=1 2>/dev/null; echo one; echo two >&2; (echo three)")), newID()
		a := r.with(t, func(c *exec.Cmd) { c.Stdin, c.Stdout, c.Stderr = fin, fout, fapp }, "run", "--bundle", b.dir, id)
		if a.code != 0 {
			t.Errorf("%s: exit code %d", r.name, a.code)
		}
		fmt.Fprint(fout, "tail")
		rest, err := io.ReadAll(fin)
		// runc in the foreground copies its stdin to a pipe.
		if err != nil || string(rest) != "789abcdef" && r.name == "runsc" {
			t.Errorf("%s: the rest of stdin is %q %v", r.name, rest, err)
		}
		if got := readAll(t, out); got != "head 3456one\nthree\ntail" {
			t.Errorf("%s: stdout holds %q", r.name, got)
		}
		if got := readAll(t, app); got != "before\ntwo\n" {
			t.Errorf("%s: stderr holds %q", r.name, got)
		}
		nothingLeft(t, r, id)
	}
}

// TestPipesAsStdio: a large stream goes both ways, and a closed reader is SIGPIPE.
func TestPipesAsStdio(t *testing.T) {
	r, b := ours(t), newBundle(t, script1("cat"))
	data := strings.Repeat("0123456789abcde\n", 1<<17) // 2 MiB
	if a := b.run(r, data); a.out != data {
		t.Errorf("%d bytes of %d came back; exit code %d %s", len(a.out), len(data), a.code, a.err)
	}
	b = newBundle(t, script1("yes; echo $? >&2"))
	pr, pw, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pr.Close()
	defer pw.Close()
	time.AfterFunc(500*time.Millisecond, func() { pr.Close() })
	id := newID()
	a := r.with(t, func(c *exec.Cmd) { c.Stdout = pw }, "run", "--bundle", b.dir, id)
	if strings.TrimSpace(a.err) != "141" {
		t.Errorf("yes into a closed pipe: exit code %d, %q", a.code, a.err)
	}
	nothingLeft(t, r, id)
}

// TestPreserveFDs: further files are the application's 3, 4 and so on; others are not
// there.
func TestPreserveFDs(t *testing.T) {
	b := newBundle(t, script1("cat <&3; echo to four >&4; ls /proc/self/fd | tr '\\n' ' '; echo $LISTEN_FDS $LISTEN_PID"))
	for _, listen := range []bool{false, true} {
		for _, r := range []*runtimeUnderTest{peerRunc(t), ours(t)} {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "three"), []byte("three\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			three, err := os.Open(filepath.Join(dir, "three"))
			if err != nil {
				t.Fatal(err)
			}
			four, err := os.Create(filepath.Join(dir, "four"))
			if err != nil {
				t.Fatal(err)
			}
			id, flags := newID(), []string{"--preserve-fds", "2"}
			if listen {
				flags = nil
			}
			a := r.with(t, func(c *exec.Cmd) {
				c.ExtraFiles = []*os.File{three, four, four}
				if listen { // as systemd does it: the variables name the process
					c.Args = append([]string{"sh", "-c", "LISTEN_FDS=2 LISTEN_PID=$$ exec \"$0\" \"$@\""}, c.Args...)
					c.Path = "/bin/sh"
				}
			}, append(append([]string{"run"}, flags...), "--bundle", b.dir, id)...)
			want := "three\n0 1 2 3 4 5 \n"
			if listen {
				want = "three\n0 1 2 3 4 5 2 1\n"
			}
			if got := readAll(t, four.Name()); got != "to four\n" || a.out != want || a.code != 0 {
				t.Errorf("%s (LISTEN_FDS %v): exit code %d, fd 4 got %q, output %q, want %q%s", r.name, listen, a.code, got, a.out, want, a.err)
			}
			three.Close()
			four.Close()
			nothingLeft(t, r, id)
		}
	}
}

// console is an engine's end of --console-socket.
type console struct {
	t      *testing.T
	path   string
	l      *net.UnixListener
	master *os.File
	seen   bytes.Buffer
}

func listenConsole(t *testing.T) *console {
	t.Helper()
	c := &console{t: t, path: filepath.Join(t.TempDir(), "console.sock")}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: c.path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	c.l = l
	t.Cleanup(func() {
		l.Close()
		if c.master != nil {
			c.master.Close()
		}
	})
	return c
}

// receive takes the terminal that the runtime sends.
func (c *console) receive() {
	c.t.Helper()
	_ = c.l.SetDeadline(time.Now().Add(commandLimit))
	conn, err := c.l.AcceptUnix()
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close()
	name, oob := make([]byte, 4096), make([]byte, 4096)
	n, oobn, _, _, err := conn.ReadMsgUnix(name, oob)
	if err != nil {
		c.t.Fatal(err)
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(msgs) != 1 {
		c.t.Fatalf("%d messages, %v", len(msgs), err)
	}
	fds, err := unix.ParseUnixRights(&msgs[0])
	if err != nil || len(fds) != 1 {
		c.t.Fatalf("fds %v, %v", fds, err)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		c.t.Fatal(err)
	}
	c.master = os.NewFile(uintptr(fds[0]), string(name[:n]))
}

func (c *console) send(s string) {
	c.t.Helper()
	if _, err := c.master.WriteString(s); err != nil {
		c.t.Fatal(err)
	}
}

// expect reads until s has come.
func (c *console) expect(s string) {
	c.t.Helper()
	_ = c.master.SetReadDeadline(time.Now().Add(commandLimit))
	buf := make([]byte, 4096)
	for {
		if before, after, ok := strings.Cut(c.seen.String(), s); ok {
			_ = before
			c.seen.Reset()
			c.seen.WriteString(after)
			return
		}
		n, err := c.master.Read(buf)
		c.seen.Write(buf[:n])
		if err != nil {
			c.t.Fatalf("waiting for %q: %v; the terminal showed %q", s, err, c.seen.String())
		}
	}
}

func terminal(s *specs.Spec) {
	s.Process.Terminal = true
	s.Process.ConsoleSize = &specs.Box{Width: 101, Height: 31}
	s.Process.Args = []string{"sh"}
	s.Process.Env = append(s.Process.Env, "PS1=>> ")
}

// TestConsoleSocket: an engine talks to the container's terminal.
func TestConsoleSocket(t *testing.T) {
	b := newBundle(t, terminal)
	for _, r := range []*runtimeUnderTest{peerRunc(t), ours(t)} {
		c, id := listenConsole(t), newID()
		r.detached(t, "create", "--bundle", b.dir, "--console-socket", c.path, id).must(t, "create")
		c.receive()
		r.do(t, "", "start", id).must(t, "start")
		c.expect(">> ")
		c.send("tty; stty size; [ -t 2 ] && echo is-a-$((1))\r")
		c.expect("/dev/")
		c.expect("31 101")
		c.expect("is-a-1")
		if err := unix.IoctlSetWinsize(int(c.master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 44, Col: 55}); err != nil {
			t.Fatal(err)
		}
		_ = unix.SetNonblock(int(c.master.Fd()), true)
		c.send("until [ \"$(stty size)\" = \"$((40+4)) 55\" ]; do sleep 0.1; done; echo size-$((1))\r")
		c.expect("size-1")
		c.send("sleep 1000\r")
		time.Sleep(300 * time.Millisecond)
		c.send("\x03")
		c.expect(">> ")
		c.send("echo st$?\r")
		c.expect("st130")
		t.Run(r.name+"-exec", func(t *testing.T) { execConsole(t, r, id) })
		c.send("exit 5\r")
		r.awaitStatus(t, id, "stopped")
		r.do(t, "", "delete", id).must(t, "delete")
		nothingLeft(t, r, id)
	}
}

// execConsole: a second terminal in the same container.
func execConsole(t *testing.T, r *runtimeUnderTest, id string) {
	c := listenConsole(t)
	r.detached(t, "exec", "--detach", "--tty", "--console-socket", c.path, "--env", "PS1=exec> ", id, "sh").must(t, "exec --tty")
	c.receive()
	c.expect("exec> ")
	c.send("tty; cat /proc/self/stat | cut -d' ' -f7 | grep -qv '^0$' && echo has-ctty-$((2))\r")
	c.expect("has-ctty-2")
	c.send("exit\r")
}

// TestConsoleErrors: what runc refuses is refused.
func TestConsoleErrors(t *testing.T) {
	tty, plain := newBundle(t, terminal), newBundle(t)
	for _, r := range []*runtimeUnderTest{peerRunc(t), ours(t)} {
		for _, args := range [][]string{
			{"create", "--bundle", tty.dir}, {"run", "--detach", "--bundle", tty.dir}, {"create", "--bundle", plain.dir, "--console-socket", "/tmp/no"},
			{"create", "--bundle", tty.dir, "--console-socket", "/no/such/socket"},
		} {
			id := newID()
			a := r.do(t, "", append(args, id)...)
			if a.code != 1 || strings.Count(a.err, "\n") != 1 {
				t.Errorf("%s %v: exit code %d\n%s", r.name, args, a.code, a.err)
			}
			nothingLeft(t, r, id)
		}
	}
}

// TestForegroundSignals: a signal to runsc run reaches the application.
func TestForegroundSignals(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGQUIT} {
		t.Run(unix.SignalName(sig), func(t *testing.T) {
			t.Parallel()
			r, id := ours(t), newID()
			b := newBundle(t, script1("for s in TERM INT HUP USR1 QUIT; do trap \"echo got $s; exit 33\" $s; done; echo ready; while :; do sleep 0.05; done"))
			ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
			defer cancel()
			cmd := r.command(ctx, "run", "--bundle", b.dir, id)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 6)
			if _, err := io.ReadFull(out, buf); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			rest, _ := io.ReadAll(out)
			_ = cmd.Wait()
			if want := "got " + strings.TrimPrefix(unix.SignalName(sig), "SIG") + "\n"; string(rest) != want || exitCode(cmd.ProcessState) != 33 {
				t.Errorf("the application said %q, exit code %d", rest, exitCode(cmd.ProcessState))
			}
			nothingLeft(t, r, id)
		})
	}
}

// TestKilledByFatalSignal: 128 and the number, as runc has it.
func TestKilledByFatalSignal(t *testing.T) {
	for _, sig := range []string{"KILL", "TERM", "SEGV", "9"} {
		b := newBundle(t, func(s *specs.Spec) { s.Process.Args = []string{"sleep", "1000"} })
		var codes [2]int
		for i, r := range []*runtimeUnderTest{peerRunc(t), ours(t)} {
			id := newID()
			done := make(chan answer, 1)
			go func() { done <- r.do(t, "", "run", "--bundle", b.dir, id) }()
			for r.do(t, "", "kill", id, "0").code != 0 {
				time.Sleep(20 * time.Millisecond)
			}
			time.Sleep(200 * time.Millisecond)
			r.do(t, "", "kill", id, sig).must(t, "kill")
			if sig == "TERM" || sig == "SEGV" { // init has no handler for it
				time.Sleep(200 * time.Millisecond)
				r.do(t, "", "kill", id, "KILL")
			}
			codes[i] = (<-done).code
			nothingLeft(t, r, id)
		}
		if codes[0] != codes[1] {
			t.Errorf("%s: exit code %d, runc %d", sig, codes[1], codes[0])
		}
	}
}
