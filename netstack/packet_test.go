package netstack

import (
	"bytes"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/waiter"
)

type deaf struct{}

func (deaf) NotifyEvent(waiter.EventMask) {}

// wired returns a stack with an interface over one end of a socket pair.
func wired(t testing.TB) (*Stack, *packetLink, int) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fds[1]) }) // the other is the stack's
	s := New()
	s.StartUp()
	c := Config{Links: []HostLink{{Link: Link{Index: 2, Name: "eth0", MTU: 1500, Flags: unix.IFF_UP | unix.IFF_BROADCAST, MAC: [6]byte{2, 0, 0, 0, 0, 1}},
		Addresses: []Address{{Prefix: netip.MustParsePrefix("10.0.0.2/24")}, {Prefix: netip.MustParsePrefix("fd00::2/64")}}}}}
	if err := s.Apply(&c, fds[:1]); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, s.findLocked(2).ep.(*packetLink), fds[1]
}

// udpFrame is a datagram to 10.0.0.2 with a checksum that is right or wrong.
func udpFrame(port uint16, data string, wrong uint16) []byte {
	b := make([]byte, 14+20+8+len(data))
	header.Ethernet(b).Encode(&header.EthernetFields{SrcAddr: "\x02\x00\x00\x00\x00\x02", DstAddr: "\x02\x00\x00\x00\x00\x01", Type: header.IPv4ProtocolNumber})
	src, dst := tcpip.AddrFrom4([4]byte{10, 0, 0, 1}), tcpip.AddrFrom4([4]byte{10, 0, 0, 2})
	ip := header.IPv4(b[14:])
	ip.Encode(&header.IPv4Fields{TotalLength: uint16(len(b) - 14), TTL: 64, Protocol: 17, SrcAddr: src, DstAddr: dst})
	ip.SetChecksum(^ip.CalculateChecksum())
	u := header.UDP(b[34:])
	u.Encode(&header.UDPFields{SrcPort: 9, DstPort: port, Length: uint16(8 + len(data))})
	copy(u.Payload(), data)
	sum := header.PseudoHeaderChecksum(17, src, dst, uint16(len(u)))
	for i := 0; i < len(data); i += 2 {
		w := uint32(data[i]) << 8
		if i+1 < len(data) {
			w |= uint32(data[i+1])
		}
		w += uint32(sum)
		sum = uint16(w) + uint16(w>>16)
	}
	u.SetChecksum(^u.CalculateChecksum(sum) ^ wrong)
	return b
}

// TestDeliver: what is for this host and has the right checksum arrives; the host may have
// verified it already.
func TestDeliver(t *testing.T) {
	s, l, _ := wired(t)
	e, err := s.NewEndpoint(UDP, false, 0, deaf{})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Bind(Addr{Port: 5000}); err != nil {
		t.Fatal(err)
	}
	other := udpFrame(5000, "to another", 0)
	other[5] = 9
	for name, tc := range map[string]struct {
		flags byte
		frame []byte
		want  int
	}{
		"right":           {0, udpFrame(5000, "data", 0), 4},
		"wrong":           {0, udpFrame(5000, "data", 1), 0},
		"host verified":   {vnetDataValid, udpFrame(5000, "data", 1), 4},
		"host left it":    {vnetNeedsCsum, udpFrame(5000, "data", 1), 4},
		"another machine": {vnetDataValid, other, 0},
		"cut off":         {vnetDataValid, udpFrame(5000, "data", 0)[:30], 0},
	} {
		l.deliver(tc.flags, tc.frame)
		if got := e.ReadQueue(); got != tc.want {
			t.Errorf("%s: %d bytes, want %d", name, got, tc.want)
		}
		_, _ = e.Read(discard{}, false)
	}
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

// TestSend: a datagram leaves as one frame behind its header.
func TestSend(t *testing.T) {
	s, _, wire := wired(t)
	if err := s.AddNeighbour(Neighbour{IP: netip.MustParseAddr("10.0.0.1"), Link: 2, MAC: [6]byte{2, 0, 0, 0, 0, 2}}); err != nil {
		t.Fatal(err)
	}
	e, err := s.NewEndpoint(UDP, false, 0, deaf{})
	if err != nil {
		t.Fatal(err)
	}
	to := Addr{IP: netip.MustParseAddr("10.0.0.1"), Port: 7}
	if n, err := e.Write(&text{"ping"}, &WriteOptions{To: &to}); n != 4 || err != nil {
		t.Fatal(n, err)
	}
	buf := make([]byte, 2000)
	for {
		n, err := unix.Read(wire, buf)
		if err != nil {
			t.Fatal(err)
		}
		f := header.Ethernet(buf[vnetSize:n])
		if f.Type() != header.IPv4ProtocolNumber || header.IPv4(f[14:]).Protocol() != 17 {
			continue // IGMP and the like
		}
		if got := string(f[14+20+8:]); got != "ping" || f.DestinationAddress() != "\x02\x00\x00\x00\x00\x02" || !checked(f.Type(), f[14:]) {
			t.Errorf("%q to %v", got, f.DestinationAddress())
		}
		return
	}
}

type text struct{ s string }

func (p *text) Len() int { return len(p.s) }

func (p *text) Read(b []byte) (int, error) {
	n := copy(b, p.s)
	p.s = p.s[n:]
	return n, nil
}

// TestCapture: a packet that goes over lo is written once, as pcap has it.
func TestCapture(t *testing.T) {
	var w bytes.Buffer
	s := New()
	s.Capture(&w)
	s.StartUp()
	t.Cleanup(s.Close)
	e, err := s.NewEndpoint(UDP, false, 0, deaf{})
	if err != nil {
		t.Fatal(err)
	}
	to := Addr{IP: netip.MustParseAddr("127.0.0.1"), Port: 5001}
	if err := e.Bind(to); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Write(&text{"captured"}, &WriteOptions{To: &to}); err != nil {
		t.Fatal(err)
	}
	const fileHeader, packetHeader, packet = 24, 16, 20 + 8 + 8
	b := w.Bytes()
	if len(b) != fileHeader+packetHeader+packet || b[0] != 0xd4 || b[20] != 101 || b[32] != packet || !bytes.HasSuffix(b, []byte("captured")) {
		t.Errorf("%d bytes: % x", len(b), b)
	}
}

func FuzzDeliver(f *testing.F) {
	s, l, _ := wired(f)
	for _, k := range []Kind{UDP, TCP} {
		e, err := s.NewEndpoint(k, true, 0, deaf{})
		if err != nil {
			f.Fatal(err)
		}
		_ = e.Bind(Addr{Port: 5000})
		_ = e.Listen(4)
	}
	f.Add(byte(0), udpFrame(5000, "data", 0))
	f.Add(byte(1), udpFrame(5000, "", 0))
	f.Fuzz(func(_ *testing.T, flags byte, frame []byte) {
		if len(frame) >= header.EthernetMinimumSize {
			l.deliver(flags, frame)
		}
	})
}
