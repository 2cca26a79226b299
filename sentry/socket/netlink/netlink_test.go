package netlink

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"lazaret/sentry/auth"
	"lazaret/sentry/memfile"
	"lazaret/sentry/socket"
	"lazaret/sentry/socket/inet"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

func testSocket(t testing.TB, protocol int) (*vfs.Context, *inet.Namespace, *Socket) {
	u := auth.NewInitial()
	ctx := &vfs.Context{Creds: &auth.Creds{UserNS: u, Effective: ^auth.CapSet(0)}, Account: &memfile.Account{}, PID: 7}
	in := inet.NewNamespace(u)
	in.Stack.StartUp()
	s, err := Family{NewNamespace(in, nil)}.NewSocket(ctx, abi.SOCK_RAW, protocol)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(); in.Release() })
	return ctx, in, s.(*Socket)
}

func ask(ctx *vfs.Context, s *Socket, typ, flags uint16, body []byte) error {
	b := binary.LittleEndian.AppendUint32(nil, uint32(hdrSize+len(body)))
	b = binary.LittleEndian.AppendUint16(b, typ)
	b = binary.LittleEndian.AppendUint16(b, flags|abi.NLM_F_REQUEST)
	b = append(b, make([]byte, 8)...)
	_, err := s.Send(ctx, &socket.Message{Bufs: uio.One(append(b, body...))})
	return err
}

// answers drains the queue.
func answers(ctx *vfs.Context, s *Socket) []request {
	var out []request
	for {
		buf := make([]byte, 64<<10)
		n, err := s.Recv(ctx, &socket.Message{Bufs: uio.One(buf)})
		if err != nil {
			return out
		}
		out = append(out, parse(buf[:n])...)
	}
}

func TestDumps(t *testing.T) {
	ctx, _, s := testSocket(t, abi.NETLINK_ROUTE)
	for name, tc := range map[string]struct {
		typ   uint16
		fixed int
		want  int // messages before NLMSG_DONE
	}{
		"links": {abi.RTM_GETLINK, 16, 1}, "addresses": {abi.RTM_GETADDR, 8, 2}, "routes": {abi.RTM_GETROUTE, 12, 4},
		"rules": {abi.RTM_GETRULE, 12, 5}, "neighbours": {abi.RTM_GETNEIGH, 12, 0}, "disciplines": {abi.RTM_GETQDISC, 20, 0},
	} {
		if err := ask(ctx, s, tc.typ, abi.NLM_F_DUMP, make([]byte, tc.fixed)); err != nil {
			t.Fatal(err)
		}
		got := answers(ctx, s)
		if len(got) != tc.want+1 || got[len(got)-1].typ != abi.NLMSG_DONE {
			t.Errorf("%s: %d messages, want %d and the end", name, len(got), tc.want)
		}
	}
}

// TestChange: an address is added, shown, refused a second time, and removed.
func TestChange(t *testing.T) {
	ctx, in, s := testSocket(t, abi.NETLINK_ROUTE)
	var m builder
	ip := netip.MustParseAddr("10.1.2.3")
	m.ip(abi.IFA_LOCAL, ip)
	body := append([]byte{abi.AF_INET, 24, 0, 0, 1, 0, 0, 0}, m.b...)
	errnos := func() (out []abi.Errno) {
		for _, r := range answers(ctx, s) {
			if r.typ == abi.NLMSG_ERROR {
				out = append(out, abi.Errno(-int32(binary.LittleEndian.Uint32(r.body))))
			}
		}
		return out
	}
	for _, step := range []struct {
		typ  uint16
		want abi.Errno
	}{{abi.RTM_NEWADDR, 0}, {abi.RTM_NEWADDR, abi.EEXIST}, {abi.RTM_DELADDR, 0}, {abi.RTM_DELADDR, abi.EADDRNOTAVAIL}} {
		if err := ask(ctx, s, step.typ, abi.NLM_F_ACK, body); err != nil {
			t.Fatal(err)
		}
		if got := errnos(); len(got) != 1 || got[0] != step.want {
			t.Errorf("%d: %v, want %v", step.typ, got, step.want)
		}
		if here := in.Stack.IsLocal(ip); here != (step.typ == abi.RTM_NEWADDR) {
			t.Errorf("%d: the stack has the address: %v", step.typ, here)
		}
	}
	ctx.Creds = &auth.Creds{UserNS: in.UserNS}
	_ = ask(ctx, s, abi.RTM_NEWADDR, abi.NLM_F_ACK, body)
	if got := errnos(); len(got) != 1 || got[0] != abi.EPERM {
		t.Errorf("without CAP_NET_ADMIN: %v", got)
	}
}

// TestBound: answers that nobody fetches are lost at a bound, and are charged.
func TestBound(t *testing.T) {
	ctx, _, s := testSocket(t, abi.NETLINK_ROUTE)
	for range 20000 {
		if err := ask(ctx, s, abi.RTM_GETLINK, abi.NLM_F_DUMP, make([]byte, 16)); err != nil {
			t.Fatal(err)
		}
	}
	if u := ctx.Account.Used(); u > maxQueue+baseCost || u < maxQueue/2 {
		t.Errorf("%d bytes charged", u)
	}
	if _, err := s.Recv(ctx, &socket.Message{Bufs: uio.One(make([]byte, 100))}); err != abi.ENOBUFS {
		t.Errorf("receive says %v", err)
	}
	s.Close()
	if u := ctx.Account.Used(); u != 0 {
		t.Errorf("%d bytes charged after close", u)
	}
}

func FuzzRoute(f *testing.F) {
	f.Add(uint16(abi.RTM_GETLINK), uint16(abi.NLM_F_DUMP), make([]byte, 16))
	f.Add(uint16(abi.RTM_NEWROUTE), uint16(0), append([]byte{2, 24, 0, 0, 254, 0, 0, 0, 0, 0, 0, 0}, 8, 0, 1, 0, 10, 0, 0, 0, 8, 0, 4, 0, 1, 0, 0, 0))
	f.Add(uint16(abi.RTM_GETROUTE), uint16(0), append([]byte{2, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 8, 0, 1, 0, 127, 0, 0, 1))
	f.Add(uint16(abi.SOCK_DIAG_BY_FAMILY), uint16(abi.NLM_F_DUMP), append([]byte{2, 6, 0, 0, 255, 255, 255, 255}, make([]byte, 48)...))
	f.Add(uint16(abi.RTM_NEWLINK), uint16(abi.NLM_F_CREATE), linkRequest("veth", "a", "b"))
	f.Add(uint16(abi.RTM_NEWLINK), uint16(abi.NLM_F_CREATE), linkRequest("bridge", "c", ""))
	f.Add(uint16(abi.RTM_DELLINK), uint16(0), append(make([]byte, 16), 6, 0, 3, 0, 'a', 0, 0, 0))
	route, diag := [3]any{}, [3]any{}
	for i, p := range []*[3]any{&route, &diag} {
		ctx, in, s := testSocket(f, []int{abi.NETLINK_ROUTE, abi.NETLINK_SOCK_DIAG}[i])
		*p = [3]any{ctx, in, s}
	}
	f.Fuzz(func(t *testing.T, typ, flags uint16, body []byte) {
		for _, p := range []*[3]any{&route, &diag} {
			ctx, s := p[0].(*vfs.Context), p[2].(*Socket)
			if err := ask(ctx, s, typ, flags, body[:min(len(body), 4000)]); err != nil {
				t.Fatal(err)
			}
			for _, r := range answers(ctx, s) {
				r.attributes(0)
			}
		}
	})
}
