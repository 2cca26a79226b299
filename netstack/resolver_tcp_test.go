package netstack

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
)

// dnsMsg is a message with a question for "a." and records; extra is how many of these are
// additional ones.
func dnsMsg(id, answers, extra uint16, records ...string) []byte {
	b := binary.BigEndian.AppendUint16(nil, id)
	b = append(b, 1, 0, 0, 1)
	b = binary.BigEndian.AppendUint16(b, answers)
	b = append(b, 0, 0)
	b = binary.BigEndian.AppendUint16(b, extra)
	b = append(b, "\x01a\x00\x00\x01\x00\x01"...)
	for _, r := range records {
		b = append(b, r...)
	}
	return b
}

const (
	aRecord   = "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x00\x00\x01"
	smallOPT  = "\x00\x00\x29\x02\x00\x00\x00\x00\x00\x00\x00"
	wholeOPT  = "\x00\x00\x29\xfd\xe8\x00\x00\x00\x00\x00\x00"
	otherLast = "\x01b\x00\x00\x10\x00\x01\x00\x00\x00\x00\x00\x02\x01x"
)

// TestRoom: a question gets EDNS's record, or a larger size in the one that it has; an answer
// loses it if nobody asked for it. What is malformed stays what it is.
func TestRoom(t *testing.T) {
	for _, c := range []struct {
		name     string
		in, want []byte
		sized    bool
	}{
		{"plain", dnsMsg(7, 0, 0), dnsMsg(7, 0, 1, wholeOPT), false},
		{"sized", dnsMsg(7, 0, 1, smallOPT), dnsMsg(7, 0, 1, wholeOPT), true},
		{"with another", dnsMsg(7, 0, 2, smallOPT, otherLast), dnsMsg(7, 0, 2, wholeOPT, otherLast), true},
		{"cut", dnsMsg(7, 0, 1, smallOPT[:9]), dnsMsg(7, 0, 1, smallOPT[:9]), true},
		{"too long", dnsMsg(7, 0, 0, "x"), dnsMsg(7, 0, 0, "x"), true},
	} {
		if got, sized := withRoom(c.in); !bytes.Equal(got, c.want) || sized != c.sized {
			t.Errorf("%s: %q %v, want %q %v", c.name, got, sized, c.want, c.sized)
		}
	}
	for _, c := range [][2][]byte{
		{dnsMsg(7, 1, 1, aRecord, wholeOPT), dnsMsg(7, 1, 0, aRecord)},
		{dnsMsg(7, 1, 0, aRecord), dnsMsg(7, 1, 0, aRecord)},
		{dnsMsg(7, 1, 2, aRecord, wholeOPT, otherLast), dnsMsg(7, 1, 2, aRecord, wholeOPT, otherLast)},
	} {
		if got := withoutOPT(bytes.Clone(c[0])); !bytes.Equal(got, c[1]) {
			t.Errorf("%q becomes %q, want %q", c[0], got, c[1])
		}
	}
}

// FuzzRoom: no message breaks what reads it.
func FuzzRoom(f *testing.F) {
	f.Add(dnsMsg(7, 1, 1, aRecord, wholeOPT))
	f.Add(dnsMsg(7, 0, 1, smallOPT[:9]))
	f.Fuzz(func(t *testing.T, msg []byte) {
		if len(msg) < dnsHeader {
			return
		}
		out, sized := withRoom(msg)
		if !sized && len(out) != len(msg)+len(wholeOPT) || sized && len(out) != len(msg) {
			t.Errorf("%q becomes %q", msg, out)
		}
		withoutOPT(bytes.Clone(msg))
	})
}

// TestResolverTCP: questions over a connection are asked over the host's socket, with room for
// an answer that no plain datagram holds.
func TestResolverTCP(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	defer func() {
		_ = unix.Shutdown(fds[1], unix.SHUT_RDWR)
		<-done
		unix.Close(fds[1])
	}()
	s := New()
	s.StartUp()
	if err := s.Apply(&Config{Resolver: true}, []int{fds[0]}); err != nil {
		t.Fatal(err)
	}
	large := bytes.Repeat([]byte(aRecord), 200)
	go func() {
		defer close(done)
		b := make([]byte, 1500)
		for {
			n, err := unix.Read(fds[1], b)
			if err == unix.EINTR {
				continue
			}
			if err != nil || n < 2 {
				return
			}
			id := binary.BigEndian.Uint16(b)
			answer := dnsMsg(id, 200, 1, string(large), wholeOPT)
			if !bytes.Equal(b[2:n], dnsMsg(0, 0, 1, wholeOPT)[2:]) {
				answer = dnsMsg(id, 0, 0)
			}
			for range 2 { // the second is nobody's
				_, _ = unix.Write(fds[1], answer)
			}
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c, err := Dial(ctx, s.get(), tcpip.FullAddress{}, tcpip.FullAddress{Addr: toAddress(EngineResolver.Addr()), Port: EngineResolver.Port()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	for id := range uint16(3) {
		q := dnsMsg(0x1200+id, 0, 0)
		if _, err := c.Write(append([]byte{0, byte(len(q))}, q...)); err != nil {
			t.Fatal(err)
		}
		want := dnsMsg(0x1200+id, 200, 0, string(large))
		got := make([]byte, 2+len(want))
		if _, err := io.ReadFull(c, got); err != nil {
			t.Fatal(err)
		}
		if int(binary.BigEndian.Uint16(got)) != len(want) || !bytes.Equal(got[2:], want) {
			t.Errorf("answer %d: %d bytes %q...", id, len(got), got[:30])
		}
	}
	if _, err := Dial(ctx, s.get(), tcpip.FullAddress{}, tcpip.FullAddress{Addr: toAddress(EngineResolver.Addr()), Port: 54}); err == nil {
		t.Error("another port answers")
	}
}
