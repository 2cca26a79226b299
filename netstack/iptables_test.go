package netstack

import (
	"testing"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"lazaret/syscalls/abi"
)

// rules writes the filter table of IPv4 with rules in the INPUT chain, as iptables does.
type rules struct {
	b []byte
	n uint32
}

func (r *rules) add(mod func(entry []byte), match []byte, name string, target ...byte) uint32 {
	at := uint32(len(r.b))
	e := make([]byte, entry4)
	le.PutUint16(e[ip4+4:], uint16(entry4+len(match)))
	t := append(make([]byte, extHeader), target...)
	t = append(t, make([]byte, align8(len(t))-len(t))...)
	le.PutUint16(t, uint16(len(t)))
	copy(t[2:extHeader-1], name)
	le.PutUint16(e[ip4+6:], uint16(len(e)+len(match)+len(t)))
	if mod != nil {
		mod(e)
	}
	r.b = append(append(append(r.b, e...), match...), t...)
	r.n++
	return at
}

func verdict(v int32) []byte { return le.AppendUint32(nil, uint32(v)) }

// ext is a match.
func ext(name string, revision byte, data ...byte) []byte {
	b := append(make([]byte, extHeader), data...)
	b = append(b, make([]byte, align8(len(b))-len(b))...)
	le.PutUint16(b, uint16(len(b)))
	copy(b[2:], name)
	b[extHeader-1] = revision
	return b
}

// table parses what was added, with INPUT at 0 and FORWARD and OUTPUT behind.
func (r rules) table() (*IPTable, error) {
	var entry, under [abi.NF_INET_NUMHOOKS]uint32
	under[abi.NF_INET_LOCAL_IN] = r.add(nil, nil, "", verdict(-2)...)
	for _, h := range []int{abi.NF_INET_FORWARD, abi.NF_INET_LOCAL_OUT} {
		entry[h] = r.add(nil, nil, "", verdict(-2)...)
		under[h] = entry[h]
	}
	r.add(nil, nil, "ERROR", append([]byte("ERROR"), make([]byte, 27)...)...)
	return ParseTable("filter", false, tableHooks["filter"].hooks, entry, under, r.n, r.b)
}

func tcpOnly(e []byte) { le.PutUint16(e[80:], abi.IPPROTO_TCP) }

func TestTableChecks(t *testing.T) {
	port := func(p uint16) []byte {
		b := le.AppendUint16(le.AppendUint16(nil, 0), 65535)
		return append(le.AppendUint16(le.AppendUint16(b, p), p), 0, 0, 0, 0)
	}
	dnat := append([]byte{1, 0, 0, 0, 1, 0, 0, 0}, make([]byte, 16)...)
	for name, tc := range map[string]struct {
		build func(r *rules)
		want  error
	}{
		"empty":             {func(*rules) {}, nil},
		"a port":            {func(r *rules) { r.add(tcpOnly, ext("tcp", 0, port(80)...), "", verdict(-1)...) }, nil},
		"a port of no tcp":  {func(r *rules) { r.add(nil, ext("tcp", 0, port(80)...), "", verdict(-1)...) }, abi.EINVAL},
		"a short match":     {func(r *rules) { r.add(tcpOnly, ext("tcp", 0), "", verdict(-1)...) }, abi.EINVAL},
		"an unknown match":  {func(r *rules) { r.add(nil, ext("string", 1, make([]byte, 8)...), "", verdict(-1)...) }, abi.ENOENT},
		"a later revision":  {func(r *rules) { r.add(nil, ext("tcp", 9, port(80)...), "", verdict(-1)...) }, abi.ENOENT},
		"an unknown target": {func(r *rules) { r.add(nil, nil, "LOG", make([]byte, 32)...) }, abi.ENOENT},
		"another table's":   {func(r *rules) { r.add(nil, nil, "DNAT", dnat...) }, abi.EINVAL},
		"NF_QUEUE":          {func(r *rules) { r.add(nil, nil, "", verdict(-4)...) }, abi.EINVAL},
		"a jump nowhere":    {func(r *rules) { r.add(nil, nil, "", verdict(12)...) }, abi.EINVAL},
		"a jump to itself":  {func(r *rules) { r.add(tcpOnly, nil, "", verdict(0)...) }, abi.ELOOP},
		"odd offsets":       {func(r *rules) { r.add(func(e []byte) { le.PutUint16(e[ip4+4:], entry4+1) }, nil, "", verdict(-1)...) }, abi.EINVAL},
		"no target":         {func(r *rules) { r.add(func(e []byte) { le.PutUint16(e[ip4+6:], entry4) }, nil, "", verdict(-1)...) }, abi.EINVAL},
		"too far":           {func(r *rules) { r.add(func(e []byte) { le.PutUint16(e[ip4+6:], 65528) }, nil, "", verdict(-1)...) }, abi.EINVAL},
		"unknown flags":     {func(r *rules) { r.add(func(e []byte) { e[82] = 0x80 }, nil, "", verdict(-1)...) }, abi.EINVAL},
	} {
		var r rules
		tc.build(&r)
		if _, err := r.table(); err != tc.want {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
	if _, err := ParseTable("nosuch", false, 0, [5]uint32{}, [5]uint32{}, 0, nil); err != abi.ENOENT {
		t.Errorf("an unknown table: %v", err)
	}
}

// packetTo is a TCP packet for a port.
func packetTo(port uint16) *stack.PacketBuffer {
	b := make([]byte, header.IPv4MinimumSize+header.TCPMinimumSize)
	header.IPv4(b).Encode(&header.IPv4Fields{TotalLength: uint16(len(b)), TTL: 64, Protocol: uint8(header.TCPProtocolNumber),
		SrcAddr: tcpip.AddrFrom4([4]byte{10, 0, 0, 1}), DstAddr: tcpip.AddrFrom4([4]byte{10, 0, 0, 2})})
	header.TCP(b[header.IPv4MinimumSize:]).Encode(&header.TCPFields{SrcPort: 1, DstPort: port, DataOffset: header.TCPMinimumSize, Flags: header.TCPFlagSyn})
	p := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(b)})
	_, _ = p.NetworkHeader().Consume(header.IPv4MinimumSize)
	p.NetworkProtocolNumber = header.IPv4ProtocolNumber
	return p
}

