package seccomp

import (
	"slices"
	"sort"
)

// Op compares a masked argument with values.
type Op uint8

// Comparisons.
const (
	In    Op = iota // equals one of Values
	NotEq           // differs from Values[0]
)

// Cond is a condition on one argument of a call: (argument & Mask) Op Values.
type Cond struct {
	Arg    uint
	Op     Op
	Mask   uint64 // 0: all bits
	Values []uint64
}

// Rule allows a call when every condition holds. Several rules for one call: any.
type Rule struct {
	Call   string
	Args   []Cond
	Reason string // what needs it; a rule without one fails the tests
	Arch   string // GOARCH if the call exists there only
	Unseen string // why a run of the tests may not show that it is needed; see TestRulesAreNeeded
}

// Allows says whether a call with these arguments satisfies the rule.
func (r *Rule) Allows(args [6]uint64) bool {
	return !slices.ContainsFunc(r.Args, func(c Cond) bool { return !c.holds(args[c.Arg]) })
}

func (c *Cond) holds(arg uint64) bool {
	if c.Op == NotEq {
		return arg != c.Values[0]
	}
	if c.Mask != 0 {
		arg &= c.Mask
	}
	return slices.Contains(c.Values, arg)
}

// Policy is a list of rules for one purpose.
type Policy struct {
	Name  string
	Rules []Rule
}

// Filter is what one kind of process runs under: some policies together.
type Filter struct {
	Name     string
	Policies []*Policy
}

// Filters are all compiled filters.
var Filters = []Filter{
	{Name: SentryPtrace, Policies: []*Policy{&sentryBase, &platformPtrace}},
	{Name: SentryTrap, Policies: []*Policy{&sentryBase, &platformTrap}},
	{Name: SentryPtraceHostNet, Policies: []*Policy{&sentryBase, &platformPtrace, &hostNet}},
	{Name: SentryTrapHostNet, Policies: []*Policy{&sentryBase, &platformTrap, &hostNet}},
	{Name: GoferFiles, Policies: []*Policy{&goferBase}},
	{Name: GoferUDS, Policies: []*Policy{&goferBase, &goferSockets}},
	{Name: NetProxy, Policies: []*Policy{&netProxy}},
}

// Names of filters.
const (
	SentryPtrace = "sentry-ptrace"
	SentryTrap   = "sentry-trap"
	GoferFiles   = "gofer"

	SentryPtraceHostNet = "sentry-ptrace-hostnet"
	SentryTrapHostNet   = "sentry-trap-hostnet"
	GoferUDS            = "gofer-uds"
	NetProxy            = "netproxy"
)

// Architectures that filters are compiled for.
var Architectures = []string{"amd64", "arm64"}

// Lookup finds a filter by name.
func Lookup(name string) (Filter, bool) {
	i := slices.IndexFunc(Filters, func(f Filter) bool { return f.Name == name })
	if i < 0 {
		return Filter{}, false
	}
	return Filters[i], true
}

// Rules are the rules of all its policies on an architecture, in order.
func (f Filter) Rules(arch string) []Rule {
	var rules []Rule
	for _, p := range f.Policies {
		for _, r := range p.Rules {
			if r.Arch == "" || r.Arch == arch {
				rules = append(rules, r)
			}
		}
	}
	return rules
}

// Calls are the names of the host calls that the filter allows, sorted, each once.
func (f Filter) Calls(arch string) []string {
	return callNames(f.Rules(arch))
}

// Calls are the names of the host calls that the policy allows, sorted, each once.
func (p *Policy) Calls() []string { return callNames(p.Rules) }

func callNames(rules []Rule) []string {
	var names []string
	for _, r := range rules {
		names = append(names, r.Call)
	}
	sort.Strings(names)
	return slices.Compact(names)
}

// KillCall is the call that no policy allows and that is answered by killing the whole
// process: how the SIGSYS handler ends it.
const KillCall = "reboot"

// eq is the condition that an argument (as the 32 bits the kernel looks at) is one of
// values.
func eq(arg uint, values ...uint64) Cond {
	return Cond{Arg: arg, Mask: 0xffffffff, Values: values}
}

// eq64 compares all 64 bits.
func eq64(arg uint, values ...uint64) Cond { return Cond{Arg: arg, Values: values} }

// only is the condition that no bit outside allowed is set.
func only(arg uint, allowed uint64) Cond {
	return Cond{Arg: arg, Mask: ^allowed, Values: []uint64{0}}
}

// ne is the condition that an argument differs from value.
func ne(arg uint, value uint64) Cond {
	return Cond{Arg: arg, Op: NotEq, Values: []uint64{value}}
}
