package netstack

import (
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"lazaret/syscalls/abi"
)

// TestWireLost: when the other end of a wire goes, what was begun over it fails, what is begun
// finds no way, and lo goes on.
func TestWireLost(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := New()
	s.StartUp()
	t.Cleanup(s.Close)
	peer := netip.MustParseAddr("10.0.0.1")
	c := Config{Links: []HostLink{{Link: Link{Index: 2, Name: "eth0", MTU: 1500, Flags: unix.IFF_UP | unix.IFF_RUNNING, MAC: [6]byte{2, 0, 0, 0, 0, 1}},
		Wire: true, Addresses: []Address{{Prefix: netip.MustParsePrefix("10.0.0.2/24")}}}},
		Routes:     []Route{{Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: peer, Link: 2}},
		Neighbours: []Neighbour{{IP: peer, Link: 2, MAC: [6]byte{2, 0, 0, 0, 0, 2}}}}
	if err := s.Apply(&c, fds[:1]); err != nil {
		t.Fatal(err)
	}
	open := func() *Endpoint {
		e, err := s.NewEndpoint(TCP, false, 0, deaf{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Close)
		return e
	}
	begun := open()
	if err := begun.Connect(Addr{IP: peer, Port: 80}); err != abi.EINPROGRESS {
		t.Fatal(err)
	}
	local := open()
	if err := local.Bind(Addr{IP: netip.MustParseAddr("127.0.0.1"), Port: 5000}); err != nil {
		t.Fatal(err)
	}
	if err := local.Listen(1); err != nil {
		t.Fatal(err)
	}
	if err := unix.Close(fds[1]); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); !begun.Failed(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the connection does not fail")
		}
	}
	if l, _ := s.LinkByIndex(2); l.Flags&abi.IFF_RUNNING != 0 {
		t.Errorf("flags %#x", l.Flags)
	}
	if err := open().Connect(Addr{IP: netip.MustParseAddr("192.0.2.1"), Port: 80}); err != abi.ENETUNREACH && err != abi.EHOSTUNREACH {
		t.Errorf("connect over the dead link: %v", err)
	}
	if err := open().Connect(Addr{IP: netip.MustParseAddr("127.0.0.1"), Port: 5000}); err != abi.EINPROGRESS {
		t.Errorf("connect over lo: %v", err)
	}
	unix.Close(fds[0])
}
