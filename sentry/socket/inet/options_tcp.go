package inet

import (
	"bytes"
	"encoding/binary"

	"lazaret/syscalls/abi"
)

// tcpCAName is TCP_CA_NAME_MAX.
const tcpCAName = 16

// getTCP returns the options of SOL_TCP that are not in the table.
func (s *Socket) getTCP(name, n int) ([]byte, error) {
	ep := s.ep.Load()
	switch name {
	case abi.TCP_INFO:
		return s.tcpInfo(), nil
	case abi.TCP_CONGESTION:
		b := make([]byte, tcpCAName)
		copy(b, ep.Congestion())
		return b, nil
	case abi.TCP_MAXSEG:
		s.mu.Lock()
		defer s.mu.Unlock()
		if ep.Fresh() || ep.State() == abi.TCP_LISTEN {
			if v := s.opts.values[optIndex()[optKey{abi.SOL_TCP, abi.TCP_MAXSEG}].id]; v != 0 {
				return i32(int(v)), nil
			}
			return i32(536), nil
		}
		return i32(s.mss()), nil
	case abi.TCP_ULP:
		return []byte{}, nil
	case abi.TCP_SAVED_SYN:
		return []byte{}, nil
	}
	return nil, errNotSpecial
}

// mss is the segment size of a connection: what the path takes less headers and the
// timestamp option.
func (s *Socket) mss() int {
	b, err := s.pathMTU()
	if err != nil {
		return 536
	}
	head := 20 + 20 + 12
	if s.v6 && !s.ep.Load().IsIPv4() {
		head += 20
	}
	return min(word(b)-head, 65483)
}

// setTCP sets the options of SOL_TCP that are not in the table.
func (s *Socket) setTCP(name int, v []byte) error {
	switch name {
	case abi.TCP_CONGESTION:
		if len(v) < 1 {
			return abi.EINVAL
		}
		if i := bytes.IndexByte(v, 0); i >= 0 {
			v = v[:i]
		}
		return s.ep.Load().SetCongestion(string(v[:min(len(v), tcpCAName-1)]))
	case abi.TCP_INFO:
		return abi.ENOPROTOOPT
	case abi.TCP_ULP:
		return abi.ENOENT // no TLS in the kernel; libraries do it themselves
	case abi.TCP_MD5SIG, abi.TCP_MD5SIG_EXT:
		return abi.EINVAL
	case abi.TCP_REPAIR:
		return abi.EPERM
	case abi.TCP_FASTOPEN, abi.TCP_FASTOPEN_CONNECT, abi.TCP_FASTOPEN_KEY:
		return abi.EOPNOTSUPP
	}
	if len(v) < 4 {
		return abi.EINVAL
	}
	return errNotSpecial
}

// tcpInfoSize is sizeof(struct tcp_info) up to tcpi_rcv_ooopack and the fields that Linux
// 6.x appended.
const tcpInfoSize = 248

// tcpInfo is struct tcp_info (linux/tcp.h). What the stack does not tell is 0.
func (s *Socket) tcpInfo() []byte {
	b := make([]byte, tcpInfoSize)
	ep := s.ep.Load()
	i := ep.Info()
	put := func(off int, v uint32) { binary.LittleEndian.PutUint32(b[off:], v) }
	state := ep.State()
	b[0] = byte(state)
	b[1] = i.CAState
	if state != abi.TCP_CLOSE && state != abi.TCP_LISTEN && state != abi.TCP_SYN_SENT {
		b[5] = 1 | 2 | 4 // TCPI_OPT_TIMESTAMPS, SACK and WSCALE
		b[6] = 7 | 7<<4
		mss := uint32(s.mss())
		put(16, mss)           // tcpi_snd_mss
		put(20, min(mss, 536)) // tcpi_rcv_mss
		put(84, mss)           // tcpi_advmss
		if m, err := s.pathMTU(); err == nil {
			put(60, uint32(word(m))) // tcpi_pmtu
		}
	} else {
		put(16, 536)
		put(20, 536)
	}
	put(8, i.RTO)     // tcpi_rto
	put(12, 40000)    // tcpi_ato
	put(68, i.RTT)    // tcpi_rtt
	put(72, i.RTTVar) // tcpi_rttvar
	put(76, i.Ssthresh)
	put(80, i.Cwnd)
	put(88, 3) // tcpi_reordering
	_, recv := ep.Buffers()
	put(96, uint32(recv)) // tcpi_rcv_space
	return b
}
