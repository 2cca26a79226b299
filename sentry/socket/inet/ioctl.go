package inet

import (
	"encoding/binary"

	"lazaret/netstack"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// Ioctl implements vfs.Ioctler: those of the socket (tcp(7), udp(7)) and those of network
// devices (netdevice(7)).
func (s *Socket) Ioctl(ctx *vfs.Context, _ *vfs.File, cmd uint32, arg uint64, mem uio.Memory) (uint64, error) {
	addr := abi.Addr(arg)
	switch cmd {
	case abi.FIONREAD:
		s.mu.Lock()
		listening := s.listening
		s.mu.Unlock()
		if listening {
			return 0, abi.EINVAL
		}
		n := s.ep.Load().ReadQueue()
		if n > 0 && s.filtering() {
			n, _ = s.firstSize(s.ep.Load())
		}
		return 0, mem.CopyOut(addr, i32(n))
	case abi.TIOCOUTQ:
		s.mu.Lock()
		listening := s.listening
		s.mu.Unlock()
		if listening {
			return 0, abi.EINVAL
		}
		return 0, mem.CopyOut(addr, i32(s.ep.Load().WriteQueue()))
	case abi.SIOCATMARK:
		if s.kind != netstack.TCP {
			return 0, abi.ENOTTY
		}
		return 0, mem.CopyOut(addr, i32(0)) // there is no urgent data
	case abi.SIOCGSTAMP_OLD, abi.SIOCGSTAMPNS_OLD:
		t, ok := s.lastStamp()
		if !ok {
			return 0, abi.ENOENT
		}
		v := abi.Timeval{Sec: t.Unix(), Usec: int64(t.Nanosecond())}
		if cmd == abi.SIOCGSTAMP_OLD {
			v.Usec /= 1000
		}
		return 0, mem.CopyOut(addr, timeval(v))
	}
	return 0, s.ns.DeviceIoctl(ctx, cmd, addr, mem)
}

// struct ifreq: the name and 24 bytes of a union.
const (
	ifreqSize = 40
	ifreqData = abi.IFNAMSIZ
)

// DeviceIoctl is the ioctls of network devices, which every kind of socket takes: ENOTTY
// for others.
func (n *Namespace) DeviceIoctl(ctx *vfs.Context, cmd uint32, addr abi.Addr, mem uio.Memory) error {
	switch cmd {
	case abi.SIOCGIFCONF:
		return n.ifconf(addr, mem)
	case abi.SIOCGIFNAME:
		return n.ifname(addr, mem)
	case abi.SIOCGIFFLAGS, abi.SIOCGIFADDR, abi.SIOCGIFDSTADDR, abi.SIOCGIFBRDADDR, abi.SIOCGIFNETMASK, abi.SIOCGIFMETRIC,
		abi.SIOCGIFMTU, abi.SIOCGIFHWADDR, abi.SIOCGIFINDEX, abi.SIOCGIFTXQLEN, abi.SIOCGIFMAP:
	case abi.SIOCSIFFLAGS, abi.SIOCSIFADDR, abi.SIOCSIFNETMASK, abi.SIOCSIFBRDADDR, abi.SIOCSIFMTU, abi.SIOCSIFHWADDR:
		if !n.capable(ctx, abi.CAP_NET_ADMIN) {
			return abi.EPERM
		}
	case abi.SIOCETHTOOL:
		return abi.EOPNOTSUPP
	default:
		return abi.ENOTTY
	}
	var req [ifreqSize]byte
	if err := mem.CopyIn(addr, req[:]); err != nil {
		return err
	}
	l, ok := n.Stack.LinkByName(ifaceName(req[:]))
	if !ok {
		return abi.ENODEV
	}
	if cmd == abi.SIOCSIFFLAGS {
		up := binary.LittleEndian.Uint16(req[ifreqData:])&abi.IFF_UP != 0
		return n.Stack.SetUp(l.Index, up)
	}
	if err := n.ifreq(cmd, l, req[ifreqData:]); err != nil {
		return err
	}
	return mem.CopyOut(addr, req[:])
}

// ifaceName returns ifr_name, without an alias's colon.
func ifaceName(req []byte) string {
	for i, c := range req[:abi.IFNAMSIZ] {
		if c == 0 || c == ':' {
			return string(req[:i])
		}
	}
	return string(req[:abi.IFNAMSIZ-1])
}

// first4 returns the first IPv4 address of a link.
func (n *Namespace) first4(index int32) (netstack.Address, bool) {
	for _, a := range n.Stack.Addresses(index) {
		if a.Prefix.Addr().Is4() {
			return a, true
		}
	}
	return netstack.Address{}, false
}

// ifreq fills the union of a struct ifreq.
func (n *Namespace) ifreq(cmd uint32, l netstack.Link, out []byte) error {
	clear(out)
	word := func(v uint32) { binary.LittleEndian.PutUint32(out, v) }
	switch cmd {
	case abi.SIOCGIFFLAGS:
		binary.LittleEndian.PutUint16(out, uint16(l.Flags))
	case abi.SIOCGIFMETRIC, abi.SIOCGIFMAP:
	case abi.SIOCGIFMTU:
		word(l.MTU)
	case abi.SIOCGIFINDEX:
		word(uint32(l.Index))
	case abi.SIOCGIFTXQLEN:
		word(l.TxLen)
	case abi.SIOCGIFHWADDR:
		binary.LittleEndian.PutUint16(out, l.Type)
		copy(out[2:], l.MAC[:])
	case abi.SIOCGIFADDR, abi.SIOCGIFDSTADDR, abi.SIOCGIFBRDADDR, abi.SIOCGIFNETMASK:
		a, ok := n.first4(l.Index)
		if !ok {
			return abi.EADDRNOTAVAIL
		}
		binary.LittleEndian.PutUint16(out, abi.AF_INET)
		switch cmd {
		case abi.SIOCGIFNETMASK:
			binary.BigEndian.PutUint32(out[4:], ^uint32(0)<<(32-a.Prefix.Bits()))
		case abi.SIOCGIFBRDADDR:
			copy(out[4:8], as4(a.Broadcast))
		case abi.SIOCGIFDSTADDR:
			if copy(out[4:8], as4(a.Prefix.Addr())); a.Peer.IsValid() {
				copy(out[4:8], as4(a.Peer))
			}
		default:
			copy(out[4:8], as4(a.Prefix.Addr()))
		}
	default:
		return abi.EOPNOTSUPP // TODO: changes through ioctls; netlink has them
	}
	return nil
}

// ifconf is SIOCGIFCONF: the IPv4 addresses, each with its link's name.
func (n *Namespace) ifconf(addr abi.Addr, mem uio.Memory) error {
	var conf [16]byte
	if err := mem.CopyIn(addr, conf[:]); err != nil {
		return err
	}
	room := int(int32(binary.LittleEndian.Uint32(conf[:])))
	to := binary.LittleEndian.Uint64(conf[8:])
	if room < 0 {
		return abi.EINVAL
	}
	var out []byte
	for _, l := range n.Stack.Links() {
		for _, a := range n.Stack.Addresses(l.Index) {
			if !a.Prefix.Addr().Is4() || to != 0 && len(out)+ifreqSize > room {
				continue
			}
			var req [ifreqSize]byte
			copy(req[:abi.IFNAMSIZ-1], l.Name)
			binary.LittleEndian.PutUint16(req[ifreqData:], abi.AF_INET)
			copy(req[ifreqData+4:], as4(a.Prefix.Addr()))
			out = append(out, req[:]...)
		}
	}
	if to != 0 {
		if err := mem.CopyOut(abi.Addr(to), out); err != nil {
			return err
		}
	}
	return mem.CopyOut(addr, i32(len(out)))
}

// ifname is SIOCGIFNAME: the name of an index.
func (n *Namespace) ifname(addr abi.Addr, mem uio.Memory) error {
	var req [ifreqSize]byte
	if err := mem.CopyIn(addr, req[:]); err != nil {
		return err
	}
	l, ok := n.Stack.LinkByIndex(int32(binary.LittleEndian.Uint32(req[ifreqData:])))
	if !ok {
		return abi.ENODEV
	}
	clear(req[:abi.IFNAMSIZ])
	copy(req[:abi.IFNAMSIZ-1], l.Name)
	return mem.CopyOut(addr, req[:])
}
