package e2e

import (
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// TestPsExecOptions: what programs that drive a runtime give to ps and exec is answered as runc
// answers it.
func TestPsExecOptions(t *testing.T) {
	b := newBundle(t, script1("exec sleep 1000"))
	spaces := regexp.MustCompile(` +`)
	var said [2]string
	for i, r := range []*runtimeUnderTest{peerRunc(t), ours(t)} {
		s := &transcript{t: t, r: r, id: b.started(r)}
		for range 200 {
			if strings.Contains(r.do(t, "", "ps", s.id).out, "sleep 1000") {
				break // runc's own process became the program
			}
		}
		for _, format := range []string{"-ef", "-o pid,comm", "-eo pid,args", "-o comm"} {
			a := r.do(t, "", append([]string{"ps", s.id}, strings.Fields(format)...)...)
			head, rest, _ := strings.Cut(a.out, "\n")
			s.note("ps %s: %d %q, a line with sleep: %v, %v", format, a.code, spaces.ReplaceAllString(strings.TrimSpace(head), " "),
				strings.Contains(rest, "sleep"), strings.Contains(a.err, "couldn't find PID field in ps output"))
		}
		alone := func(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }
		a := r.with(t, alone, "exec", "--tty", s.id, "echo", "in")
		s.note("exec --tty: %d %q", a.code, a.out)
		s.words(a, "open /dev/tty: no such device or address")
		a = r.do(t, "", "exec", "--apparmor", "no-such-profile", s.id, "echo", "in")
		s.note("exec --apparmor: %d %q", a.code, a.out)
		said[i] = strings.Join(s.lines, "\n")
	}
	if said[0] != said[1] {
		t.Errorf("runc:\n%s\nrunsc:\n%s", said[0], said[1])
	}
}
