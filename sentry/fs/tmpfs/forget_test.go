package tmpfs_test

import (
	"fmt"
	"runtime"
	"testing"
	"weak"

	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// TestForget: a directory that was removed is not kept by names that were looked for in it.
func TestForget(t *testing.T) {
	w := newWorld(t)
	made := make([]weak.Pointer[vfs.Dentry], 20)
	for i := range made {
		name := fmt.Sprintf("/d%d", i)
		w.mkdir(t, name)
		p, err := vfs.Lookup(w.ctx, w.cwd(), name, 0)
		if err != nil {
			t.Fatal(err)
		}
		made[i] = weak.Make(p.Dentry)
		for n := range 10 {
			if _, err := vfs.Lookup(w.ctx, w.cwd(), fmt.Sprintf("%s/none%d", name, n), 0); err != abi.ENOENT {
				t.Fatal(err)
			}
		}
		if err := vfs.RmdirAt(w.ctx, w.cwd(), name); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	kept := 0
	for _, d := range made {
		if d.Value() != nil {
			kept++
		}
	}
	if kept > len(made)/2 {
		t.Errorf("%d of %d removed directories are kept", kept, len(made))
	}
}
