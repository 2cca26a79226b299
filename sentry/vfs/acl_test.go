package vfs

import (
	"encoding/binary"
	"testing"

	"lazaret/syscalls/abi"
)

func acl(version uint32, entries ...[2]uint16) []byte {
	b := binary.LittleEndian.AppendUint32(nil, version)
	for _, e := range entries {
		b = binary.LittleEndian.AppendUint16(b, e[0])
		b = binary.LittleEndian.AppendUint16(b, e[1])
		b = binary.LittleEndian.AppendUint32(b, ^uint32(0))
	}
	return b
}

func TestACLMode(t *testing.T) {
	for _, c := range []struct {
		name  string
		value []byte
		mode  uint32
		full  bool
		err   error
	}{
		{"short", []byte{2, 0}, 0, false, abi.EINVAL},
		{"version", acl(1, [2]uint16{aclUserObj, 7}), 0, false, abi.EOPNOTSUPP},
		{"ragged", append(acl(2), 1, 2, 3), 0, false, abi.EINVAL},
		{"mode", acl(2, [2]uint16{aclUserObj, 7}, [2]uint16{aclGroupObj, 5}, [2]uint16{aclOther, 1}), 0o751, false, nil},
		{"user", acl(2, [2]uint16{aclUserObj, 6}, [2]uint16{aclUser, 4}, [2]uint16{aclGroupObj, 4}, [2]uint16{aclMask, 4}, [2]uint16{aclOther, 0}), 0o640, true, nil},
		{"no other", acl(2, [2]uint16{aclUserObj, 6}, [2]uint16{aclGroupObj, 4}), 0, false, abi.EINVAL},
		{"twice", acl(2, [2]uint16{aclUserObj, 6}, [2]uint16{aclUserObj, 4}, [2]uint16{aclGroupObj, 4}, [2]uint16{aclOther, 0}), 0, false, abi.EINVAL},
		{"rights", acl(2, [2]uint16{aclUserObj, 8}, [2]uint16{aclGroupObj, 4}, [2]uint16{aclOther, 0}), 0, false, abi.EINVAL},
		{"tag", acl(2, [2]uint16{0x40, 7}), 0, false, abi.EINVAL},
	} {
		mode, full, err := aclMode(c.value)
		if err != c.err || err == nil && (mode != c.mode || full != c.full) {
			t.Errorf("%s: mode %o full %v error %v, want %o %v %v", c.name, mode, full, err, c.mode, c.full, c.err)
		}
	}
}
