package netstack

import (
	"bytes"
	"encoding/binary"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"lazaret/syscalls/abi"
)

// MaxTable bounds the rules of a table, in bytes.
const MaxTable = 192 << 10

// Sizes of the structures of x_tables.h, ip_tables.h and ip6_tables.h.
const (
	extHeader    = 32 // struct xt_entry_match and xt_entry_target: size, name, revision
	entry4, ip4  = 112, 84
	entry6, ip6  = 168, 136
	counterSize  = 16
	standardSize = extHeader + 8
)

// IPTable is a table of iptables(8): rules as the program wrote them, and as they are
// carried out. Immutable but for the counters.
type IPTable struct {
	Name       string
	V6         bool
	Hooks      uint32 // bit = NF_INET_*
	Entry      [abi.NF_INET_NUMHOOKS]uint32
	Underflow  [abi.NF_INET_NUMHOOKS]uint32
	blob       []byte
	rules      []iptRule
	at         map[uint32]int // rules by offset
	evaluating evaluations
}

// iptRule is an entry.
type iptRule struct {
	offset  uint32
	ip      iptHeader
	matches []iptMatch
	target  iptTarget
	hooks   uint32 // from which it can be reached
	packets atomic.Uint64
	bytes   atomic.Uint64
}

// tableHooks says which tables there are, and at which hooks they stand.
var tableHooks = map[string]struct {
	id    stack.TableID
	hooks uint32
}{
	"filter": {stack.FilterID, 1<<abi.NF_INET_LOCAL_IN | 1<<abi.NF_INET_FORWARD | 1<<abi.NF_INET_LOCAL_OUT},
	"nat":    {stack.NATID, 1<<abi.NF_INET_PRE_ROUTING | 1<<abi.NF_INET_LOCAL_IN | 1<<abi.NF_INET_LOCAL_OUT | 1<<abi.NF_INET_POST_ROUTING},
	"mangle": {stack.MangleID, 1<<abi.NF_INET_NUMHOOKS - 1},
	"raw":    {stack.RawID, 1<<abi.NF_INET_PRE_ROUTING | 1<<abi.NF_INET_LOCAL_OUT},
}

var le = binary.LittleEndian

