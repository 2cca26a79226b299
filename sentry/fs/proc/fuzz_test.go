package proc

import (
	"slices"
	"testing"

	"lazaret/sentry/auth"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// writable lists the files of /proc that root may write to, sorted.
func (w *world) writable(dir string) []string {
	w.Helper()
	root := w.process(0, "walker\x00", "")
	var found []string
	var walk func(dir string)
	walk = func(dir string) {
		for _, n := range w.names(root, dir) {
			name := dir + "/" + n
			if n == "." || n == ".." {
				continue
			}
			at, err := vfs.Lookup(root.Ctx(), root.FS().Cwd(), name, 0)
			if err != nil {
				continue
			}
			a, _, err := vfs.Stat(root.Ctx(), at)
			switch {
			case err != nil:
			case a.Type() == abi.S_IFDIR:
				walk(name)
			case a.Type() == abi.S_IFREG && a.Mode&0o222 != 0:
				found = append(found, name)
			}
		}
	}
	walk(dir)
	slices.Sort(found)
	return found
}

// FuzzWrite writes anything, anywhere to every file of /proc that can be written, as root
// and as a user. What it says afterwards must be readable, and nothing may stay charged.
func FuzzWrite(f *testing.F) {
	w := newWorld(f)
	root, user := w.process(0, "prog\x00", "A=b\x00"), w.process(nonRoot, "prog\x00", "")
	var files []string
	for _, dir := range []string{"/proc/sys", "/proc/1", "/proc/2"} {
		files = append(files, w.writable(dir)...)
	}
	if len(files) < 50 {
		f.Fatalf("only %d files can be written: %v", len(files), files)
	}
	values := []string{"", "0", "1\n", "-1", "18446744073709551616", "max", "0 1000 1\n1 1 1\n", "deny", "32768\t60999", "\x00", "name\n", "0 0 4294967295"}
	for i := range files {
		f.Add(uint16(i), int64(0), i%3 == 0, []byte(values[i%len(values)]))
	}
	f.Add(uint16(3), int64(-1), false, []byte("7"))
	f.Add(uint16(3), int64(1<<62), false, []byte("7"))
	f.Fuzz(func(t *testing.T, which uint16, pos int64, asUser bool, data []byte) {
		p := root
		if asUser {
			p = user
		}
		name := files[int(which)%len(files)]
		o, err := open(p, name, abi.O_RDWR)
		if err == abi.EACCES || err == abi.EPERM {
			o, err = open(p, name, abi.O_WRONLY)
		}
		if err != nil {
			return
		}
		before := w.c.Account.Used()
		n, err := o.WriteAt(p.Ctx(), uio.One(data), pos)
		if n < 0 || n > len(data) || err != nil && n != 0 {
			t.Errorf("%s: write of %q at %d: %d %v", name, data, pos, n, err)
		}
		_, _ = o.WriteAt(p.Ctx(), uio.Bufs{data, nil, data}, 0) // scattered
		o.DecRef()
		if r, err := open(root, name, abi.O_RDONLY); err == nil {
			buf := make([]byte, 8192)
			if n, err := r.ReadAt(root.Ctx(), uio.One(buf), 0); n < 0 || n > len(buf) {
				t.Errorf("%s: read %d %v", name, n, err)
			}
			r.DecRef()
		}
		if after := w.c.Account.Used(); after > before+abi.PageSize {
			t.Errorf("%s: write of %q: %d bytes charged, then %d", name, data, before, after)
		}
	})
}

// FuzzOptions: what mount options give is in the range that they have.
func FuzzOptions(f *testing.F) {
	for _, s := range []string{"", "hidepid=2", "hidepid=invisible,gid=5", "subset=pid,rw", "gid=4294967295", "gid=-1", "hidepid=", ",,=,"} {
		f.Add(s)
	}
	ctx := &vfs.Context{Creds: &auth.Creds{UserNS: auth.NewInitial()}}
	f.Fuzz(func(t *testing.T, s string) {
		var o options
		if o.parse(ctx, s) == nil && !slices.Contains([]int{hideOff, hideNoAccess, hideInvisible, hidePtraceable}, o.hide) {
			t.Errorf("%q gave %+v", s, o)
		}
	})
}