// TestEvaluate: chains are called and left, the first verdict counts, and a way that takes
// too long ends.
func TestEvaluate(t *testing.T) {
	var r rules
	one := uint32(entry4 + standardSize)
	multi := ext("multiport", 1, append([]byte{1, 2, 90, 0, 99, 0}, append(make([]byte, 26), append([]byte{1}, make([]byte, 15)...)...)...)...)
	// 0: jump to the chain behind the policy; its rule drops ports 90 to 99.
	under := one
	r.add(nil, nil, "", verdict(int32(2*one))...)
	r.add(nil, nil, "", verdict(-2)...) // policy
	r.add(tcpOnly, multi, "", verdict(-1)...)
	r.add(nil, nil, "", verdict(abi.XT_RETURN)...)
	var entry, end [abi.NF_INET_NUMHOOKS]uint32
	end[abi.NF_INET_LOCAL_IN] = under
	for _, h := range []int{abi.NF_INET_FORWARD, abi.NF_INET_LOCAL_OUT} {
		entry[h], end[h] = under, under
	}
	table, err := ParseTable("filter", false, tableHooks["filter"].hooks, entry, end, r.n, r.b)
	if err != nil {
		t.Fatal(err)
	}
	s := New()
	defer s.Close()
	for port, want := range map[uint16]targetKind{80: targetAccept, 90: targetDrop, 95: targetDrop, 99: targetDrop, 100: targetAccept} {
		p := packetTo(port)
		look, ok := s.look(false, p, "eth0", "")
		if !ok {
			t.Fatal("no packet")
		}
		if got := table.evaluate(abi.NF_INET_LOCAL_IN, &look); got == nil || got.kind != want {
			t.Errorf("port %d: %+v", port, got)
		}
		p.DecRef()
	}
	if got := table.rules[0].packets.Load(); got != 5 {
		t.Errorf("%d packets counted, want 5", got)
	}
	if n := len(table.Entries()); n != table.Size() || len(table.Counters()) != table.Count()*counterSize {
		t.Errorf("%d bytes of entries", n)
	}
}

func FuzzTable(f *testing.F) {
	for _, name := range []string{"filter", "nat", "mangle", "raw"} {
		for _, v6 := range []bool{false, true} {
			t, err := initialTable(name, v6, tableHooks[name].hooks)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(name, v6, t.Entry[0], t.Entry[1], t.Entry[3], uint32(t.Count()), t.blob)
		}
	}
	var r rules
	r.add(tcpOnly, ext("conntrack", 3, make([]byte, 164)...), "REJECT", 0, 0, 0, 0)
	r.add(tcpOnly, ext("owner", 1, make([]byte, 20)...), "", verdict(0)...)
	r.add(nil, ext("addrtype", 1, make([]byte, 8)...), "MARK", make([]byte, 8)...)
	f.Add("filter", false, uint32(0), uint32(0), uint32(0), r.n, r.b)
	s := New()
	s.get()
	f.Fuzz(func(_ *testing.T, name string, v6 bool, a, b, c, count uint32, blob []byte) {
		at := [abi.NF_INET_NUMHOOKS]uint32{a, b, b, c, a}
		table, err := ParseTable(name, v6, tableHooks[name].hooks, at, at, count, blob)
		if err != nil {
			return
		}
		table.Entries()
		p := packetTo(80)
		defer p.DecRef()
		look, ok := s.look(false, p, "lo", "eth0")
		for h := 0; ok && h < abi.NF_INET_NUMHOOKS; h++ {
			if table.Hooks&(1<<h) != 0 && !v6 {
				table.evaluate(h, &look)
			}
		}
	})
}
