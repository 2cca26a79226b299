package pipe

import (
	"testing"

	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
)

// TestReopen opens a pipe again through its inode after the writer has gone: that must not
// wait for another, and finds what was written.
func TestReopen(t *testing.T) {
	ctx := testContext()
	r, w, err := New(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.DecRef()
	if _, err := w.Ops.Write(ctx, w, uio.One([]byte("left")), nil); err != nil {
		t.Fatal(err)
	}
	w.DecRef()
	f := &vfs.File{Mode: vfs.ModeRead}
	// A context without a Sleeper: a wait would be EAGAIN.
	ops, err := r.Inode.Open(ctx, f)
	if err != nil {
		t.Fatalf("open without a writer: %v", err)
	}
	defer ops.Release(f)
	buf := make([]byte, 8)
	if n, err := ops.Read(ctx, f, uio.One(buf), nil); err != nil || string(buf[:n]) != "left" {
		t.Errorf("read %q, %v", buf[:n], err)
	}
	if n, err := ops.Read(ctx, f, uio.One(buf), nil); n != 0 || err != nil {
		t.Errorf("at the end: %d, %v; want 0, nil", n, err)
	}
}
