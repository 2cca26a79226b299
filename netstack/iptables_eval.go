package netstack

import (
	"slices"
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"lazaret/syscalls/abi"
)

// Bounds of one packet's way through a table: chains may be called so deep, and so many
// rules be looked at. A packet that needs more is dropped.
const (
	maxDepth = 128
	maxSteps = 1 << 16
)

// hookNumbers are the stack's hooks in netfilter's numbers.
var hookNumbers = [...]int{
	stack.Prerouting: abi.NF_INET_PRE_ROUTING, stack.Input: abi.NF_INET_LOCAL_IN, stack.Forward: abi.NF_INET_FORWARD,
	stack.Output: abi.NF_INET_LOCAL_OUT, stack.Postrouting: abi.NF_INET_POST_ROUTING,
}

// evaluator stands in the stack's table for all rules of a hook. The stack asks it as a
// matcher, which hears of the interfaces, and then as a target, which may change the packet:
// what the first found waits for the second.
type evaluator struct {
	s *Stack
	t *IPTable
}

// evaluations are the targets of packets between the two questions.
type evaluations struct {
	mu sync.Mutex
	of map[*stack.PacketBuffer]*iptTarget
}

// Match implements stack.Matcher.
func (e *evaluator) Match(hook stack.Hook, pkt *stack.PacketBuffer, in, out string) (matches, drop bool) {
	p, ok := e.s.look(e.t.V6, pkt, in, out)
	if !ok {
		return false, true
	}
	if e.t.Name == "nat" && p.settled(hook) {
		return false, false
	}
	target := e.t.evaluate(hookNumbers[hook], &p)
	if target == nil {
		return false, true
	}
	if target.kind == targetAccept {
		return false, false // the stack's own rule behind accepts
	}
	ev := &e.t.evaluating
	ev.mu.Lock()
	if ev.of == nil {
		ev.of = map[*stack.PacketBuffer]*iptTarget{}
	}
	ev.of[pkt] = target
	ev.mu.Unlock()
	return true, false
}

// settled reports whether the nat table has nothing to say of a packet: it is asked of the
// first one of a connection, at each hook. (Between local addresses the stack tracks what is
// sent only.)
func (p *iptPacket) settled(hook stack.Hook) bool {
	kind := stack.SNAT
	if hook == stack.Prerouting || hook == stack.Output {
		kind = stack.DNAT
	}
	return !p.pkt.IsConnTrackConfigured() || p.state()&stateNew == 0 || p.pkt.IsNATConfigured(kind)
}

// Action implements stack.Target.
func (e *evaluator) Action(pkt *stack.PacketBuffer, hook stack.Hook, r *stack.Route, ep stack.AddressableEndpoint) (stack.RuleVerdict, int) {
	ev := &e.t.evaluating
	ev.mu.Lock()
	target := ev.of[pkt]
	delete(ev.of, pkt)
	ev.mu.Unlock()
	if target == nil {
		return stack.RuleDrop, 0
	}
	return target.act(e, pkt, hook, r, ep), 0
}

// evaluate returns the target that ends a packet's way; nil drops it.
func (t *IPTable) evaluate(hook int, p *iptPacket) *iptTarget {
	var back [maxDepth]int
	depth := 0
	at := t.at[t.Entry[hook]]
	for range maxSteps {
		if at >= len(t.rules) {
			return nil
		}
		r := &t.rules[at]
		if !r.applies(p) {
			at++
			continue
		}
		r.packets.Add(1)
		r.bytes.Add(uint64(p.length))
		switch r.target.kind {
		case targetMark:
			p.pkt.Mark = p.pkt.Mark&^r.target.mask ^ r.target.mark
			at++
		case targetReturn:
			if depth == 0 {
				at = t.at[t.Underflow[hook]] // the policy, which counts the packet too
				break
			}
			depth--
			at = back[depth]
		case targetJump:
			if !r.target.jumpOnly {
				if depth == maxDepth {
					return nil
				}
				back[depth] = at + 1
				depth++
			}
			at = t.at[r.target.jump]
		default:
			return &r.target
		}
	}
	return nil
}

