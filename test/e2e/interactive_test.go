package e2e

import (
	"fmt"
	"os"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"lazaret/test/internal/harness"
)

// bash is an interactive shell without anybody's settings.
var bash = []string{"bash", "--norc", "--noprofile", "-i"}

// step types a line and waits for what it brings. A prompt is "@@ ".
type step struct {
	send, expect string
}

// steps is a session in a shell with job control; it ends the shell with exit code 7.
// Patterns begin after what is echoed, so that a line is not taken for its own answer.
var steps = []step{
	{"PS1='@''@ '; bind 'set enable-bracketed-paste off'\n", `\r@@ `},
	{"echo one $((1+1))\n", `one 2\r\n@@ `},
	{"tty; [ -t 0 ] && echo is a t''ty\n", `(/dev/(pts/\d+|console)|not a tty)\r\nis a tty\r\n@@ `},
	{"stty size\n", `24 80\r\n@@ `},
	{"sleep 100\n", `sleep 100\r\n`},
	{"\x03", `\^C\r\n@@ `},
	{"echo st $?\n", `st 130\r\n@@ `},
	{"sleep 101\n", `sleep 101\r\n`},
	{"\x1a", `\[1\]\+  Stopped +sleep 101\r\n@@ `},
	{"echo st $?; jobs\n", `st 148\r\n\[1\]\+  Stopped +sleep 101\r\n@@ `},
	{"bg\n", `\[1\]\+ sleep 101 &\r\n@@ `},
	{"jobs\n", `\[1\]\+  Running +sleep 101 &\r\n@@ `},
	{"fg\n", `sleep 101\r\n`},
	{"\x03", `\^C\r\n@@ `},
	{"cat | tr a-z A-Z\n", `tr a-z A-Z\r\n`},
	{"typed\n", `typed\r\n`},
	{"\x04", `TYPED\r\n@@ `},
	{"cat\n", `cat\r\n`},
	{"wrong\x15right\x7fT\n", `righT\r\n`},
	{"\x04", `@@ `},
	{"sleep 102 &\n", `\[1\] \d+\r\n@@ `},
	{"kill %1; wait %1 2>/dev/null; echo w $?\n", `w 143\r\n`},
	{"trap 'echo caught' INT; true\n", `@@ `},
	{"\x03", `\^C`},
	{"\n", `caught\r\n`},
	{"trap - INT; true\n", `@@ `},
	{"sleep 0.2 & cat\n", `\[1\] \d+\r\n`},
	{"\x1c", `Quit`},
	{"(read -s -p 'pass: ' x; echo; echo got $x)\n", `\n\r?pass: `},
	{"secret\n", `\r\ngot secret\r\n(?:\[\d\][^\n]*\n)?@@ `},
	{"cat & sleep 0.5; jobs\n", `Stopped +cat\r\n@@ `},
	{"kill %cat; wait 2>/dev/null; bash --norc --noprofile -c 'sleep 103'\n", `sleep 103'\r\n`},
	{"\x1a", `Stopped`},
	{"kill %%; fg 2>/dev/null; echo f $?\n", `f (143|1|127)\r\n(?:\[\d\][^\n]*\n)?@@ `},
}

func (tm *typist) session() {
	tm.t.Helper()
	tm.expect(`[#$] `)
	for _, s := range steps {
		if s.send[0] < ' ' {
			// A key typed at a program: it must be there to get it.
			time.Sleep(300 * time.Millisecond)
		}
		tm.send(s.send)
		tm.expect(s.expect)
	}
	tm.send("trap 'echo winch; stty size' WINCH; true\n")
	tm.expect(`@@ `)
	tm.resize(40, 132)
	tm.send("\n")
	tm.expect(`winch\r\n40 132\r\n`)
	tm.send("exit 7\n")
	if code := tm.exit(); code != 7 {
		tm.t.Errorf("exit code %d, want 7; all:\n%s", code, tm.transcript())
	}
}

// terminalBundle is an interactive shell over this machine's root.
func terminalBundle(t *testing.T, argv []string, tty bool) *bundle {
	t.Helper()
	return newBundle(t, func(s *specs.Spec) {
		s.Root = &specs.Root{Path: "/"}
		s.Process.Terminal, s.Process.Args, s.Process.Cwd = tty, argv, "/tmp"
		s.Process.Env = environment()
	})
}

