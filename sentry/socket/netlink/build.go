package netlink

import (
	"encoding/binary"
	"net/netip"

	"lazaret/syscalls/abi"
)

// Sizes of struct nlmsghdr and rtattr.
const (
	hdrSize  = 16
	attrSize = 4
)

func align4(n int) int { return (n + 3) &^ 3 }

// builder writes netlink messages one behind the other.
type builder struct {
	b     []byte
	start int // of the message being written
}

// begin starts a message with its fixed part.
func (m *builder) begin(typ, flags uint16, seq, port uint32, fixed []byte) {
	m.start = len(m.b)
	m.b = binary.LittleEndian.AppendUint32(m.b, 0)
	m.b = binary.LittleEndian.AppendUint16(m.b, typ)
	m.b = binary.LittleEndian.AppendUint16(m.b, flags)
	m.b = binary.LittleEndian.AppendUint32(m.b, seq)
	m.b = binary.LittleEndian.AppendUint32(m.b, port)
	m.b = append(m.b, fixed...)
	m.pad()
}

func (m *builder) pad() {
	for len(m.b)%4 != 0 {
		m.b = append(m.b, 0)
	}
}

// end completes the message.
func (m *builder) end() {
	binary.LittleEndian.PutUint32(m.b[m.start:], uint32(len(m.b)-m.start))
}

// attr adds an attribute.
func (m *builder) attr(typ uint16, data []byte) {
	m.b = binary.LittleEndian.AppendUint16(m.b, uint16(attrSize+len(data)))
	m.b = binary.LittleEndian.AppendUint16(m.b, typ)
	m.b = append(m.b, data...)
	m.pad()
}

func (m *builder) u8(typ uint16, v uint8) { m.attr(typ, []byte{v}) }

func (m *builder) u32(typ uint16, v uint32) {
	m.attr(typ, binary.LittleEndian.AppendUint32(nil, v))
}

func (m *builder) str(typ uint16, s string) { m.attr(typ, append([]byte(s), 0)) }

// ip adds an address, if there is one.
func (m *builder) ip(typ uint16, ip netip.Addr) {
	if ip.IsValid() {
		m.attr(typ, ip.AsSlice())
	}
}

// request is one message that was received.
type request struct {
	typ, flags uint16
	seq, port  uint32
	body       []byte
	raw        []byte // header and all
}

// parse splits what was sent into messages; a rest that is none ends it, as on Linux.
// TRUST: b is the application's.
func parse(b []byte) []request {
	var out []request
	for len(b) >= hdrSize {
		n := int(binary.LittleEndian.Uint32(b))
		if n < hdrSize || n > len(b) {
			break
		}
		out = append(out, request{
			typ: binary.LittleEndian.Uint16(b[4:]), flags: binary.LittleEndian.Uint16(b[6:]),
			seq: binary.LittleEndian.Uint32(b[8:]), port: binary.LittleEndian.Uint32(b[12:]), body: b[hdrSize:n], raw: b[:n],
		})
		b = b[min(align4(n), len(b)):]
	}
	return out
}

// attributes returns the attributes behind a fixed part of n bytes, the last of each kind.
func (r *request) attributes(n int) map[uint16][]byte {
	if len(r.body) < align4(n) {
		return map[uint16][]byte{}
	}
	return attributesOf(r.body[align4(n):])
}

// attributesOf returns attributes that follow one another, the last of each kind.
// TRUST: b is the application's.
func attributesOf(b []byte) map[uint16][]byte {
	out := map[uint16][]byte{}
	for len(b) >= attrSize {
		l := int(binary.LittleEndian.Uint16(b))
		if l < attrSize || l > len(b) {
			break
		}
		out[binary.LittleEndian.Uint16(b[2:])&0x3fff] = b[attrSize:l]
		b = b[min(align4(l), len(b)):]
	}
	return out
}

// addrOf reads an address attribute.
func addrOf(b []byte) netip.Addr {
	ip, _ := netip.AddrFromSlice(b)
	return ip
}

func u32Of(b []byte) uint32 {
	if len(b) < 4 {
		return 0
	}
	return binary.LittleEndian.Uint32(b)
}

// strOf reads a string attribute.
func strOf(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}

// fail adds an NLMSG_ERROR; errno 0 is an acknowledgement. The request comes back whole
// unless the socket has NETLINK_CAP_ACK or it succeeded.
func (m *builder) fail(r *request, port uint32, e abi.Errno, short bool) {
	body := binary.LittleEndian.AppendUint32(nil, uint32(-int32(e)))
	flags := uint16(0)
	if short || e == 0 {
		body = append(body, r.raw[:hdrSize]...)
		if short {
			flags = abi.NLM_F_CAPPED
		}
	} else {
		body = append(body, r.raw...)
	}
	m.begin(abi.NLMSG_ERROR, flags, r.seq, port, body)
	m.end()
}

// done ends a dump.
func (m *builder) done(r *request, port uint32) {
	m.begin(abi.NLMSG_DONE, abi.NLM_F_MULTI, r.seq, port, make([]byte, 4))
	m.end()
}
