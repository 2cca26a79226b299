package proc

import (
	"slices"
	"strings"

	"lazaret/sentry/fs/pseudo"
	"lazaret/sentry/kernel"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// NetFiles is a NetNamespace.State that fills files of /proc/PID/net.
type NetFiles interface {
	// ProcNet appends the text of file name ("dev", "tcp") to b; false: it has nothing to
	// say and the file shows a namespace without sockets and with only lo.
	ProcNet(name string, b []byte) ([]byte, bool)
}

// NetSource fills one file of /proc/PID/net for those who are not the State of the
// namespace (sockets of other families). It appends to b.
type NetSource func(ns *kernel.NetNamespace, b []byte) []byte

// netSources are the registered ones by name; written before the first task starts.
var netSources = map[string]NetSource{}

// RegisterNetFile makes src fill /proc/PID/net/name, which must be in netTable. It is
// called at boot.
func RegisterNetFile(name string, src NetSource) { netSources[name] = src }

// netEntry is a file of /proc/PID/net: its text without sockets and devices but lo.
type netEntry struct {
	name string
	mode uint32
	text string
}

const (
	sockHeader = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
	sockTail6  = "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
	refDrops   = " ref pointer drops"
)

// netTable is sorted by name.
var netTable = []netEntry{
	{"arp", 0o444, "IP address       HW type     Flags       HW address            Mask     Device\n"},
	{"dev", 0o444, "Inter-|   Receive                                                |  Transmit\n" +
		" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n" +
		"    lo:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0\n"},
	{"dev_mcast", 0o444, ""},
	{"fib_trie", 0o444, ""},
	{"icmp", 0o444, pad(sockHeader+refDrops, 127)},
	{"icmp6", 0o444, sockTail6 + refDrops + "\n"},
	{"if_inet6", 0o444, "00000000000000000000000000000001 01 80 10 80       lo\n"},
	{"igmp", 0o444, "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n"},
	{"ip_tables_names", 0o440, ""},
	{"ip6_tables_names", 0o440, ""},
	{"ipv6_route", 0o444, "00000000000000000000000000000001 80 00000000000000000000000000000000 00 " +
		"00000000000000000000000000000000 00000000 00000001 00000000 80200001       lo\n"},
	{"netlink", 0o444, "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n"},
	{"netstat", 0o444, netstatText},
	{"packet", 0o444, "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n"},
	{"protocols", 0o444, "protocol  size sockets  memory press maxhdr  slab module     cl co di ac io in de sh ss gs se re bi br ha uh gp em\n"},
	{"psched", 0o444, "000003e8 00000040 000f4240 3b9aca00\n"},
	{"ptype", 0o444, "Type Device      Function\n0800          ip_rcv\n0806          arp_rcv\n86dd          ipv6_rcv\n"},
	{"raw", 0o444, sockHeader + refDrops + "\n"},
	{"raw6", 0o444, sockTail6 + refDrops + "\n"},
	{"route", 0o444, pad("Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT", 127)},
	{"rt_cache", 0o444, pad("Iface\tDestination\tGateway \tFlags\t\tRefCnt\tUse\tMetric\tSource\t\tMTU\tWindow\tIRTT\tTOS\tHHRef\tHHUptod\tSpecDst", 127)},
	{"snmp", 0o444, snmpText},
	{"snmp6", 0o444, "Ip6InReceives                   \t0\nIp6InDelivers                   \t0\nIp6OutRequests                  \t0\n"},
	{"sockstat", 0o444, "sockets: used 0\nTCP: inuse 0 orphan 0 tw 0 alloc 0 mem 0\nUDP: inuse 0 mem 0\nUDPLITE: inuse 0\nRAW: inuse 0\nFRAG: inuse 0 memory 0\n"},
	{"sockstat6", 0o444, "TCP6: inuse 0\nUDP6: inuse 0\nUDPLITE6: inuse 0\nRAW6: inuse 0\nFRAG6: inuse 0 memory 0\n"},
	{"softnet_stat", 0o444, "00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000\n"},
	{"tcp", 0o444, pad(sockHeader, 149)},
	{"tcp6", 0o444, sockTail6 + "\n"},
	{"udp", 0o444, pad(" "+sockHeader+refDrops, 127)},
	{"udp6", 0o444, sockTail6 + refDrops + "\n"},
	{"udplite", 0o444, pad(" "+sockHeader+refDrops, 127)},
	{"udplite6", 0o444, sockTail6 + refDrops + "\n"},
	{"unix", 0o444, "Num       RefCount Protocol Flags    Type St Inode Path\n"},
	{"wireless", 0o444, "Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE\n" +
		" face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22\n"},
}

// pad fills a line to n characters, as seq_pad does, and ends it.
func pad(s string, n int) string {
	return s + strings.Repeat(" ", max(0, n-len(s))) + "\n"
}

const (
	netstatText = "TcpExt: SyncookiesSent SyncookiesRecv SyncookiesFailed TW ListenOverflows ListenDrops TCPTimeouts\n" +
		"TcpExt: 0 0 0 0 0 0 0\n" +
		"IpExt: InNoRoutes InTruncatedPkts InMcastPkts OutMcastPkts InBcastPkts OutBcastPkts InOctets OutOctets\n" +
		"IpExt: 0 0 0 0 0 0 0 0\n"
	snmpText = "Ip: Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams InUnknownProtos InDiscards InDelivers OutRequests OutDiscards OutNoRoutes ReasmTimeout ReasmReqds ReasmOKs ReasmFails FragOKs FragFails FragCreates OutTransmits\n" +
		"Ip: 2 64 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n" +
		"Icmp: InMsgs InErrors InCsumErrors InDestUnreachs InTimeExcds InParmProbs InSrcQuenchs InRedirects InEchos InEchoReps InTimestamps InTimestampReps InAddrMasks InAddrMaskReps OutMsgs OutErrors OutRateLimitGlobal OutRateLimitHost OutDestUnreachs OutTimeExcds OutParmProbs OutSrcQuenchs OutRedirects OutEchos OutEchoReps OutTimestamps OutTimestampReps OutAddrMasks OutAddrMaskReps\n" +
		"Icmp: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n" +
		"IcmpMsg:\nIcmpMsg:\n" +
		"Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs OutSegs RetransSegs InErrs OutRsts InCsumErrors\n" +
		"Tcp: 1 200 120000 -1 0 0 0 0 0 0 0 0 0 0 0\n" +
		"Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors\n" +
		"Udp: 0 0 0 0 0 0 0 0 0\n" +
		"UdpLite: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors\n" +
		"UdpLite: 0 0 0 0 0 0 0 0 0\n"
)

// netDir is /proc/PID/net.
type netDir struct {
	taskNode
	pseudo.ReadOnlyDir
}

// namespace returns the network namespace that the directory shows.
func (n *taskNode) netNS() *kernel.NetNamespace {
	t := n.task()
	if t == nil {
		return nil
	}
	if s := t.Namespaces(); s != nil {
		return s.Net
	}
	return nil
}

func netIndex(name string) int {
	return slices.IndexFunc(netTable, func(e netEntry) bool { return e.name == name })
}

// Lookup implements vfs.Directory.
func (d *netDir) Lookup(_ *vfs.Context, name string) (vfs.Inode, error) {
	i := netIndex(name)
	if i < 0 || d.netNS() == nil {
		return nil, abi.ENOENT
	}
	f := &netFile{index: i}
	f.init(d.fs, d.ref, abi.S_IFREG|netTable[i].mode, inoMisc+uint64(i))
	return f, nil
}

// Revalidate implements vfs.Revalidator.
func (d *netDir) Revalidate(_ *vfs.Context, _ string, child vfs.Inode) bool {
	return child == nil || d.netNS() != nil
}

// Open implements vfs.Inode.
func (d *netDir) Open(*vfs.Context, *vfs.File) (vfs.FileOps, error) { return netDirOps{}, nil }

type netDirOps struct{ pseudo.DirOps }

// ReadDir implements vfs.DirReader.
func (netDirOps) ReadDir(ctx *vfs.Context, f *vfs.File, pos *int64, emit func(*vfs.Dirent) bool) error {
	d, ok := f.Inode.(*netDir)
	if !ok {
		return abi.ENOTDIR
	}
	e := pseudo.Emitter{Pos: pos, Emit: emit}
	if !e.Dots(ctx, f, d.Ino) || d.netNS() == nil {
		return nil
	}
	for i := range netTable {
		if !e.Entry(int64(2+i), netTable[i].name, d.ref.ino(inoMisc+uint64(i)), abi.S_IFREG) {
			break
		}
	}
	return nil
}

// netFile is a file of /proc/PID/net.
type netFile struct {
	taskNode
	index int
}

// netSeq is an open file of /proc/PID/net: it shows the namespace that the process was
// in when it was opened.
type netSeq struct {
	pseudo.Seq
	ns *kernel.NetNamespace
}

// Open implements vfs.Inode.
func (i *netFile) Open(*vfs.Context, *vfs.File) (vfs.FileOps, error) {
	ns := i.netNS()
	if ns == nil {
		return nil, abi.ENOENT
	}
	return &netSeq{ns: ns}, nil
}

// Show implements pseudo.Shower.
func (i *netFile) Show(_ *vfs.Context, f *vfs.File, b *pseudo.Buf) error {
	o, ok := f.Ops.(*netSeq)
	if !ok {
		return abi.EINVAL
	}
	e := &netTable[i.index]
	if src := netSources[e.name]; src != nil {
		b.B = src(o.ns, b.B)
		return nil
	}
	if p, ok := o.ns.State.(NetFiles); ok {
		if text, ok := p.ProcNet(e.name, b.B); ok {
			b.B = text
			return nil
		}
	}
	b.Str(e.text)
	return nil
}
