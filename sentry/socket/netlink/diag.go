package netlink

import (
	"encoding/binary"

	"lazaret/sentry/socket/inet"
	"lazaret/syscalls/abi"
)

// Sizes of struct inet_diag_req_v2, inet_diag_msg and the id in both.
const (
	diagReqSize = 56
	diagIDSize  = 48
)

// diag carries out a request of NETLINK_SOCK_DIAG: dumps of the inet sockets.
func (q *query) diag() error {
	if q.r.typ != abi.SOCK_DIAG_BY_FAMILY || len(q.r.body) < 2 {
		return abi.EINVAL
	}
	f := q.r.body[0]
	if f != abi.AF_INET && f != abi.AF_INET6 || len(q.r.body) < diagReqSize {
		return abi.ENOENT // TODO: unix_diag, packet_diag and netlink_diag; ss(8) reads /proc instead
	}
	if q.r.flags&abi.NLM_F_DUMP != abi.NLM_F_DUMP {
		return abi.ENOENT // TODO: one socket by its addresses
	}
	q.dump = true
	protocol, states := int(q.r.body[1]), binary.LittleEndian.Uint32(q.r.body[4:])
	ns := q.ctx.Creds.UserNS
	for _, s := range q.ns.inet.Sockets() {
		i := s.Describe()
		if i.Family != int(f) || i.Protocol != protocol || states&(1<<i.State) == 0 {
			continue
		}
		q.begin(abi.SOCK_DIAG_BY_FAMILY, diagMsg(&i, ns.UID(i.UID)))
		q.out.u8(abi.INET_DIAG_SHUTDOWN, i.Shutdown)
		q.out.end()
	}
	return nil
}

// diagMsg is a struct inet_diag_msg.
func diagMsg(i *inet.Description, uid uint32) []byte {
	b := make([]byte, 4, 4+diagIDSize+20)
	b[0], b[1] = byte(i.Family), i.State
	id := make([]byte, diagIDSize)
	binary.BigEndian.PutUint16(id, i.Local.Port)
	binary.BigEndian.PutUint16(id[2:], i.Remote.Port)
	put := func(to []byte, a []byte) { copy(to, a) }
	if i.Family == abi.AF_INET6 {
		if i.Local.IP.IsValid() {
			a := i.Local.IP.As16()
			put(id[4:20], a[:])
		}
		if i.Remote.IP.IsValid() {
			a := i.Remote.IP.As16()
			put(id[20:36], a[:])
		}
	} else {
		put(id[4:20], i.Local.IP.AsSlice())
		put(id[20:36], i.Remote.IP.AsSlice())
	}
	binary.LittleEndian.PutUint64(id[40:], i.Inode)
	b = append(b, id...)
	for _, v := range []uint32{0, uint32(i.ReadQueue), uint32(i.WriteQueue), uid, uint32(i.Inode)} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}
