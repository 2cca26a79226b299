package packet

import (
	"encoding/binary"
	"slices"

	"lazaret/sentry/kernel/bpf"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// Options that are numbers.
const (
	valAuxdata = iota
	valOrigdev
	valVersion
	valReserve
	valIgnoreOutgoing
	valStamp
	valStampNS
	valLoss
	valTimestamp
	valBypass
	maxValues
)

// membership is a struct packet_mreq.
type membership [16]byte

// maxMembers bounds the memberships of a socket.
const maxMembers = 64

var packetValues = map[int]int{
	abi.PACKET_AUXDATA: valAuxdata, abi.PACKET_ORIGDEV: valOrigdev, abi.PACKET_IGNORE_OUTGOING: valIgnoreOutgoing,
	abi.PACKET_LOSS: valLoss, abi.PACKET_TIMESTAMP: valTimestamp, abi.PACKET_QDISC_BYPASS: valBypass,
}

var socketValues = map[int]int{abi.SO_TIMESTAMP: valStamp, abi.SO_TIMESTAMPNS: valStampNS}

// AttachFilter implements socket.Filterer.
func (s *Socket) AttachFilter(p *bpf.Program) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return abi.EBADF
	}
	return s.filter.Set(s.acct, p)
}

// GetOption implements socket.Optioner.
func (s *Socket) GetOption(_ *vfs.Context, level, name, n int) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch level {
	case abi.SOL_SOCKET:
		return s.getSocketLocked(name)
	case abi.SOL_PACKET:
		return s.getPacketLocked(name, n)
	}
	return nil, abi.ENOPROTOOPT
}

func (s *Socket) getSocketLocked(name int) ([]byte, error) {
	switch name {
	case abi.SO_TYPE:
		return i32(s.id.Type), nil
	case abi.SO_DOMAIN:
		return i32(abi.AF_PACKET), nil
	case abi.SO_PROTOCOL, abi.SO_ERROR, abi.SO_ACCEPTCONN, abi.SO_PRIORITY, abi.SO_MARK:
		return i32(0), nil
	case abi.SO_SNDBUF:
		return i32(defaultBuf), nil
	case abi.SO_RCVBUF:
		return i32(s.rcvbuf), nil
	case abi.SO_LOCK_FILTER:
		return i32(int(b2i(s.filter.Locked()))), nil
	case abi.SO_BPF_EXTENSIONS:
		return i32(abi.SKF_AD_MAX), nil
	case abi.SO_RCVTIMEO_OLD, abi.SO_SNDTIMEO_OLD:
		t := s.times[(name-abi.SO_RCVTIMEO_OLD)&1]
		return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, uint64(t.Sec)), uint64(t.Usec)), nil
	}
	if v, ok := socketValues[name]; ok {
		return i32(int(s.values[v])), nil
	}
	return nil, abi.ENOPROTOOPT
}

func (s *Socket) getPacketLocked(name, n int) ([]byte, error) {
	switch name {
	case abi.PACKET_STATISTICS:
		b := append(i32(int(s.packets)), i32(int(s.drops))...)
		s.packets, s.drops = 0, 0
		return b, nil
	case abi.PACKET_VERSION:
		return i32(int(s.values[valVersion])), nil
	case abi.PACKET_RESERVE:
		return i32(int(s.values[valReserve])), nil
	}
	if v, ok := packetValues[name]; ok {
		return i32(int(s.values[v])), nil
	}
	return nil, abi.ENOPROTOOPT
}

// AskOption implements socket.Asker: PACKET_HDRLEN of a version.
func (s *Socket) AskOption(_ *vfs.Context, level, name int, question []byte) ([]byte, bool, error) {
	if level != abi.SOL_PACKET || name != abi.PACKET_HDRLEN {
		return nil, false, nil
	}
	if len(question) < 4 {
		return nil, true, abi.EINVAL
	}
	switch binary.LittleEndian.Uint32(question) {
	case versionOne, versionTwo:
		return i32(ringHeader), true, nil
	}
	return nil, true, abi.EINVAL
}

