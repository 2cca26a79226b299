package tmpfs_test

import (
	"testing"

	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// TestWriteDropsCaps: whoever writes or truncates, file capabilities go.
func TestWriteDropsCaps(t *testing.T) {
	w := newWorld(t)
	caps := make([]byte, 20)
	caps[3] = 2 // VFS_CAP_REVISION_2
	for _, c := range []struct {
		name string
		do   func(f *vfs.File) error
		gone bool
	}{
		{"nothing", func(*vfs.File) error { return nil }, false},
		{"write", func(f *vfs.File) error { _, err := f.Write(w.ctx, uio.One([]byte("x"))); return err }, true},
		{"write of nothing", func(f *vfs.File) error { _, err := f.Write(w.ctx, nil); return err }, false},
		{"truncate", func(f *vfs.File) error { return f.Truncate(w.ctx, 0) }, true},
		{"allocate", func(f *vfs.File) error { return f.Allocate(w.ctx, 0, 0, 10) }, true},
		{"chmod", func(f *vfs.File) error { return vfs.Chmod(w.ctx, f.Path, 0o755) }, false},
		{"chown", func(f *vfs.File) error { return vfs.Chown(w.ctx, f.Path, vfs.SetUID, 5, 0) }, true},
	} {
		f, err := vfs.OpenAt(w.ctx, w.ctx.FS.Cwd(), "f", vfs.OpenHow{Flags: abi.O_RDWR | abi.O_CREAT, Mode: 0o755})
		if err != nil {
			t.Fatal(err)
		}
		if err := vfs.SetXattr(w.ctx, f.Path, "security.capability", caps, 0); err != nil {
			t.Fatal(err)
		}
		if err := c.do(f); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if _, err := vfs.GetXattr(w.ctx, f.Path, "security.capability"); (err == abi.ENODATA) != c.gone {
			t.Errorf("%s: the capabilities: %v, want gone: %v", c.name, err, c.gone)
		}
		f.DecRef()
	}
}

// TestBusyWriters: neither a mount nor its file system becomes read-only under a writer.
func TestBusyWriters(t *testing.T) {
	w := newWorld(t)
	root := w.ctx.FS.Cwd()
	f, err := vfs.OpenAt(w.ctx, root, "f", vfs.OpenHow{Flags: abi.O_WRONLY | abi.O_CREAT, Mode: 0o600})
	if err != nil {
		t.Fatal(err)
	}
	const ro = abi.MS_RDONLY | abi.MS_REMOUNT
	remount := func(flags uint64) error { return vfs.MountAt(w.ctx, "", "", "/", flags, "") }
	for _, flags := range []uint64{ro, ro | abi.MS_BIND} {
		if err := remount(flags); err != abi.EBUSY {
			t.Errorf("flags %#x with a writer: %v", flags, err)
		}
	}
	if err := vfs.UmountAt(w.ctx, "/", 0); err != abi.EBUSY {
		t.Errorf("umount of the root with a writer: %v", err)
	}
	f.DecRef()
	if err := vfs.UmountAt(w.ctx, "/", 0); err != nil || !root.Mount.Super().ReadOnly() {
		t.Errorf("umount of the root: %v, read-only: %v", err, root.Mount.Super().ReadOnly())
	}
	if err := vfs.MkdirAt(w.ctx, root, "d", 0o700); err != abi.EROFS {
		t.Errorf("mkdir after it: %v", err)
	}
	if err := remount(abi.MS_REMOUNT); err != nil {
		t.Errorf("remount for writing: %v", err)
	}
	if err := vfs.MkdirAt(w.ctx, root, "d", 0o700); err != nil {
		t.Errorf("mkdir: %v", err)
	}
}
