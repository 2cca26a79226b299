package devpts

import (
	"testing"

	"lazaret/sentry/auth"
	"lazaret/sentry/memfile"
	"lazaret/sentry/tty"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

type memory []byte

func (m memory) CopyIn(a abi.Addr, b []byte) error  { copy(b, m[a:]); return nil }
func (m memory) CopyOut(a abi.Addr, b []byte) error { copy(m[a:], b); return nil }

func mount(t *testing.T, data string) (*vfs.Context, vfs.Path) {
	t.Helper()
	ctx := &vfs.Context{
		Creds:   &auth.Creds{UserNS: auth.NewInitial(), Effective: ^auth.CapSet(0), FSGID: 7},
		Account: &memfile.Account{}, MaxFileSize: ^uint64(0),
	}
	s, err := Type{}.NewSuper(ctx, &vfs.MountSpec{Data: data})
	if err != nil {
		t.Fatal(err)
	}
	m := vfs.KernelMount(s)
	p := vfs.Path{Mount: m, Dentry: s.Root()}
	ctx.FS = vfs.NewFSInfo(p, p, 0o22)
	return ctx, p
}

func names(t *testing.T, ctx *vfs.Context, at vfs.Path) (out []string) {
	t.Helper()
	f, err := vfs.OpenAt(ctx, at, ".", vfs.OpenHow{Flags: abi.O_DIRECTORY})
	if err != nil {
		t.Fatal(err)
	}
	defer f.DecRef()
	if err := f.ReadDir(ctx, func(d *vfs.Dirent) bool { out = append(out, d.Name); return true }); err != nil {
		t.Fatal(err)
	}
	return out[2:]
}

func TestInstance(t *testing.T) {
	ctx, at := mount(t, "gid=5,mode=620,ptmxmode=666,newinstance")
	if o := at.Dentry.Super().ShowOptions(); o != "gid=5,mode=620,ptmxmode=666" {
		t.Errorf("options %q", o)
	}
	open := func(name string) (*vfs.File, error) {
		return vfs.OpenAt(ctx, at, name, vfs.OpenHow{Flags: abi.O_RDWR | abi.O_NOCTTY | abi.O_NONBLOCK})
	}
	var masters []*vfs.File
	mem := make(memory, 64)
	for n := range 3 {
		m, err := open("ptmx")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Ioctl(ctx, abi.TIOCGPTN, 0, mem); err != nil || int(mem[0]) != n {
			t.Fatalf("number %d %v, want %d", mem[0], err, n)
		}
		masters = append(masters, m)
	}
	if _, err := open("1"); err != abi.EIO {
		t.Errorf("open of a locked terminal: %v", err)
	}
	clear(mem)
	masters[1].Ioctl(ctx, abi.TIOCSPTLCK, 0, mem)
	s, err := open("1")
	if err != nil {
		t.Fatal(err)
	}
	peer, err := tty.PeerOf(ctx, masters[1], abi.O_RDWR|abi.O_NOCTTY)
	if err != nil || tty.Of(peer) != tty.Of(s) {
		t.Fatalf("peer: %v", err)
	}
	a, _ := s.Inode.Attr(ctx, 0)
	if a.Mode != abi.S_IFCHR|0o620 || a.GID != 5 || a.RdevMajor != 136 || a.RdevMinor != 1 {
		t.Errorf("attributes %+v", a)
	}
	if n, err := s.Write(ctx, uio.One([]byte("hi\n"))); n != 3 || err != nil {
		t.Fatalf("write: %d %v", n, err)
	}
	b := make([]byte, 10)
	if n, err := masters[1].Read(ctx, uio.One(b)); string(b[:n]) != "hi\r\n" || err != nil {
		t.Fatalf("read: %q %v", b[:n], err)
	}
	if got := names(t, ctx, at); len(got) != 4 || got[0] != "ptmx" || got[2] != "1" {
		t.Errorf("names %v", got)
	}
	masters[1].DecRef()
	if _, err := open("1"); err != abi.ENOENT {
		t.Errorf("open after the master closed: %v", err)
	}
	if n, err := s.Read(ctx, uio.One(b)); n != 0 || err != nil {
		t.Errorf("read after the master closed: %d %v", n, err)
	}
	for _, f := range []*vfs.File{s, peer, masters[0], masters[2]} {
		f.DecRef()
	}
	if got := names(t, ctx, at); len(got) != 1 || ctx.Account.Used() != 0 {
		t.Errorf("left: %v, %d bytes", got, ctx.Account.Used())
	}
}

func TestLimit(t *testing.T) {
	ctx, at := mount(t, "max=1,ptmxmode=666")
	m, err := vfs.OpenAt(ctx, at, "ptmx", vfs.OpenHow{Flags: abi.O_RDWR})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := vfs.OpenAt(ctx, at, "ptmx", vfs.OpenHow{Flags: abi.O_RDWR}); err != abi.ENOSPC {
		t.Errorf("second: %v", err)
	}
	m.DecRef()
	if _, err := (Type{}).NewSuper(ctx, &vfs.MountSpec{Data: "mode=8"}); err != abi.EINVAL {
		t.Errorf("bad option: %v", err)
	}
}
