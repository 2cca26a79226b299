package netstack

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/waiter"
	"lazaret/syscalls/abi"
)

type nobody struct{}

func (nobody) NotifyEvent(waiter.EventMask) {}

// exchange sends a datagram from one stack to an address of another until it arrives.
func exchange(t *testing.T, from, to *Stack, dst string) bool {
	t.Helper()
	r, err := to.NewEndpoint(UDP, false, 0, nobody{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Bind(Addr{Port: 9}); err != nil {
		t.Fatal(err)
	}
	s, err := from.NewEndpoint(UDP, false, 0, nobody{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	a := Addr{IP: netip.MustParseAddr(dst), Port: 9}
	for range 100 {
		_, _ = s.Write(bytes.NewReader([]byte("x")), &WriteOptions{To: &a})
		var b bytes.Buffer
		if _, err := r.Read(&b, false); err == nil {
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

// TestBridge: two namespaces talk over pairs and the bridge of a third, until a port is taken out.
func TestBridge(t *testing.T) {
	mid, a, b := New(), New(), New()
	defer mid.Close()
	defer a.Close()
	defer b.Close()
	br, err := mid.NewLink(KindBridge, LinkSpec{Name: "br0"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	up := func(s *Stack, i int32) {
		if err := s.SetUp(i, true); err != nil {
			t.Fatal(err)
		}
	}
	up(mid, br)
	var port int32
	for i, s := range []*Stack{a, b} {
		if port, err = mid.NewVeth(LinkSpec{Name: "p%d"}, s, LinkSpec{Name: "eth0"}, nil); err != nil {
			t.Fatal(err)
		}
		if err := mid.SetMaster(port, br); err != nil {
			t.Fatal(err)
		}
		up(mid, port)
		l, _ := s.LinkByName("eth0")
		up(s, l.Index)
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(1 + i)}), 24)
		if err := s.AddAddress(l.Index, Address{Prefix: p}); err != nil {
			t.Fatal(err)
		}
	}
	if l, _ := mid.LinkByIndex(br); l.Flags&abi.IFF_RUNNING == 0 {
		t.Error("the bridge has no carrier")
	}
	if !exchange(t, a, b, "10.0.0.2") {
		t.Error("nothing passes the bridge")
	}
	if err := mid.SetMaster(port, 0); err != nil {
		t.Fatal(err)
	}
	s, err := a.NewEndpoint(UDP, false, 0, nobody{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	before := b.CountersOf(2).RxPackets
	to := Addr{IP: netip.MustParseAddr("10.0.0.2"), Port: 9}
	_, _ = s.Write(bytes.NewReader([]byte("x")), &WriteOptions{To: &to})
	time.Sleep(20 * time.Millisecond)
	if n := b.CountersOf(2).RxPackets; n != before {
		t.Errorf("%d packets came past a port that was taken out", n-before)
	}
	b.Close()
	if _, ok := mid.LinkByIndex(port); ok {
		t.Error("a pair outlives the namespace of its end")
	}
}

// TestLinkBound: links are bounded, and their names are checked.
func TestLinkBound(t *testing.T) {
	s := New()
	defer s.Close()
	var err error
	n := 0
	for ; n < 2*maxLinks; n++ {
		if _, err = s.NewLink(KindDummy, LinkSpec{}, nil); err != nil {
			break
		}
		if n > 20 { // the rest by hand: a link costs a millisecond
			s.mu.Lock()
			for len(s.links) < maxLinks {
				s.links = append(s.links, s.links[1])
			}
			s.mu.Unlock()
		}
	}
	if err != abi.ENOBUFS {
		t.Errorf("after %d links: %v", n, err)
	}
	for _, name := range []string{"", ".", "..", "a b", "a/b", "a:b", "0123456789abcdef"} {
		if ValidName(name) {
			t.Errorf("%q is a name", name)
		}
	}
}
