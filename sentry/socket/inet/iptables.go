package inet

import (
	"bytes"
	"encoding/binary"

	"lazaret/netstack"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// Sizes of the structures of ip_tables.h, which ip6_tables.h shares.
const (
	tableName    = abi.XT_TABLE_MAXNAMELEN
	getInfoSize  = 84
	entriesSize  = 40 // and xt_counters_info
	replaceSize  = 96
	revisionSize = 30
	countersSize = 16
	// tableCost is what a rule's byte costs the Sentry in parsed form.
	tableCost = 4
)

// tables reports whether an option is one of iptables, and of which family.
func (s *Socket) tables(level, name, first, last int) (v6, ok bool) {
	switch {
	case name < first || name > last:
		return false, false
	case level == abi.SOL_IP && !s.v6:
		return false, true
	case level == abi.SOL_IPV6 && s.v6:
		return true, true
	}
	return false, false
}

// IP6T_SO_GET_REVISION_* stand two further on than IPT_SO_GET_REVISION_*.
const getLast, getLast6 = abi.IPT_SO_GET_REVISION_TARGET, abi.IP6T_SO_GET_REVISION_TARGET

// AskOption implements socket.Asker: what iptables(8) asks.
func (s *Socket) AskOption(ctx *vfs.Context, level, name int, q []byte) ([]byte, bool, error) {
	last := getLast
	if s.v6 {
		last = getLast6
	}
	v6, ok := s.tables(level, name, abi.IPT_SO_GET_INFO, last)
	if !ok || v6 && (name == abi.IPT_SO_GET_REVISION_MATCH || name == abi.IPT_SO_GET_REVISION_TARGET) {
		return nil, false, nil
	}
	if q == nil {
		return nil, true, nil
	}
	if !s.ns.capable(ctx, abi.CAP_NET_ADMIN) {
		return nil, true, abi.EPERM
	}
	var b []byte
	var err error
	switch {
	case name == abi.IPT_SO_GET_INFO:
		b, err = s.tableInfo(v6, q)
	case name == abi.IPT_SO_GET_ENTRIES:
		b, err = s.tableEntries(v6, q)
	case len(q) != revisionSize:
		err = abi.EINVAL
	default:
		err = netstack.Revision(v6, cString(q[:revisionSize-1]), q[revisionSize-1], name == last)
		b = q
	}
	return b, true, err
}

func cString(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

// tableInfo is IPT_SO_GET_INFO: a struct ipt_getinfo.
func (s *Socket) tableInfo(v6 bool, q []byte) ([]byte, error) {
	if len(q) != getInfoSize {
		return nil, abi.EINVAL
	}
	t, err := s.ns.Stack.Table(cString(q[:tableName]), v6)
	if err != nil {
		return nil, err
	}
	b := binary.LittleEndian.AppendUint32(append([]byte{}, q[:tableName]...), t.Hooks)
	for _, list := range [][abi.NF_INET_NUMHOOKS]uint32{t.Entry, t.Underflow} {
		for _, v := range list {
			b = binary.LittleEndian.AppendUint32(b, v)
		}
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(t.Count()))
	return binary.LittleEndian.AppendUint32(b, uint32(t.Size())), nil
}

// tableEntries is IPT_SO_GET_ENTRIES: EAGAIN when the table is not the one that was asked about.
func (s *Socket) tableEntries(v6 bool, q []byte) ([]byte, error) {
	if len(q) < entriesSize {
		return nil, abi.EINVAL
	}
	size := binary.LittleEndian.Uint32(q[tableName:])
	if uint64(len(q)) != uint64(size)+entriesSize {
		return nil, abi.EINVAL
	}
	t, err := s.ns.Stack.Table(cString(q[:tableName]), v6)
	if err != nil {
		return nil, err
	}
	if int(size) != t.Size() {
		return nil, abi.EAGAIN
	}
	return append(append([]byte{}, q[:entriesSize]...), t.Entries()...), nil
}

// SetTable implements socket.Tabler: IPT_SO_SET_REPLACE and IPT_SO_SET_ADD_COUNTERS.
func (s *Socket) SetTable(ctx *vfs.Context, level, name int, v []byte, mem uio.Memory) (bool, error) {
	v6, ok := s.tables(level, name, abi.IPT_SO_SET_REPLACE, abi.IPT_SO_SET_ADD_COUNTERS)
	switch {
	case !ok:
		return false, nil
	case !s.ns.capable(ctx, abi.CAP_NET_ADMIN):
		return true, abi.EPERM
	case name == abi.IPT_SO_SET_ADD_COUNTERS:
		return true, s.addCounters(v6, v)
	}
	return true, s.replace(ctx, v6, v, mem)
}

func (s *Socket) addCounters(v6 bool, v []byte) error {
	if len(v) < entriesSize || uint64(binary.LittleEndian.Uint32(v[tableName:]))*countersSize+entriesSize != uint64(len(v)) {
		return abi.EINVAL
	}
	t, err := s.ns.Stack.Table(cString(v[:tableName]), v6)
	if err != nil {
		return err
	}
	return t.AddCounters(v[entriesSize:])
}

// replace is IPT_SO_SET_REPLACE: the whole table at once, against the counters of the old one.
// TRUST: v is the application's.
func (s *Socket) replace(ctx *vfs.Context, v6 bool, v []byte, mem uio.Memory) error {
	if len(v) < replaceSize {
		return abi.EINVAL
	}
	word := func(at int) uint32 { return binary.LittleEndian.Uint32(v[at:]) }
	var entry, underflow [abi.NF_INET_NUMHOOKS]uint32
	for i := range entry {
		entry[i], underflow[i] = word(44+4*i), word(64+4*i)
	}
	count, size, counters := word(36), word(40), word(84)
	switch {
	case counters == 0, uint64(len(v)) != uint64(size)+replaceSize:
		return abi.EINVAL
	case size > netstack.MaxTable:
		return abi.ENOMEM
	}
	t, err := netstack.ParseTable(cString(v[:tableName]), v6, word(32), entry, underflow, count, v[replaceSize:])
	if err != nil {
		return err
	}
	was, err := s.ns.Stack.Table(t.Name, v6)
	if err != nil {
		return err
	}
	if int(counters) != was.Count() {
		return abi.EINVAL
	}
	if err := s.ns.payTable(ctx, t, was); err != nil {
		return err
	}
	if was, err = s.ns.Stack.SetTable(t); err != nil {
		return err
	}
	// As on Linux, the table is in force even if its predecessor's counters find no room.
	_ = mem.CopyOut(abi.Addr(binary.LittleEndian.Uint64(v[88:])), was.Counters()[:min(int(counters), was.Count())*countersSize])
	return nil
}

// payTable charges what a table needs more than the one it replaces: ENOMEM. Who pays first
// pays for the namespace, until that ends.
func (n *Namespace) payTable(ctx *vfs.Context, t, was *netstack.IPTable) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.payer == nil {
		n.payer = ctx.Account
	}
	if n.payer == nil {
		return nil
	}
	grow := (t.Size() - was.Size()) * tableCost
	if grow > 0 && n.payer.Charge(uint64(grow)) != nil {
		return abi.ENOMEM
	}
	if back := min(-grow, n.paid); back > 0 {
		n.payer.Uncharge(uint64(back))
		grow = -back
	} else if grow < 0 {
		grow = 0
	}
	n.paid += grow
	return nil
}