// SetOption implements socket.Optioner.
func (s *Socket) SetOption(ctx *vfs.Context, level, name int, value []byte) error {
	if level == abi.SOL_PACKET {
		return s.setPacket(ctx, name, value)
	}
	if level != abi.SOL_SOCKET {
		return abi.ENOPROTOOPT
	}
	if name == abi.SO_DETACH_FILTER {
		return s.AttachFilter(nil)
	}
	if len(value) < 4 {
		return abi.EINVAL
	}
	v := int(int32(binary.LittleEndian.Uint32(value)))
	s.mu.Lock()
	defer s.mu.Unlock()
	switch name {
	case abi.SO_RCVBUF, abi.SO_RCVBUFFORCE:
		// Even a forced buffer stays within net.core.rmem_max's default.
		s.rcvbuf = max(min(int(uint32(v)), defaultBuf)*2, minBuf)
		return nil
	case abi.SO_RCVTIMEO_OLD, abi.SO_SNDTIMEO_OLD:
		if len(value) < 16 {
			return abi.EINVAL
		}
		t := abi.Timeval{Sec: int64(binary.LittleEndian.Uint64(value)), Usec: int64(binary.LittleEndian.Uint64(value[8:]))}
		if t.Usec < 0 || t.Usec >= 1_000_000 {
			return abi.EDOM
		}
		s.times[(name-abi.SO_RCVTIMEO_OLD)&1] = abi.Timeval{Sec: max(t.Sec, 0), Usec: t.Usec}
		return nil
	case abi.SO_LOCK_FILTER:
		return s.filter.Lock(v != 0)
	case abi.SO_SNDBUF, abi.SO_SNDBUFFORCE, abi.SO_BROADCAST, abi.SO_REUSEADDR, abi.SO_PRIORITY, abi.SO_MARK, abi.SO_KEEPALIVE, abi.SO_DONTROUTE:
		return nil
	}
	id, ok := socketValues[name]
	if !ok {
		return abi.ENOPROTOOPT
	}
	s.values[id] = b2i(v != 0)
	return nil
}

func b2i(b bool) int32 {
	if b {
		return 1
	}
	return 0
}

func (s *Socket) setPacket(ctx *vfs.Context, name int, value []byte) error {
	switch name {
	case abi.PACKET_ADD_MEMBERSHIP, abi.PACKET_DROP_MEMBERSHIP:
		return s.membership(name == abi.PACKET_ADD_MEMBERSHIP, value)
	case abi.PACKET_RX_RING:
		return s.setRing(ctx, value)
	}
	if len(value) < 4 {
		return abi.EINVAL
	}
	v := int32(binary.LittleEndian.Uint32(value))
	s.mu.Lock()
	defer s.mu.Unlock()
	switch name {
	case abi.PACKET_VERSION:
		if v != versionOne && v != versionTwo {
			return abi.EINVAL
		}
		if s.ring != nil {
			return abi.EBUSY
		}
		s.values[valVersion] = v
		return nil
	case abi.PACKET_RESERVE:
		if v < 0 || v > maxReserve {
			return abi.EINVAL
		}
		if s.ring != nil {
			return abi.EBUSY
		}
		s.values[valReserve] = v
		return nil
	case abi.PACKET_COPY_THRESH:
		return nil
	case abi.PACKET_TIMESTAMP:
		s.values[valTimestamp] = v
		return nil
	}
	id, ok := packetValues[name]
	if !ok {
		return abi.ENOPROTOOPT
	}
	s.values[id] = b2i(v != 0)
	return nil
}

// membership is PACKET_ADD_MEMBERSHIP and PACKET_DROP_MEMBERSHIP. The links deliver what is
// for this host in any case.
func (s *Socket) membership(add bool, value []byte) error {
	var m membership
	if len(value) < len(m) {
		return abi.EINVAL
	}
	copy(m[:], value)
	if _, ok := s.f.NS.Stack.LinkByIndex(int32(binary.LittleEndian.Uint32(m[:]))); add && !ok {
		return abi.ENODEV
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.members, m)
	switch {
	case add && len(s.members) >= maxMembers:
		return abi.ENOBUFS
	case add:
		s.members = append(s.members, m)
	case i >= 0: // one that is not there is no error
		s.members = slices.Delete(s.members, i, i+1)
	}
	return nil
}
