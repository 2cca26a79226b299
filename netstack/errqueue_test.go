package netstack

import (
	"net/netip"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/header"
	"lazaret/syscalls/abi"
)

// TestErrorQueue: an endpoint with IP_RECVERR hears who could not deliver its datagram, be
// it connected or not, and the error is pending until the queue is empty.
func TestErrorQueue(t *testing.T) {
	s := New()
	s.StartUp()
	t.Cleanup(s.Close)
	s.get().SetICMPLimit(1 << 40) // no limit is in the way
	for name, tc := range map[string]struct {
		ip                 string
		v6, bind, connects bool
		option             Option
	}{
		"v4":               {ip: "127.0.0.1", option: RecvErr},
		"v4 connected":     {ip: "127.0.0.1", connects: true, option: RecvErr},
		"v4 bound to any":  {ip: "127.0.0.1", bind: true, connects: true, option: RecvErr},
		"v6":               {ip: "::1", v6: true, option: RecvErr6},
		"v6 connected":     {ip: "::1", v6: true, connects: true, option: RecvErr6},
		"v4 of dual stack": {ip: "::ffff:127.0.0.1", v6: true, option: RecvErr},
	} {
		e, err := s.NewEndpoint(UDP, tc.v6, 0, deaf{})
		if err != nil {
			t.Fatal(err)
		}
		to := Addr{IP: netip.MustParseAddr(tc.ip), Port: 9}
		if tc.bind {
			err = e.Bind(Addr{})
		}
		if tc.connects {
			err = e.Connect(to)
		}
		if err == nil {
			err = e.Set(tc.option, 1)
		}
		if _, werr := e.Write(&text{"lost"}, &WriteOptions{To: &to}); err != nil || werr != nil {
			t.Fatal(name, err, werr)
		}
		q, ok := e.TakeQueuedError()
		if !ok || q.Errno != abi.ECONNREFUSED || q.Offender.IP != to.IP.Unmap() || q.Dst.Port != 9 || string(q.Payload) != "lost" || q.TTL != 64 {
			t.Errorf("%s: %v %+v", name, ok, q)
		}
		if n := e.TakeError(); n != 0 {
			t.Errorf("%s: %v is pending after the queue was emptied", name, n)
		}
		_, _ = e.Write(&text{"lost"}, &WriteOptions{To: &to})
		if n := e.TakeError(); n != abi.ECONNREFUSED || !e.HasQueuedError() {
			t.Errorf("%s: pending %v", name, n)
		}
		for range 2 * maxErrors {
			_, _ = e.Write(&text{"lost"}, &WriteOptions{To: &to})
			e.TakeError()
		}
		if n := len(e.errs.queue); n > maxErrors {
			t.Errorf("%s: %d errors queued", name, n)
		}
		e.Close()
		if s.reporters.n.Load() != 0 {
			t.Errorf("%s: still reported to", name)
		}
	}
}

func FuzzICMPError(f *testing.F) {
	f.Add(false, []byte{0x45, 0, 0, 56, 0, 0, 0, 0, 64, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 0, 0, 0, 0, 0, 0, 0,
		0x45, 0, 0, 40, 0, 0, 0, 0, 1, 17, 0, 0, 5, 6, 7, 8, 9, 9, 9, 9, 0, 7, 0, 9, 0, 20, 0, 0})
	f.Fuzz(func(_ *testing.T, v6 bool, b []byte) {
		if v6 {
			icmpErrorIn(header.IPv6ProtocolNumber, b)
			return
		}
		icmpErrorIn(header.IPv4ProtocolNumber, b)
	})
}
