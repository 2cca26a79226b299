package proto

import (
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"lazaret/syscalls/abi"
)

// fake answers a client with what reply makes of each request.
func fake(t *testing.T, reply func(e *Encoder, typ uint8) (fd int)) *Client {
	t.Helper()
	cfd, sfd, err := SocketPair()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn := newPacketConn(sfd)
		defer conn.Close()
		var e Encoder
		for {
			msg, err := conn.Recv()
			if err != nil {
				return
			}
			typ, tag, _, _ := Header(msg)
			e.Begin(typ+1, tag)
			fd := -1
			if typ == Tversion {
				e.U32(MaxMessage)
				e.String(Version)
			} else {
				fd = reply(&e, typ)
			}
			if conn.Send(e.Bytes(), fd) != nil {
				return
			}
		}
	}()
	c, err := NewClient(cfd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		<-done
	})
	return c
}

func goodAttr(typ uint32) *Attr { return &Attr{Mode: typ | 0o644, Ino: 1, Nlink: 1} }

// TestHostileReplies: each makes the call fail with EIO and ends the connection.
func TestHostileReplies(t *testing.T) {
	null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(null)
	getattr := func(f *File) error { _, err := f.GetAttr(); return err }
	walk := func(f *File) error { _, err := f.Walk([]string{"a", "b"}); return err }
	list := func(f *File) error { _, _, _, err := f.ReadDirPlus(0, 0); return err }
	open := func(f *File) error { _, err := f.Open(0); return err }
	list2 := func(f *File) error { _, err := f.List(nil, []string{"a"}, ListHow{Dirs: 2}); return err }
	look := func(f *File) error { _, _, err := f.WalkLookup([]string{"a"}); return err }
	entry := func(e *Encoder, name string, typ uint32) {
		e.U64(1)
		e.U64(1)
		e.U8(8)
		e.U32(0)
		e.Attr(goodAttr(typ))
		e.String(name)
	}
	for _, tc := range []struct {
		name  string
		call  func(f *File) error
		reply func(e *Encoder) int
	}{
		{"empty", getattr, func(e *Encoder) int { return -1 }},
		{"short", getattr, func(e *Encoder) int { e.U64(0); return -1 }},
		{"long", getattr, func(e *Encoder) int { e.Attr(goodAttr(abi.S_IFREG)); e.U8(0); return -1 }},
		{"no type", getattr, func(e *Encoder) int { e.Attr(goodAttr(0)); return -1 }},
		{"other message", getattr, func(e *Encoder) int { e.Begin(Txopen+1, 1); return -1 }},
		{"other tag", getattr, func(e *Encoder) int { e.Begin(Txgetattr+1, 9); e.Attr(goodAttr(abi.S_IFREG)); return -1 }},
		{"error 0", getattr, func(e *Encoder) int { e.Begin(Rlerror, 1); e.U32(0); return -1 }},
		{"negative size", getattr, func(e *Encoder) int {
			e.Attr(&Attr{Mode: abi.S_IFREG, Size: 1 << 63})
			return -1
		}},
		{"nanoseconds", getattr, func(e *Encoder) int {
			e.Attr(&Attr{Mode: abi.S_IFREG, Mtime: Timespec{Nsec: 1e9}})
			return -1
		}},
		{"too many steps", walk, func(e *Encoder) int { e.U32(0); e.U32(0); e.U16(3); return -1 }},
		{"odd flags", walk, func(e *Encoder) int { e.U32(2); e.U32(1 << 9); e.U16(0); e.U32(0); return -1 }},
		{"no steps, no error", walk, func(e *Encoder) int { e.U32(0); e.U32(0); e.U16(0); e.U32(0); return -1 }},
		{"through a file", walk, func(e *Encoder) int {
			e.U32(0)
			e.U32(0)
			e.U16(2)
			e.Attr(goodAttr(abi.S_IFREG))
			e.Attr(goodAttr(abi.S_IFREG))
			e.U32(0)
			return -1
		}},
		{"descriptor of a walk", walk, func(e *Encoder) int {
			e.U32(2)
			e.U32(0)
			e.U16(0)
			e.U32(0)
			return null
		}},
		{"descriptor of a device", open, func(e *Encoder) int { e.Attr(goodAttr(abi.S_IFREG)); return null }},
		{"huge count", list, func(e *Encoder) int { e.U64(0); e.U8(1); e.U32(0xffffffff); return -1 }},
		{"endless nothing", list, func(e *Encoder) int { e.U64(0); e.U8(0); e.U32(0); return -1 }},
		{"slash in name", list, func(e *Encoder) int { e.U64(0); e.U8(1); e.U32(1); entry(e, "a/b", abi.S_IFREG); return -1 }},
		{"dotdot", list, func(e *Encoder) int { e.U64(0); e.U8(1); e.U32(1); entry(e, "..", abi.S_IFREG); return -1 }},
		{"empty target", look, func(e *Encoder) int {
			e.U32(0)
			e.U32(0)
			e.U16(1)
			e.Attr(goodAttr(abi.S_IFLNK))
			e.U32(0)
			e.String("")
			return -1
		}},
		{"looked up descriptor of a device", look, func(e *Encoder) int {
			e.U32(0)
			e.U32(0)
			e.U16(1)
			e.Attr(goodAttr(abi.S_IFREG))
			e.U32(0)
			return null
		}},
		{"target of a file", list2, func(e *Encoder) int {
			e.U16(1)
			at := e.ListHead(&Attr{Mode: abi.S_IFDIR})
			e.ListEntry(1, 8, []byte("a"), goodAttr(abi.S_IFREG), []byte("b"))
			e.SetListHead(at, 0, true, 1, 1)
			return -1
		}},
		{"listing of a file", list2, func(e *Encoder) int {
			e.U16(1)
			e.SetListHead(e.ListHead(goodAttr(abi.S_IFREG)), 0, true, 0, 0)
			return -1
		}},
		{"no directory", list2, func(e *Encoder) int { e.U16(0); return -1 }},
		{"more directories", list2, func(e *Encoder) int {
			e.U16(3)
			for range 3 {
				e.SetListHead(e.ListHead(&Attr{Mode: abi.S_IFDIR}), 0, true, 0, 0)
			}
			return -1
		}},
		{"half a directory ahead", list2, func(e *Encoder) int {
			e.U16(2)
			for i := range 2 {
				at := e.ListHead(&Attr{Mode: abi.S_IFDIR})
				e.ListEntry(1, 8, []byte("a"), nil, nil)
				e.SetListHead(at, 5, i == 0, 1, 0)
			}
			return -1
		}},
		{"huge listing", list2, func(e *Encoder) int {
			e.U16(1)
			e.SetListHead(e.ListHead(&Attr{Mode: abi.S_IFDIR}), 0, true, 1<<32-1, 0)
			return -1
		}},
		{"more attributes than entries", list2, func(e *Encoder) int {
			e.U16(1)
			at := e.ListHead(&Attr{Mode: abi.S_IFDIR})
			e.ListEntry(1, 8, []byte("a"), goodAttr(abi.S_IFREG), nil)
			e.Attr(goodAttr(abi.S_IFREG))
			e.SetListHead(at, 0, true, 1, 2)
			return -1
		}},
		{"fewer attributes than said", list2, func(e *Encoder) int {
			e.U16(1)
			at := e.ListHead(&Attr{Mode: abi.S_IFDIR})
			e.ListEntry(1, 8, []byte("a"), goodAttr(abi.S_IFREG), nil)
			e.SetListHead(at, 0, true, 1, 0)
			return -1
		}},
		{"dot", list2, func(e *Encoder) int {
			e.U16(1)
			at := e.ListHead(&Attr{Mode: abi.S_IFDIR})
			e.ListEntry(1, 4, []byte("."), nil, nil)
			e.SetListHead(at, 0, true, 1, 0)
			return -1
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			first := true
			c := fake(t, func(e *Encoder, typ uint8) int {
				if typ == Txattach && first {
					first = false
					e.Attr(goodAttr(abi.S_IFDIR))
					return -1
				}
				return tc.reply(e)
			})
			f, _, err := c.Attach("/")
			if err != nil {
				t.Fatal(err)
			}
			if err := tc.call(f); err != abi.EIO {
				t.Errorf("got %v", err)
			}
			if !c.Dead() {
				t.Error("the connection goes on")
			}
			if err := tc.call(f); err != abi.EIO {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// TestOddErrno: numbers that are no error of Linux must not reach an application.
func TestOddErrno(t *testing.T) {
	var n atomic.Uint32
	c := fake(t, func(e *Encoder, typ uint8) int {
		e.Begin(Rlerror, 1)
		e.U32(n.Load())
		return -1
	})
	for _, tc := range []struct {
		wire uint32
		want error
	}{{2, abi.ENOENT}, {512, abi.EIO}, {0xffffffff, abi.EIO}} {
		n.Store(tc.wire)
		if _, _, err := c.Attach("/"); err != tc.want {
			t.Errorf("%d: %v", tc.wire, err)
		}
	}
}

func TestAttrSize(t *testing.T) {
	var e Encoder
	e.Begin(1, 1)
	e.Attr(goodAttr(abi.S_IFREG))
	if n := e.Len() - HeaderSize; n != AttrSize {
		t.Errorf("%d bytes, AttrSize is %d", n, AttrSize)
	}
}

// FuzzReply gives the client's decoders any reply.
func FuzzReply(f *testing.F) {
	var e Encoder
	add := func(fill func()) {
		e.Begin(Txwalk+1, 1)
		fill()
		f.Add(append([]byte(nil), e.Bytes()...))
	}
	add(func() { e.U32(0); e.U32(0); e.U16(1); e.Attr(goodAttr(abi.S_IFDIR)); e.U32(0) })
	add(func() { e.U32(2); e.U16(0); e.U32(0) })
	add(func() { e.Attr(goodAttr(abi.S_IFREG)) })
	add(func() {
		e.U64(5)
		e.U8(1)
		e.U32(1)
		e.U64(1)
		e.U64(2)
		e.U8(8)
		e.U32(0)
		e.Attr(goodAttr(abi.S_IFREG))
		e.String("name")
	})
	add(func() {
		e.U16(2)
		for range 2 {
			at := e.ListHead(&Attr{Mode: abi.S_IFDIR, Ino: 2})
			e.ListEntry(1, 8, []byte("name"), nil, nil)
			e.ListEntry(1, 4, []byte("dir"), goodAttr(abi.S_IFDIR), nil)
			e.SetListHead(at, 2, true, 2, 1)
		}
	})
	e.Begin(Rxevents, NoTag)
	e.U16(1)
	e.Event(&Event{Mask: 2, Name: "x"})
	f.Add(append([]byte(nil), e.Bytes()...))
	f.Fuzz(func(t *testing.T, msg []byte) {
		d, err := parseReply(msg, Txwalk+1)
		if err == nil {
			for _, tail := range []uint8{TailNone, TailOpen, TailReaddir, TailLookup} {
				d, r := d, walkReply{}
				attrs, werr, ok := decodeWalk(&d, &r, 2, tail)
				if ok && (len(attrs) > 2 || (werr == nil && len(attrs) == 0)) {
					t.Fatalf("%d attrs, %v", len(attrs), werr)
				}
			}
			var l DirList
			ld := d
			l.decode(&ld)
			for _, x := range l.Entries {
				if !ValidName(x.Name) || (x.Attr == nil) == (x.Err == nil) {
					t.Fatalf("entry %+v", x)
				}
			}
			sd := d
			if lists, ok := decodeList(&sd, 3); ok {
				for i := range lists {
					for k := range lists[i].Len() {
						a := lists[i].Attr(k)
						if !ValidName(lists[i].Name(k)) || a != nil && !validType(a.Mode) {
							t.Fatalf("entry %q %+v", lists[i].Name(k), a)
						}
					}
				}
				Join(lists)
			}
			var a Attr
			ad := d
			if ad.Attr(&a); ad.OK() && !validType(a.Mode) {
				t.Fatalf("mode %o", a.Mode)
			}
		}
		if events, ok := parseEvents(msg); ok {
			for _, ev := range events {
				if ev.Name != "" && !ValidName(ev.Name) {
					t.Fatalf("event %+v", ev)
				}
			}
		}
	})
}
