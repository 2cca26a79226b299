package server

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazaret/gofer/proto"
	"lazaret/syscalls/abi"
)

// raw speaks the protocol without proto's client.
type raw struct {
	t    testing.TB
	conn *proto.Conn
	enc  proto.Encoder
}

func newRaw(t testing.TB, change func(c *Config)) (*raw, string) {
	dir := t.TempDir()
	fd, err := proto2fd(t, dir, change)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := proto.NewConn(fd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	r := &raw{t: t, conn: conn}
	return r, dir
}

func (r *raw) hello() {
	r.t.Helper()
	r.enc.Begin(proto.Tversion, proto.NoTag)
	r.enc.U32(proto.MaxMessage)
	r.enc.String(proto.Version)
	if typ, _ := r.call(); typ != proto.Tversion+1 {
		r.t.Fatalf("Tversion: %d", typ)
	}
	r.enc.Begin(proto.Txattach, 1)
	r.enc.U32(0)
	r.enc.String("/")
	if typ, e := r.call(); typ != proto.Txattach+1 {
		r.t.Fatalf("Txattach: %v", e)
	}
}

// call sends the message in enc and returns the reply's type, and its errno.
func (r *raw) call() (uint8, abi.Errno) {
	r.t.Helper()
	return r.send(r.enc.Bytes())
}

func (r *raw) send(msg []byte) (uint8, abi.Errno) {
	r.t.Helper()
	if err := r.conn.Send(msg, -1); err != nil {
		r.t.Fatal(err)
	}
	reply, fd, err := r.conn.RecvFD()
	if err != nil {
		r.t.Fatal(err)
	}
	if fd >= 0 {
		_ = unix.Close(fd)
	}
	typ, _, body, ok := proto.Header(reply)
	if !ok {
		r.t.Fatalf("reply % x", reply)
	}
	d := proto.NewDecoder(body)
	if typ == proto.Rlerror {
		return typ, abi.Errno(d.U32())
	}
	return typ, 0
}

func TestHostileRequests(t *testing.T) {
	r, dir := newRaw(t, nil)
	_ = os.Mkdir(filepath.Join(dir, "d"), 0o755)
	r.enc.Begin(proto.Txgetattr, 1)
	r.enc.U32(0)
	if _, e := r.call(); e != abi.EOPNOTSUPP {
		t.Errorf("extension before Tversion: %v", e)
	}
	r.hello()
	str := func(s string) func(e *proto.Encoder) { return func(e *proto.Encoder) { e.String(s) } }
	u32 := func(v ...uint32) func(e *proto.Encoder) {
		return func(e *proto.Encoder) {
			for _, x := range v {
				e.U32(x)
			}
		}
	}
	walk := func(n uint16, name string) []func(e *proto.Encoder) {
		return []func(e *proto.Encoder){u32(0), func(e *proto.Encoder) { e.U8(0) }, u32(0, 0),
			func(e *proto.Encoder) { e.U16(n) }, u32(9), str(name)}
	}
	type parts = []func(e *proto.Encoder)
	for _, tc := range []struct {
		name string
		typ  uint8
		body parts
		want abi.Errno
	}{
		{"unknown type", 250, parts{}, abi.EOPNOTSUPP},
		{"reply as request", proto.Rlerror, parts{u32(1)}, abi.EOPNOTSUPP},
		{"empty body", proto.Txwalk, parts{}, abi.EINVAL},
		{"unknown fid", proto.Txgetattr, parts{u32(77)}, abi.EBADF},
		{"trailing bytes", proto.Txgetattr, parts{u32(0, 1)}, abi.EINVAL},
		{"attach fid in use", proto.Txattach, parts{u32(0), str("/")}, abi.EBUSY},
		{"attach NOFID", proto.Txattach, parts{u32(proto.NoFID), str("/")}, abi.EINVAL},
		{"walk dotdot", proto.Txwalk, walk(1, ".."), abi.EINVAL},
		{"walk slash", proto.Txwalk, walk(1, "d/../.."), abi.EINVAL},
		{"walk NUL", proto.Txwalk, walk(1, "d\x00"), abi.EINVAL},
		{"walk long", proto.Txwalk, walk(1, string(bytes.Repeat([]byte("x"), 256))), abi.ENAMETOOLONG},
		{"walk too many", proto.Txwalk, walk(65535, "d"), abi.EINVAL},
		{"walk fewer than said", proto.Txwalk, walk(3, "d"), abi.EINVAL},
		{"string longer than message", proto.Txattach, parts{u32(5), func(e *proto.Encoder) { e.U16(60000) }}, abi.EINVAL},
		{"data longer than message", proto.Txsetx, parts{u32(0), str("user.a"), u32(0, 0xffffffff)}, abi.EINVAL},
		{"mkdir dotdot", proto.Tmkdir, parts{u32(0), str(".."), u32(0, 0)}, abi.EINVAL},
		{"create dot", proto.Txcreate, parts{u32(0, 9), str("."), u32(2, 0, 0, 0)}, abi.EINVAL},
		{"create empty", proto.Txcreate, parts{u32(0, 9), str(""), u32(2, 0, 0, 0)}, abi.EINVAL},
		{"make unknown type", proto.Txmake, parts{u32(0, 9), str("n"), u32(0xf000, 0, 0, 0, 0), str("")}, abi.EINVAL},
		{"make over fid", proto.Txmake, parts{u32(0, 0), str("n"), u32(0x4000, 0, 0, 0, 0), str("")}, abi.EBUSY},
		{"unlink flags", proto.Tunlinkat, parts{u32(0), str("d"), u32(0x7fffffff)}, abi.EINVAL},
		{"rename flags", proto.Txrename, parts{u32(0), str("d"), u32(0), str("e"), u32(8)}, abi.EINVAL},
		{"readdir tiny", proto.Txreaddir, parts{u32(0, 0, 0, 1)}, abi.EINVAL},
		{"setattr bits", proto.Txsetattr, parts{u32(0, 0xffffffff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)}, abi.EINVAL},
		{"read unopened", proto.Tread, parts{u32(0, 0, 0, 0xffffffff)}, abi.EBADF},
		{"rename the root", proto.Trename, parts{u32(0, 0), str("x")}, abi.EBUSY},
		{"xattr size", proto.Txattrcreate, parts{u32(0), str("user.a"), u32(0, 1, 0)}, abi.E2BIG},
		{"connect refused", proto.Txconnect, parts{u32(0, 1)}, abi.ECONNREFUSED},
		{"bind refused", proto.Txbind, parts{u32(0, 9), str("s"), u32(1, 0, 0, 0)}, abi.EPERM},
		{"listen on no socket", proto.Txlisten, parts{u32(0, 1)}, abi.EINVAL},
		{"accept from no socket", proto.Txaccept, parts{u32(0)}, abi.EINVAL},
		{"channel kind", proto.Txchannel, parts{u32(9)}, abi.EINVAL},
	} {
		r.enc.Begin(tc.typ, 7)
		for _, p := range tc.body {
			p(&r.enc)
		}
		if typ, e := r.call(); typ != proto.Rlerror || e != tc.want {
			t.Errorf("%s: reply %d, %v; want %v", tc.name, typ, e, tc.want)
		}
	}
	if ents, _ := os.ReadDir(dir); len(ents) != 1 {
		t.Errorf("hostile requests left %v", ents)
	}
	// A wrong length is answered; the next request works.
	if typ, e := r.send([]byte{200, 0, 0, 0, proto.Txgetattr, 1, 0, 0}); typ != proto.Rlerror || e != abi.EINVAL {
		t.Errorf("wrong length: %d %v", typ, e)
	}
	r.enc.Begin(proto.Txgetattr, 1)
	r.enc.U32(0)
	if typ, e := r.call(); typ != proto.Txgetattr+1 {
		t.Errorf("after all that: %v", e)
	}
}

// TestDonatedToServer: descriptors that a client sends are not kept.
func TestDonatedToServer(t *testing.T) {
	r, _ := newRaw(t, nil)
	r.hello()
	before := countFDs(t)
	for range 20 {
		r.enc.Begin(proto.Txgetattr, 1)
		r.enc.U32(0)
		if err := r.conn.Send(r.enc.Bytes(), 0); err != nil {
			t.Fatal(err)
		}
		if _, _, err := r.conn.RecvFD(); err != nil {
			t.Fatal(err)
		}
	}
	if n := countFDs(t); n > before+2 {
		t.Errorf("%d descriptors more", n-before)
	}
}

// TestLinkRace swaps a directory and a link to the outside while a client works below it:
// nothing outside may ever be seen or made.
func TestLinkRace(t *testing.T) {
	outside := t.TempDir()
	_ = os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600)
	var out unix.Stat_t
	if err := unix.Stat(filepath.Join(outside, "secret"), &out); err != nil {
		t.Fatal(err)
	}
	c, dir := serve(t, func(c *Config) { c.Roots[0].Shared = true; c.MaxFDs = 4 })
	d, l := filepath.Join(dir, "d"), filepath.Join(dir, "l")
	_ = os.Mkdir(d, 0o755)
	_ = os.WriteFile(filepath.Join(d, "secret"), []byte("inside"), 0o600)
	_ = os.Symlink(outside, l)
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !stop.Load() {
			_ = unix.Renameat2(unix.AT_FDCWD, d, unix.AT_FDCWD, l, unix.RENAME_EXCHANGE)
		}
	}()
	root := attach(t, c, "/")
	seen := 0
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		steps, fd, _, err := root.WalkOpen([]string{"d", "secret"}, abi.O_RDONLY)
		if err != nil && err != abi.ENOENT && err != abi.ESTALE {
			t.Fatalf("walk: %v", err)
		}
		if len(steps) == 2 && steps[1].Attr.Ino == out.Ino && steps[1].Attr.Size == 6 && steps[1].Attr.DevMinor == uint32(unix.Minor(out.Dev)) {
			t.Fatal("walked to the outside")
		}
		if fd >= 0 {
			b := make([]byte, 10)
			n, _ := unix.Pread(fd, b, 0)
			_ = unix.Close(fd)
			if string(b[:n]) != "inside" {
				t.Fatalf("read %q", b[:n])
			}
			seen++
		}
		if len(steps) > 0 {
			_, fd, _, err := steps[0].File.Create("made", abi.O_RDWR, 0o644, 0, 0)
			if err == nil {
				_ = unix.Close(fd)
			}
			_, _, _ = steps[0].File.Symlink("made2", "x", 0, 0)
			_ = steps[0].File.Remove("made2", 0)
			_, _ = steps[0].File.SetAttr(proto.SetAttr{Valid: proto.SetMode, Mode: 0o711})
			_ = steps[0].File.SetXattr("user.x", []byte("y"), 0)
		}
		for _, s := range steps {
			s.File.Close()
		}
	}
	stop.Store(true)
	<-done
	if seen == 0 {
		t.Error("the race never let a walk through")
	}
	ents, _ := os.ReadDir(outside)
	if st, _ := os.Stat(outside); len(ents) != 1 || st.Mode().Perm() == 0o711 {
		t.Errorf("the outside changed: %v %v", ents, st.Mode())
	}
	if n, err := unix.Lgetxattr(outside, "user.x", nil); !errors.Is(err, unix.ENODATA) {
		t.Errorf("the outside has an attribute: %d %v", n, err)
	}
}