// TestWindowAtOnce: the first program sees the terminal's size without waiting for it.
func TestWindowAtOnce(t *testing.T) {
	r, id, size := ours(t), newID(), []string{"stty", "size"}
	b := terminalBundle(t, size, true)
	tm := onTerminal(t, r.bin, "--root", r.state, "run", "--bundle", b.dir, id)
	tm.expect(`24 80\r\n`)
	if code := tm.exit(); code != 0 {
		t.Errorf("run: exit code %d", code)
	}
	b = terminalBundle(t, []string{"sleep", "1000"}, false)
	r.detached(t, "run", "--detach", "--bundle", b.dir, id).must(t, "run")
	tm = onTerminal(t, append([]string{r.bin, "--root", r.state, "exec", "-t", id}, size...)...)
	tm.expect(`24 80\r\n`)
	if code := tm.exit(); code != 0 {
		t.Errorf("exec: exit code %d", code)
	}
	r.do(t, "", "delete", "--force", id).must(t, "delete")
	nothingLeft(t, r, id)
}

// TestExecLeavesNothing: a process on a terminal takes its descriptors along, whether it
// ran or could not start.
func TestExecLeavesNothing(t *testing.T) {
	r, id := ours(t), newID()
	b := terminalBundle(t, []string{"sleep", "1000"}, false)
	r.detached(t, "run", "--detach", "--bundle", b.dir, id).must(t, "run")
	fds := fmt.Sprintf("/proc/%d/fd", r.stateOf(t, id).PID)
	count := func() int {
		entries, err := os.ReadDir(fds)
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	execs := func() {
		for _, args := range [][]string{
			{"-t", id, "true"}, {"-t", id, "sh", "-c", "exec 0<&- 1>&- 2>&-; echo reopened > /dev/tty"},
			{"-t", id, "/no/such/program"}, {"-t", "--cwd", "/etc/passwd", id, "true"},
			{id, "true"}, {id, "/no/such/program"}, {"--cwd", "/etc/passwd", id, "true"},
		} {
			_ = r.do(t, "", append([]string{"exec"}, args...)...)
		}
	}
	execs() // files that stay open for their next use
	before := count()
	execs()
	after := 0
	for range 100 {
		if after = count(); after <= before {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if after > before {
		t.Errorf("the Sentry has %d files open, before %d", after, before)
	}
	r.do(t, "", "delete", "--force", id).must(t, "delete")
	nothingLeft(t, r, id)
}

// TestInteractive types the same into each kind of terminal.
func TestInteractive(t *testing.T) {
	t.Run("native", func(t *testing.T) {
		onTerminal(t, nativeArgs(t, bash...)...).session()
	})
	if nativeOnly {
		return
	}
	known := harness.KnownFailures(t)
	kinds := map[string]func(t *testing.T){
		"do": func(t *testing.T) {
			args := doArgs(t, bash...)
			for i, a := range args {
				if a == "no" && args[i-1] == "--tty" {
					args[i] = "yes"
				}
			}
			onTerminal(t, args...).session()
		},
		"run": func(t *testing.T) {
			r, id := ours(t), newID()
			b := terminalBundle(t, bash, true)
			onTerminal(t, r.bin, "--root", r.state, "run", "--bundle", b.dir, id).session()
			nothingLeft(t, r, id)
		},
		"exec": func(t *testing.T) {
			r, id := ours(t), newID()
			b := terminalBundle(t, []string{"sleep", "1000"}, false)
			r.detached(t, "run", "--detach", "--bundle", b.dir, id).must(t, "run")
			args := []string{r.bin, "--root", r.state, "exec", "-t", id}
			tm := onTerminal(t, append(args, bash...)...)
			tm.hung = func() string { return r.do(t, "", "debug", "--stacks", id).out }
			tm.session()
			r.do(t, "", "delete", "--force", id).must(t, "delete")
			nothingLeft(t, r, id)
		},
	}
	for name, f := range kinds {
		t.Run(name, func(t *testing.T) {
			if reason, ok := known["interactive/"+name]; ok {
				t.Logf("known failure, not run: %s", reason)
				return
			}
			f(t)
		})
	}
}
