package netstack

import (
	"net/netip"
	"testing"
)

// TestInwardPorts: the host's kernel sees a port as long as somebody listens on it at an
// address that 127.0.0.1 or ::1 reaches.
func TestInwardPorts(t *testing.T) {
	for _, c := range []struct {
		name   string
		v6     bool
		at     string
		v6only bool
		on4    bool
		on6    bool
	}{
		{"any of IPv4", false, "", false, true, false},
		{"127.0.0.1", false, "127.0.0.1", false, true, false},
		{"another of lo", false, "127.0.0.5", false, false, false},
		{"any of both", true, "", false, true, true},
		{"any of IPv6", true, "", true, false, true},
		{"::1", true, "::1", false, false, true},
		{"mapped", true, "::ffff:127.0.0.1", false, true, false},
	} {
		s := New()
		s.StartUp()
		s.get()
		s.inward.bits, s.inward.count = make([]byte, InwardPorts), map[uint32]int{}
		e, err := s.NewEndpoint(TCP, c.v6, 0, deaf{})
		if err != nil {
			t.Fatal(err)
		}
		e.ep.SocketOptions().SetV6Only(c.v6only)
		a := Addr{Port: 80}
		if c.at != "" {
			a.IP = netip.MustParseAddr(c.at)
		}
		if err := e.Bind(a); err != nil {
			t.Fatalf("%s: bind: %v", c.name, err)
		}
		see := func(when string, on4, on6 bool) {
			if g4, g6 := s.inward.bits[10]&1 != 0, s.inward.bits[8192+10]&1 != 0; g4 != on4 || g6 != on6 {
				t.Errorf("%s, %s: %v %v, want %v %v", c.name, when, g4, g6, on4, on6)
			}
		}
		see("bound", false, false)
		for range 2 {
			if err := e.Listen(5); err != nil {
				t.Fatal(err)
			}
		}
		see("listening", c.on4, c.on6)
		e.Close()
		see("closed", false, false)
		s.Close()
	}
}
