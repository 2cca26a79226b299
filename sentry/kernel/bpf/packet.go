package bpf

import (
	"encoding/binary"

	"lazaret/syscalls/abi"
)

// Packet is what a socket filter looks at (SO_ATTACH_FILTER).
type Packet struct {
	Data     []byte
	Net      int    // where the network header is in Data
	Protocol uint16 // ETH_P_*
	Type     uint8  // PACKET_HOST and so on
	Link     uint32
	Hardware uint16 // ARPHRD_*
}

// packetOps are the operations of socket filters on top of those that seccomp allows
// (bpf_check_classic in Linux's net/core/filter.c).
var packetOps = map[uint16]bool{
	abi.BPF_LD | abi.BPF_H | abi.BPF_ABS: true, abi.BPF_LD | abi.BPF_B | abi.BPF_ABS: true,
	abi.BPF_LD | abi.BPF_W | abi.BPF_IND: true, abi.BPF_LD | abi.BPF_H | abi.BPF_IND: true, abi.BPF_LD | abi.BPF_B | abi.BPF_IND: true,
	abi.BPF_LDX | abi.BPF_B | abi.BPF_MSH: true,
	abi.BPF_ALU | abi.BPF_MOD | abi.BPF_K: true, abi.BPF_ALU | abi.BPF_MOD | abi.BPF_X: true,
}

// extensions are the offsets from SKF_AD_OFF that Load knows; the rest are EINVAL.
var extensions = map[uint32]bool{
	abi.SKF_AD_PROTOCOL: true, abi.SKF_AD_PKTTYPE: true, abi.SKF_AD_IFINDEX: true, abi.SKF_AD_HATYPE: true, abi.SKF_AD_MARK: true,
	abi.SKF_AD_QUEUE: true, abi.SKF_AD_RXHASH: true, abi.SKF_AD_CPU: true, abi.SKF_AD_VLAN_TAG: true, abi.SKF_AD_VLAN_TAG_PRESENT: true,
	abi.SKF_AD_VLAN_TPID: true, abi.SKF_AD_ALU_XOR_X: true,
}

const (
	adOff  = uint32(abi.SKF_AD_OFF & 0xffffffff)
	netOff = uint32(abi.SKF_NET_OFF & 0xffffffff)
	llOff  = uint32(abi.SKF_LL_OFF & 0xffffffff)
)

// CompilePacket checks a socket filter (EINVAL).
func CompilePacket(insns []Insn) (*Program, error) {
	n := len(insns)
	if n == 0 || n > abi.BPF_MAXINSNS {
		return nil, abi.EINVAL
	}
	for i, in := range insns {
		if !allowed[in.Code] && !packetOps[in.Code] || !checkJump(in, i, n) {
			return nil, abi.EINVAL
		}
		switch {
		case in.Code&0xe7 == abi.BPF_LD|abi.BPF_ABS:
			if in.K >= adOff && !extensions[in.K-adOff] {
				return nil, abi.EINVAL
			}
		case in.Code == abi.BPF_ALU|abi.BPF_MOD|abi.BPF_K && in.K == 0, !checkOperand(in):
			return nil, abi.EINVAL
		}
	}
	if last := insns[n-1].Code; last != abi.BPF_RET|abi.BPF_K && last != abi.BPF_RET|abi.BPF_A || !checkLoads(insns) {
		return nil, abi.EINVAL
	}
	return &Program{append([]Insn(nil), insns...)}, nil
}

// RunPacket runs a socket filter: how many bytes of the packet it lets pass. A load from
// beyond the packet ends it with 0.
func (p *Program) RunPacket(d *Packet) uint32 {
	m := packetRun{d: d}
	for pc := 0; pc < len(p.insns); pc++ {
		in := &p.insns[pc]
		ok := true
		switch in.Code & 7 {
		case abi.BPF_RET:
			if in.Code&0x18 == abi.BPF_A {
				return m.a
			}
			return in.K
		case abi.BPF_LD:
			m.a, ok = m.load(in)
		case abi.BPF_LDX:
			m.x, ok = m.load(in)
		case abi.BPF_ST:
			m.mem[in.K&15] = m.a
		case abi.BPF_STX:
			m.mem[in.K&15] = m.x
		case abi.BPF_ALU:
			v := in.K
			if in.Code&abi.BPF_X != 0 {
				v = m.x
			}
			switch {
			case in.Code&0xf0 != abi.BPF_MOD:
				m.a, ok = alu(in.Code&0xf0, m.a, v)
			case v == 0:
				ok = false
			default:
				m.a %= v
			}
		case abi.BPF_JMP:
			pc += jump(in, m.a, m.x)
		case abi.BPF_MISC:
			if in.Code == abi.BPF_MISC|abi.BPF_TAX {
				m.x = m.a
			} else {
				m.a = m.x
			}
		}
		if !ok {
			return 0
		}
	}
	return 0
}

// packetRun is the state of a run.
type packetRun struct {
	d    *Packet
	a, x uint32
	mem  [abi.BPF_MEMWORDS]uint32
}

func (m *packetRun) load(in *Insn) (uint32, bool) {
	switch in.Code & 0xe0 {
	case abi.BPF_ABS:
		if in.K >= adOff {
			return m.extension(in.K - adOff), true
		}
		return m.bytes(in.K, in.Code)
	case abi.BPF_IND:
		return m.bytes(in.K+m.x, in.Code)
	case abi.BPF_MSH:
		v, ok := m.bytes(in.K, abi.BPF_B)
		return v & 0xf << 2, ok
	case abi.BPF_LEN:
		return uint32(len(m.d.Data)), true
	case abi.BPF_MEM:
		return m.mem[in.K&15], true
	}
	return in.K, true
}

// bytes loads a big-endian number of one, two or four bytes.
func (m *packetRun) bytes(k uint32, code uint16) (uint32, bool) {
	at := uint64(k)
	switch {
	case k >= netOff:
		at = uint64(k-netOff) + uint64(m.d.Net)
	case k >= llOff:
		at = uint64(k - llOff)
	}
	n := uint64(4)
	switch code & 0x18 {
	case abi.BPF_H:
		n = 2
	case abi.BPF_B:
		n = 1
	}
	if at+n > uint64(len(m.d.Data)) {
		return 0, false
	}
	b := m.d.Data[at:]
	switch n {
	case 1:
		return uint32(b[0]), true
	case 2:
		return uint32(binary.BigEndian.Uint16(b)), true
	}
	return binary.BigEndian.Uint32(b), true
}

// extension is what is known of a packet beside its bytes.
func (m *packetRun) extension(at uint32) uint32 {
	switch at {
	case abi.SKF_AD_PROTOCOL:
		return uint32(m.d.Protocol)
	case abi.SKF_AD_PKTTYPE:
		return uint32(m.d.Type)
	case abi.SKF_AD_IFINDEX:
		return m.d.Link
	case abi.SKF_AD_HATYPE:
		return uint32(m.d.Hardware)
	case abi.SKF_AD_ALU_XOR_X:
		return m.a ^ m.x
	}
	return 0
}
