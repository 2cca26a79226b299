package netstack

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"lazaret/syscalls/abi"
)

// targetKind is what a rule does.
type targetKind uint8

const (
	targetAccept targetKind = iota
	targetDrop
	targetReturn
	targetJump
	targetError
	targetMark
	targetReject
	targetDNAT
	targetSNAT
	targetRedirect
	targetMasquerade
)

// final reports whether a rule that is for every packet ends its chain.
func (k targetKind) final() bool { return k != targetMark && k != targetJump }

// where returns the hooks and the table that a target is for; 0 and "" are all.
func (k targetKind) where() (hooks uint32, table string) {
	switch k {
	case targetDNAT, targetRedirect:
		return 1<<abi.NF_INET_PRE_ROUTING | 1<<abi.NF_INET_LOCAL_OUT, "nat"
	case targetSNAT:
		return 1<<abi.NF_INET_POST_ROUTING | 1<<abi.NF_INET_LOCAL_IN, "nat"
	case targetMasquerade:
		return 1 << abi.NF_INET_POST_ROUTING, "nat"
	case targetReject:
		return tableHooks["filter"].hooks, "filter"
	case targetMark:
		return 0, "mangle"
	}
	return 0, ""
}

// iptTarget is the target of a rule.
type iptTarget struct {
	kind       targetKind
	jump       uint32
	jumpOnly   bool // does not come back (-g)
	mark, mask uint32
	reject     stack.RejectIPv4WithICMPType
	nat        natRange
}

// natRange is a struct nf_nat_range with one address.
type natRange struct {
	flags uint32
	addr  netip.Addr
	ports ports
}

// targetRevisions are the targets that there are, with their revisions.
var targetRevisions = map[string][]uint8{
	"": {0}, "ERROR": {0}, "MARK": {2}, "REJECT": {0}, "DNAT": {0, 1, 2}, "SNAT": {0, 1, 2}, "REDIRECT": {0}, "MASQUERADE": {0},
}

var natTargets = map[string]targetKind{"DNAT": targetDNAT, "SNAT": targetSNAT, "REDIRECT": targetRedirect, "MASQUERADE": targetMasquerade}

var rejects = map[uint32]stack.RejectIPv4WithICMPType{
	abi.IPT_ICMP_NET_UNREACHABLE: stack.RejectIPv4WithICMPNetUnreachable, abi.IPT_ICMP_HOST_UNREACHABLE: stack.RejectIPv4WithICMPHostUnreachable,
	abi.IPT_ICMP_PORT_UNREACHABLE: stack.RejectIPv4WithICMPPortUnreachable, abi.IPT_ICMP_NET_PROHIBITED: stack.RejectIPv4WithICMPNetProhibited,
	abi.IPT_ICMP_HOST_PROHIBITED: stack.RejectIPv4WithICMPHostProhibited, abi.IPT_ICMP_ADMIN_PROHIBITED: stack.RejectIPv4WithICMPAdminProhibited,
}

// parseTarget reads a target: ENOENT, EINVAL.
func parseTarget(t *IPTable, name string, revision uint8, b []byte) (iptTarget, error) {
	if Revision(t.V6, name, revision, true) != nil {
		return iptTarget{}, abi.ENOENT
	}
	switch name {
	case "":
		if len(b) != standardSize-extHeader {
			return iptTarget{}, abi.EINVAL
		}
		return standard(int32(le.Uint32(b)))
	case "ERROR":
		if len(b) != align8(abi.XT_FUNCTION_MAXNAMELEN) || bytes.IndexByte(b, 0) < 0 {
			return iptTarget{}, abi.EINVAL
		}
		return iptTarget{kind: targetError}, nil
	case "MARK":
		if len(b) != 8 {
			return iptTarget{}, abi.EINVAL
		}
		return iptTarget{kind: targetMark, mark: le.Uint32(b), mask: le.Uint32(b[4:])}, nil
	case "REJECT":
		if len(b) != 8 {
			return iptTarget{}, abi.EINVAL
		}
		with, ok := rejects[le.Uint32(b)]
		if !ok {
			return iptTarget{}, abi.EINVAL // TODO: --reject-with tcp-reset and icmp-proto-unreachable
		}
		return iptTarget{kind: targetReject, reject: with}, nil
	}
	r, err := parseNAT(t.V6, name, revision, b)
	if err != nil {
		return iptTarget{}, err
	}
	kind := natTargets[name]
	if (kind == targetDNAT || kind == targetSNAT) && !r.addr.IsValid() && r.flags&abi.NF_NAT_RANGE_PROTO_SPECIFIED == 0 {
		return iptTarget{}, abi.EINVAL
	}
	return iptTarget{kind: kind, nat: r}, nil
}