func (r *iptRule) applies(p *iptPacket) bool {
	if !r.ip.matches(p) {
		return false
	}
	for _, m := range r.matches {
		if !m.match(p) {
			return false
		}
	}
	return true
}

// tableKey names a table of a namespace.
type tableKey struct {
	name string
	v6   bool
}

// Table returns a table; one that nobody has changed accepts everything: ENOENT.
func (s *Stack) Table(name string, v6 bool) (*IPTable, error) {
	kind, ok := tableHooks[name]
	if !ok {
		return nil, abi.ENOENT
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := (tableKey{name, v6}); !slices.Contains(s.looked, k) {
		s.looked = slices.Insert(s.looked, 0, k)
	}
	if t := s.tables[tableKey{name, v6}]; t != nil {
		return t, nil
	}
	return initialTable(name, v6, kind.hooks)
}

// TableNames returns the tables that somebody has asked for, the last first: as on Linux,
// a table is there from then on.
func (s *Stack) TableNames(v6 bool) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, k := range s.looked {
		if k.v6 == v6 {
			out = append(out, k.name)
		}
	}
	return out
}

// initialTable is a table whose chains are empty.
func initialTable(name string, v6 bool, hooks uint32) (*IPTable, error) {
	whole, header := entry4, ip4
	if v6 {
		whole, header = entry6, ip6
	}
	var blob []byte
	var at [abi.NF_INET_NUMHOOKS]uint32
	count := uint32(0)
	entry := func(target []byte) {
		b := make([]byte, whole)
		le.PutUint16(b[header+4:], uint16(whole))
		le.PutUint16(b[header+6:], uint16(whole+len(target)))
		le.PutUint16(target, uint16(len(target)))
		blob = append(append(blob, b...), target...)
		count++
	}
	for h := range at {
		if hooks&(1<<h) != 0 {
			at[h] = uint32(len(blob))
			accept := make([]byte, standardSize)
			verdict := int32(-abi.NF_ACCEPT - 1)
			le.PutUint32(accept[extHeader:], uint32(verdict))
			entry(accept)
		}
	}
	end := make([]byte, extHeader+align8(abi.XT_FUNCTION_MAXNAMELEN))
	copy(end[2:], "ERROR")
	copy(end[extHeader:], "ERROR")
	entry(end)
	return ParseTable(name, v6, hooks, at, at, count, blob)
}

// SetTable puts a table in force and returns the one before it.
func (s *Stack) SetTable(t *IPTable) (*IPTable, error) {
	old, err := s.Table(t.Name, t.V6)
	if err != nil {
		return nil, err
	}
	s.get()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return nil, abi.ENOENT
	}
	if s.tables == nil {
		s.tables = map[tableKey]*IPTable{}
	}
	s.tables[tableKey{t.Name, t.V6}] = t
	e := &evaluator{s, t}
	filter := stack.EmptyFilter4()
	if t.V6 {
		filter = stack.EmptyFilter6()
	}
	// One rule for all hooks, and one that accepts what it does not match.
	table := stack.Table{Rules: []stack.Rule{
		{Filter: filter, Matchers: []stack.Matcher{e}, Target: e},
		{Filter: filter, Target: &stack.AcceptTarget{NetworkProtocol: filter.NetworkProtocol()}},
	}}
	for h, n := range hookNumbers {
		table.BuiltinChains[h], table.Underflows[h] = stack.HookUnset, stack.HookUnset
		if t.Hooks&(1<<n) != 0 {
			table.BuiltinChains[h], table.Underflows[h] = 0, 1
		}
	}
	s.s.IPTables().ReplaceTable(tableHooks[t.Name].id, table, t.V6)
	return old, nil
}
