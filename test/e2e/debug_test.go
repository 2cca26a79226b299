package e2e

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestDebug looks into a live container.
func TestDebug(t *testing.T) {
	r, b, id := ours(t), newBundle(t, forever), newID()
	r.detached(t, "run", "--detach", "--bundle", b.dir, id).must(t, "run")
	for flag, want := range map[string]string{
		"--stacks": `(?s)task 1 of process 1 \(sh\): [RSD].*goroutine \d+`,
		"--mounts": `(?m)^\d+ \d+ \d+:\d+ / /proc .* - proc proc `,
		"--maps=1": `(?s)process 1 \(sh\).* r-xp /bin/busybox`,
	} {
		if a := r.do(t, "", "debug", flag, id); a.code != 0 || !regexp.MustCompile(want).MatchString(a.out) {
			t.Errorf("debug %s: exit code %d, want %q\n%s%s", flag, a.code, want, a.out, a.err)
		}
	}
	if a := r.do(t, "", "debug", "--maps=99", id); a.code != 1 || !strings.Contains(a.err, "no process 99") {
		t.Errorf("debug --maps=99: exit code %d\n%s%s", a.code, a.out, a.err)
	}
	counter := func(name string) uint64 {
		out := r.do(t, "", "debug", "--platform-stats", id).must(t, "debug").out
		m := regexp.MustCompile(`(?m)^` + name + ` +(\d+)$`).FindStringSubmatch(out)
		if m == nil {
			t.Fatalf("no counter %q in\n%s", name, out)
		}
		n, err := strconv.ParseUint(m[1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	names := []string{"switches", "system calls", "faults", "maps"}
	before := map[string]uint64{}
	for _, name := range names {
		before[name] = counter(name)
	}
	r.do(t, "", "exec", id, "sh", "-c", "ls / > /dev/null; awk 'BEGIN { while (i < 100000) a[i++] = i }'").must(t, "exec")
	for _, name := range names {
		if n := counter(name); n <= before[name] {
			t.Errorf("%s: %d, then %d", name, before[name], n)
		}
	}
	if n := counter("stubs alive"); n == 0 {
		t.Error("no stub is alive")
	}
	r.do(t, "", "delete", "--force", id).must(t, "delete")
	nothingLeft(t, r, id)
}
