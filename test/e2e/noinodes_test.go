package e2e

import (
	"fmt"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// TestNoInodes: wherever the room for the state ends, the start fails with one line and
// leaves nothing, even if both processes are on their way already.
func TestNoInodes(t *testing.T) {
	for n := 2; ; n++ {
		if n == 20 {
			t.Fatal("there is never enough room")
		}
		dir := t.TempDir()
		if err := unix.Mount("lze2e-inodes", dir, "tmpfs", 0, fmt.Sprintf("nr_inodes=%d", n)); err != nil {
			t.Fatal(err)
		}
		r := ours(t)
		b := newBundle(t, func(s *specs.Spec) { s.Process.Args = []string{"/bin/sh", "-c", "exit 0"} })
		r.state = dir + "/state"
		id := newID()
		a := r.do(t, "", "run", "--bundle", b.dir, id)
		if a.code != 0 && (a.code != 1 || strings.Count(a.err, "\n") != 1 || !strings.Contains(a.err, "no space left on device")) {
			t.Errorf("%d inodes: exit code %d\n%s", n, a.code, a.err)
		}
		emptyState(t, r)
		nothingLeft(t, r, id)
		if err := unix.Unmount(dir, 0); err != nil {
			t.Fatal(err)
		}
		if a.code == 0 {
			return
		}
	}
}
