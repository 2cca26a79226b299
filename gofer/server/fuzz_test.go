package server

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"lazaret/gofer/proto"
)

// FuzzServer gives the server any sequence of messages: each is a length byte pair and
// the bytes after a correct size field. It must answer each with a message.
func FuzzServer(f *testing.F) {
	var e proto.Encoder
	seed := func(typ uint8, fill func(e *proto.Encoder)) {
		e.Begin(typ, 1)
		fill(&e)
		b := e.Bytes()[4:]
		f.Add(append([]byte{byte(len(b)), byte(len(b) >> 8)}, b...))
	}
	seed(proto.Txwalk, func(e *proto.Encoder) {
		e.U32(0)
		e.U8(proto.TailReaddir)
		e.U64(1 << 40)
		e.U16(1)
		e.U32(3)
		e.String("d")
	})
	seed(proto.Txcreate, func(e *proto.Encoder) {
		e.U64(0x900000000)
		e.String("n")
		e.U64(0x1a400000002)
		e.U64(0)
	})
	seed(proto.Twalk, func(e *proto.Encoder) { e.U64(0x500000000); e.U16(1); e.String("f") })
	seed(proto.Txrename, func(e *proto.Encoder) { e.U32(0); e.String("f"); e.U32(0); e.String("d"); e.U32(2) })
	seed(proto.Tunlinkat, func(e *proto.Encoder) { e.U32(0); e.String("f"); e.U32(0) })
	seed(proto.Tlopen, func(e *proto.Encoder) { e.U64(2) })
	seed(proto.Treaddir, func(e *proto.Encoder) { e.U32(0); e.U64(0); e.U32(4000) })
	seed(proto.Txattrcreate, func(e *proto.Encoder) { e.U32(0); e.String("user.a"); e.U64(3); e.U32(0) })
	seed(proto.Txlist, func(e *proto.Encoder) {
		e.U64(0)
		e.U64(0)
		e.U16(9)
		e.U16(0)
		e.U16(2)
		e.String("d")
		e.String("f")
	})
	seed(proto.Txlist, func(e *proto.Encoder) {
		e.U64(1 << 32)
		e.U64(0)
		e.U16(9)
		e.U16(1)
		e.String("d")
		e.U16(0)
	})
	seed(proto.Txopens, func(e *proto.Encoder) {
		e.U32(0)
		e.U16(1)
		e.U16(0)
		e.U16(2)
		e.String("f")
		e.String("d")
	})
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		_ = os.MkdirAll(filepath.Join(dir, "d", "e"), 0o755)
		_ = os.WriteFile(filepath.Join(dir, "f"), []byte("x"), 0o644)
		fd, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		s := &session{
			cfg:   Config{MaxFIDs: 20, MaxFDs: 4, MaxOpen: 4, MaxPinned: 2},
			roots: make(map[string]*root), fids: make(map[uint32]*fid), extended: true,
		}
		s.lru.init()
		s.watch.init(0, 100)
		if err := s.addRoot(Root{Name: "/", FD: fd}); err != nil {
			t.Fatal(err)
		}
		s.roots["/"].node.refs++
		if err := s.addFIDs([]uint32{0}, []*node{s.roots["/"].node}); err != nil {
			t.Fatal(err)
		}
		r := request{s: s}
		for len(data) >= 2 {
			n := min(int(data[0])|int(data[1])<<8, len(data)-2)
			msg := append([]byte{byte(n + 4), byte((n + 4) >> 8), 0, 0}, data[2:2+n]...)
			data = data[2+n:]
			if len(msg) > 4 && msg[4] == proto.Txchannel {
				continue // starts goroutines
			}
			if r.handle(msg) {
				if _, _, _, ok := proto.Header(r.enc.Bytes()); !ok || r.enc.Len() > proto.MaxMessage {
					t.Fatalf("reply % x", r.enc.Bytes())
				}
				r.closeFDs()
			}
		}
		s.release()
		_ = unix.Fchdir(home)
		if s.nodes != 0 || s.open != 0 || s.pinned != 0 || s.fds != 0 {
			t.Fatalf("left over: %d nodes, %d open, %d pinned, %d descriptors", s.nodes, s.open, s.pinned, s.fds)
		}
	})
}
