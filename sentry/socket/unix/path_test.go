package unix

import (
	"testing"

	"lazaret/sentry/fs/tmpfs"
	"lazaret/sentry/memfile"
	"lazaret/sentry/socket"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

func TestPathNames(t *testing.T) {
	mf, err := memfile.New("test", 1<<28)
	if err != nil {
		t.Fatal(err)
	}
	defer mf.Close()
	ctx := testContext()
	ctx.MaxFileSize = ^uint64(0)
	s, err := tmpfs.New(mf).NewSuper(ctx, &vfs.MountSpec{Data: "mode=755"})
	if err != nil {
		t.Fatal(err)
	}
	ns, err := vfs.NewMountNamespace(s, "root", 0, ctx.Creds.UserNS)
	if err != nil {
		t.Fatal(err)
	}
	root := ns.Root()
	ctx.FS, ctx.MountNS = vfs.NewFSInfo(root, root, 0o22), ns

	addr := []byte("\x01\x00/sock\x00")
	fams := socket.Families{abi.AF_UNIX: Family{NewNamespace()}}
	open := func() (*vfs.File, *Socket) {
		f, err := fams.New(ctx, abi.AF_UNIX, abi.SOCK_STREAM|abi.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		return f, socketOf(f)
	}
	lf, l := open()
	cf, c := open()
	if err := socket.Connect(ctx, cf, addr); err != abi.ENOENT {
		t.Errorf("connect to nothing: %v", err)
	}
	if err := l.Bind(ctx, addr); err != nil {
		t.Fatal(err)
	}
	if err := c.Bind(ctx, addr); err != abi.EADDRINUSE {
		t.Errorf("second bind: %v", err)
	}
	if name, _ := l.LocalName(); string(name) != string(addr) {
		t.Errorf("name %q", name)
	}
	if err := socket.Connect(ctx, cf, addr); err != abi.ECONNREFUSED {
		t.Errorf("connect before listen: %v", err)
	}
	if err := l.Listen(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if err := socket.Connect(ctx, cf, addr); err != nil {
		t.Fatal(err)
	}
	af, _, err := socket.Accept(ctx, lf, abi.SOCK_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	cf.Write(ctx, uio.One([]byte("hi")))
	b := make([]byte, 8)
	if n, err := af.Read(ctx, uio.One(b)); string(b[:n]) != "hi" || err != nil {
		t.Errorf("read %q %v", b[:n], err)
	}
	if name, _ := c.PeerName(); string(name) != string(addr) {
		t.Errorf("peer %q", name)
	}
	cred, err := c.GetOption(ctx, abi.SOL_SOCKET, abi.SO_PEERCRED, 12)
	if err != nil || len(cred) != 12 || int32(cred[0])|int32(cred[1])<<8|int32(cred[2])<<16 != ctx.PID {
		t.Errorf("SO_PEERCRED %v %v", cred, err)
	}
	lf.DecRef()
	f2, _ := open()
	if err := socket.Connect(ctx, f2, addr); err != abi.ECONNREFUSED {
		t.Errorf("connect to what is left: %v", err)
	}
	if err := vfs.UnlinkAt(ctx, root, "sock"); err != nil {
		t.Error(err)
	}
	for _, f := range []*vfs.File{cf, af, f2} {
		f.DecRef()
	}
	if len(paths.m) != 0 {
		t.Errorf("%d bound paths left", len(paths.m))
	}
}