// ParseTable checks the rules of a table: EINVAL, ENOENT for an extension that is not
// there, ELOOP.
// TRUST: everything is the application's.
func ParseTable(name string, v6 bool, hooks uint32, entry, underflow [abi.NF_INET_NUMHOOKS]uint32, count uint32, blob []byte) (*IPTable, error) {
	kind, ok := tableHooks[name]
	switch {
	case !ok:
		return nil, abi.ENOENT
	case hooks != kind.hooks || len(blob) > MaxTable:
		return nil, abi.EINVAL
	}
	t := &IPTable{Name: name, V6: v6, Hooks: hooks, Entry: entry, Underflow: underflow, blob: bytes.Clone(blob), at: map[uint32]int{}}
	if err := t.parse(count); err != nil {
		return nil, err
	}
	for h := range abi.NF_INET_NUMHOOKS {
		if hooks&(1<<h) == 0 {
			continue
		}
		if err := t.checkHook(h); err != nil {
			return nil, err
		}
	}
	for i := range t.rules {
		if err := t.checkRule(&t.rules[i]); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (t *IPTable) entrySize() (whole, header int) {
	if t.V6 {
		return entry6, ip6
	}
	return entry4, ip4
}

// parse reads the entries: each is whole and aligned, hooks begin and end at one of them.
func (t *IPTable) parse(count uint32) error {
	whole, header := t.entrySize()
	if int(count) > len(t.blob)/(whole+extHeader) {
		return abi.EINVAL
	}
	t.rules = make([]iptRule, count)
	off := 0
	for i := range t.rules {
		b := t.blob[off:]
		if len(b) < whole+extHeader {
			return abi.EINVAL
		}
		target, next := int(le.Uint16(b[header+4:])), int(le.Uint16(b[header+6:]))
		if target < whole || target%8 != 0 || next%8 != 0 || target+extHeader > next || next > len(b) {
			return abi.EINVAL
		}
		r := &t.rules[i]
		r.offset = uint32(off)
		if err := r.parse(t, b[:target], b[target:next]); err != nil {
			return err
		}
		t.at[r.offset] = i
		off += next
	}
	if off != len(t.blob) {
		return abi.EINVAL
	}
	return nil
}

// parse reads one entry: e up to its target.
func (r *iptRule) parse(t *IPTable, e, target []byte) error {
	whole, header := t.entrySize()
	var err error
	if r.ip, err = parseHeader(t.V6, e[:header]); err != nil {
		return err
	}
	// The counters that an entry brings mean nothing: programs add them afterwards.
	for m := e[whole:]; len(m) > 0; {
		if len(m) < extHeader {
			return abi.EINVAL
		}
		n := int(le.Uint16(m))
		if n < extHeader || n%8 != 0 || n > len(m) {
			return abi.EINVAL
		}
		match, err := parseMatch(t.V6, &r.ip, extName(m), m[extHeader-1], m[extHeader:n])
		if err != nil {
			return err
		}
		r.matches = append(r.matches, match)
		m = m[n:]
	}
	n := int(le.Uint16(target))
	if n < extHeader || n > len(target) {
		return abi.EINVAL
	}
	r.target, err = parseTarget(t, extName(target), target[extHeader-1], target[extHeader:n])
	return err
}

// extName is the name of a match or target.
func extName(b []byte) string {
	name := b[2 : extHeader-1]
	if i := bytes.IndexByte(name, 0); i >= 0 {
		name = name[:i]
	}
	return string(name)
}

// unconditional reports whether a rule is for every packet.
func (r *iptRule) unconditional() bool { return r.ip == (iptHeader{}) && len(r.matches) == 0 }

// checkHook checks where a hook begins and ends, and follows it: jumps must not form a loop.
func (t *IPTable) checkHook(h int) error {
	begin, ok := t.at[t.Entry[h]]
	end, ok2 := t.at[t.Underflow[h]]
	if !ok || !ok2 {
		return abi.EINVAL
	}
	u := &t.rules[end]
	if !u.unconditional() || u.target.kind != targetAccept && u.target.kind != targetDrop || begin > end {
		return abi.EINVAL
	}
	return t.follow(begin, h)
}

// follow marks what a hook reaches. A chain that is on its own path is a loop. Whose rules
// were followed to their end from this hook is not followed again.
func (t *IPTable) follow(begin, h int) error {
	const fresh, open, finished = 0, 1, 2
	state := make([]uint8, len(t.rules)) // of the chain that begins there
	type frame struct{ chain, at int }
	path := []frame{{begin, begin}}
	state[begin] = open
	for len(path) > 0 {
		f := &path[len(path)-1]
		if f.at >= len(t.rules) {
			return abi.EINVAL // no rule ends the chain
		}
		r := &t.rules[f.at]
		r.hooks |= 1 << h
		switch {
		case r.target.kind == targetJump:
			to, ok := t.at[r.target.jump]
			if !ok {
				return abi.EINVAL
			}
			f.at++
			if r.target.jumpOnly = r.ip.flags&abi.IPT_F_GOTO != 0 && !t.V6 || r.ip.flags&abi.IP6T_F_GOTO != 0 && t.V6; r.target.jumpOnly && r.unconditional() {
				f.at = -1
			}
			done := f.at < 0
			if done {
				state[f.chain] = finished
				path = path[:len(path)-1]
			}
			switch state[to] {
			case open:
				return abi.ELOOP
			case fresh:
				state[to] = open
				path = append(path, frame{to, to})
			}
		case r.unconditional() && r.target.kind.final():
			state[f.chain] = finished
			path = path[:len(path)-1]
		default:
			f.at++
		}
	}
	return nil
}

// checkRule checks what a rule may do at the hooks that lead to it, and in which table.
func (t *IPTable) checkRule(r *iptRule) error {
	only, table := r.target.kind.where()
	if table != "" && t.Name != table || only != 0 && r.hooks&^only != 0 {
		return abi.EINVAL
	}
	for _, m := range r.matches {
		if m.hooks() != 0 && r.hooks&^m.hooks() != 0 {
			return abi.EINVAL
		}
	}
	return nil
}

// Count is the number of rules, and Size their bytes.
func (t *IPTable) Count() int { return len(t.rules) }

// Size returns the length of Entries.
func (t *IPTable) Size() int { return len(t.blob) }

// Entries returns the rules with their counters, as iptables reads them.
func (t *IPTable) Entries() []byte {
	b := bytes.Clone(t.blob)
	whole, _ := t.entrySize()
	for i := range t.rules {
		r := &t.rules[i]
		at := int(r.offset) + whole - counterSize
		le.PutUint64(b[at:], r.packets.Load())
		le.PutUint64(b[at+8:], r.bytes.Load())
	}
	return b
}

// Counters returns struct xt_counters of all rules.
func (t *IPTable) Counters() []byte {
	var b []byte
	for i := range t.rules {
		b = le.AppendUint64(b, t.rules[i].packets.Load())
		b = le.AppendUint64(b, t.rules[i].bytes.Load())
	}
	return b
}

// AddCounters adds struct xt_counters to those of the rules: EINVAL.
func (t *IPTable) AddCounters(b []byte) error {
	if len(b) != len(t.rules)*counterSize {
		return abi.EINVAL
	}
	for i := range t.rules {
		t.rules[i].packets.Add(le.Uint64(b[i*counterSize:]))
		t.rules[i].bytes.Add(le.Uint64(b[i*counterSize+8:]))
	}
	return nil
}