// standard reads the verdict of a standard target: -NF_ACCEPT-1 and so on, or the offset of a rule.
func standard(verdict int32) (iptTarget, error) {
	switch {
	case verdict >= 0:
		return iptTarget{kind: targetJump, jump: uint32(verdict)}, nil
	case verdict == -abi.NF_ACCEPT-1:
		return iptTarget{kind: targetAccept}, nil
	case verdict == -abi.NF_DROP-1:
		return iptTarget{kind: targetDrop}, nil
	case verdict == abi.XT_RETURN:
		return iptTarget{kind: targetReturn}, nil
	}
	return iptTarget{}, abi.EINVAL // NF_QUEUE: nobody could take the packets
}

// parseNAT reads a struct nf_nat_ipv4_multi_range_compat, nf_nat_range or nf_nat_range2.
func parseNAT(v6 bool, name string, revision uint8, b []byte) (natRange, error) {
	var r natRange
	var low, high netip.Addr
	known := uint32(abi.NF_NAT_RANGE_MAP_IPS | abi.NF_NAT_RANGE_PROTO_SPECIFIED | abi.NF_NAT_RANGE_PROTO_RANDOM_ALL | abi.NF_NAT_RANGE_PERSISTENT)
	port := func(at int) uint16 { return binary.BigEndian.Uint16(b[at:]) }
	if revision == 0 && !v6 {
		if len(b) != 24 || le.Uint32(b) != 1 {
			return r, abi.EINVAL
		}
		r.flags, r.ports = le.Uint32(b[4:]), ports{port(16), port(18)}
		low, high = netip.AddrFrom4([4]byte(b[8:12])), netip.AddrFrom4([4]byte(b[12:16]))
	} else {
		size := 40
		if revision == 2 {
			size = 48
		}
		if len(b) != size || v6 && revision == 0 && (name == "DNAT" || name == "SNAT") {
			return r, abi.EINVAL
		}
		r.flags, r.ports = le.Uint32(b), ports{port(36), port(38)}
		low, high = netip.AddrFrom16([16]byte(b[4:20])), netip.AddrFrom16([16]byte(b[20:36]))
		if !v6 {
			low, high = netip.AddrFrom4([4]byte(b[4:8])), netip.AddrFrom4([4]byte(b[20:24]))
		}
	}
	if r.flags&^known != 0 {
		return r, abi.EINVAL
	}
	if r.flags&abi.NF_NAT_RANGE_MAP_IPS != 0 {
		if low != high {
			return r, abi.EINVAL // TODO: several addresses
		}
		r.addr = low
	}
	if r.flags&abi.NF_NAT_RANGE_PROTO_SPECIFIED != 0 && r.ports.low > r.ports.high {
		return r, abi.EINVAL
	}
	return r, nil
}

// act carries out the target that the rules chose.
func (t *iptTarget) act(p *evaluator, pkt *stack.PacketBuffer, hook stack.Hook, r *stack.Route, ep stack.AddressableEndpoint) stack.RuleVerdict {
	net := protoOf(netip.IPv4Unspecified())
	loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if p.t.V6 {
		net, loopback = ipv6.ProtocolNumber, netip.IPv6Loopback()
	}
	n := t.nat
	byPort := n.flags&abi.NF_NAT_RANGE_PROTO_SPECIFIED != 0
	span := stack.PortOrIdentRange{Start: n.ports.low, Size: uint32(n.ports.high) - uint32(n.ports.low) + 1}
	switch t.kind {
	case targetDNAT, targetSNAT:
		stack.IPTPerformNAT(pkt, hook, r, span, toAddress(n.addr), t.kind == targetDNAT, byPort, n.addr.IsValid())
	case targetRedirect:
		to := toAddress(loopback)
		if hook == stack.Prerouting {
			if ep == nil {
				return stack.RuleDrop
			}
			to = ep.MainAddress().Address
		}
		stack.IPTPerformNAT(pkt, hook, r, span, to, true, byPort, true)
	case targetMasquerade:
		m := stack.MasqueradeTarget{NetworkProtocol: net}
		v, _ := m.Action(pkt, hook, r, ep)
		return v
	case targetReject:
		if h, ok := p.s.s.NetworkProtocolInstance(ipv4.ProtocolNumber).(stack.RejectIPv4WithHandler); ok {
			_, _ = (&stack.RejectIPv4Target{Handler: h, RejectWith: t.reject}).Action(pkt, hook, r, ep)
		}
		return stack.RuleDrop
	case targetDrop, targetError:
		return stack.RuleDrop
	}
	return stack.RuleAccept
}
