package tmpfs_test

import (
	"testing"

	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// TestAllocations keeps what happens for every stat and open from allocating.
func TestAllocations(t *testing.T) {
	w := newWorld(t)
	for _, d := range []string{"/a", "/a/b", "/a/b/c"} {
		w.mkdir(t, d)
	}
	w.write(t, "/a/b/c/f", "x")
	tests := []struct {
		what string
		max  float64
		op   func()
	}{
		{"stat", 0, func() {
			p, err := vfs.Lookup(w.ctx, w.cwd(), "/a/b/c/f", vfs.LookupFollow)
			if err == nil {
				_, _, err = vfs.Stat(w.ctx, p)
			}
			if err != nil {
				t.Error(err)
			}
		}},
		{"stat of nothing", 0, func() {
			if _, err := vfs.Lookup(w.ctx, w.cwd(), "/a/b/c/none", 0); err != abi.ENOENT {
				t.Error(err)
			}
		}},
		{"open and close", 1, func() {
			f, err := vfs.OpenAt(w.ctx, w.cwd(), "/a/b/c/f", vfs.OpenHow{})
			if err != nil {
				t.Fatal(err)
			}
			f.DecRef()
		}},
	}
	for _, tt := range tests {
		if n := testing.AllocsPerRun(200, tt.op); n > tt.max {
			t.Errorf("%s: %v allocations, at most %v wanted", tt.what, n, tt.max)
		}
	}
}

func BenchmarkStat(b *testing.B) {
	w := newWorld(b)
	for _, d := range []string{"/a", "/a/b", "/a/b/c"} {
		w.mkdir(b, d)
	}
	w.write(b, "/a/b/c/f", "x")
	for b.Loop() {
		p, err := vfs.Lookup(w.ctx, w.cwd(), "/a/b/c/f", vfs.LookupFollow)
		if err != nil {
			b.Fatal(err)
		}
		if _, _, err := vfs.Stat(w.ctx, p); err != nil {
			b.Fatal(err)
		}
	}
}
