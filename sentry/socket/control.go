package socket

import (
	"encoding/binary"

	"lazaret/syscalls/abi"
)

// cmsgHeader is the size of struct cmsghdr: cmsg_len (8), cmsg_level (4), cmsg_type (4).
const cmsgHeader = 16

// MaxRights is SCM_MAX_FD: the most descriptors in one message.
const MaxRights = 253

// Cmsg is one piece of ancillary data as bytes.
type Cmsg struct {
	Level, Type int
	Data        []byte
}

func align(n int) int { return (n + 7) &^ 7 }

// ParseControl splits the application's control buffer: EINVAL for a header whose length
// is not that of a header or points past the end. A rest shorter than a header is ignored.
// TRUST: b is the application's; the result shares its memory.
func ParseControl(b []byte) ([]Cmsg, error) {
	var out []Cmsg
	for len(b) >= cmsgHeader {
		n := binary.LittleEndian.Uint64(b)
		if n < cmsgHeader || n > uint64(len(b)) {
			return nil, abi.EINVAL
		}
		out = append(out, Cmsg{
			Level: int(int32(binary.LittleEndian.Uint32(b[8:]))),
			Type:  int(int32(binary.LittleEndian.Uint32(b[12:]))),
			Data:  b[cmsgHeader:n],
		})
		b = b[min(align(int(n)), len(b)):]
	}
	return out, nil
}

// AppendCmsg adds a piece of ancillary data to b, which may grow to limit bytes. false:
// not all of it fits (MSG_CTRUNC); then as much as fits of data was added, nothing if
// there is no room for a header.
func AppendCmsg(b []byte, limit, level, typ int, data []byte) ([]byte, bool) {
	for len(b)%8 != 0 && len(b) < limit {
		b = append(b, 0)
	}
	room := limit - len(b)
	if room < cmsgHeader {
		return b, false
	}
	whole := len(data) <= room-cmsgHeader
	if !whole {
		data = data[:room-cmsgHeader]
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(cmsgHeader+len(data)))
	b = binary.LittleEndian.AppendUint32(b, uint32(level))
	b = binary.LittleEndian.AppendUint32(b, uint32(typ))
	return append(b, data...), whole
}

// RightsRoom returns how many descriptors an SCM_RIGHTS behind b may carry.
func RightsRoom(b []byte, limit int) int {
	room := limit - align(len(b)) - cmsgHeader
	if room < 4 {
		return 0
	}
	return room / 4
}

// Descriptors returns the numbers in the data of an SCM_RIGHTS: EINVAL above MaxRights.
func Descriptors(data []byte) ([]int32, error) {
	n := len(data) / 4
	if n > MaxRights {
		return nil, abi.EINVAL
	}
	fds := make([]int32, n)
	for i := range fds {
		fds[i] = int32(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return fds, nil
}
