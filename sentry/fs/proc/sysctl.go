package proc

import (
	"runtime"
	"strconv"
	"strings"
	"sync"

	"lazaret/sentry/fs/pseudo"
	"lazaret/sentry/kernel"
	"lazaret/syscalls/abi"
)

// scope is what has a value of its own of a setting.
type scope uint8

const (
	ofHost scope = iota // the sandbox
	ofNet
	ofIPC
	ofUTS
	ofPID
	ofUser
)

// sysctl is one file of /proc/sys. Without get and set the value is kept and has no
// effect: programs that set it go on, and read back what they wrote.
type sysctl struct {
	path  string
	mode  uint32
	of    scope
	admin bool   // writing takes CAP_NET_ADMIN, whatever the mode says
	value string // the initial one
	// n is how many numbers there are; 0 is a string of at most max bytes.
	n        int
	min, max int64
	get      func(v *sysctlCall) string
	set      func(v *sysctlCall, s string) error
}

// sysctlCall is one reading or writing of a setting.
type sysctlCall struct {
	sys  *System
	line *sysctl
	set  *kernel.Namespaces // whose settings; nil for the kernel itself
	pid  *kernel.PIDNamespace
}

// SysctlStore is a NetNamespace.State or IPCNamespace.State with settings of its own.
type SysctlStore interface {
	// Sysctl returns the value of a setting such as "net/ipv4/ip_forward", false if it
	// does not have it.
	Sysctl(name string) (string, bool)
	// SetSysctl changes it: abi.ENOENT if it does not have it, abi.EINVAL.
	SetSysctl(name, value string) error
}

// settings are the values that were changed and that nobody else keeps.
type settings struct {
	mu sync.Mutex
	m  map[uint64]map[*sysctl]string // by namespace inode, 0 for the sandbox
}

// namespaceKey returns the namespace that the setting belongs to; key 0 is the sandbox.
func (v *sysctlCall) namespace() (key uint64, ns *kernel.Namespace, state any) {
	if v.set == nil {
		return 0, nil, nil
	}
	switch v.line.of {
	case ofNet:
		if n := v.set.Net; n != nil {
			return n.Inode, &n.Namespace, n.State
		}
	case ofIPC:
		if n := v.set.IPC; n != nil {
			return n.Inode, &n.Namespace, n.State
		}
	}
	return 0, nil, nil
}

func (v *sysctlCall) load() string {
	if v.line.get != nil {
		return v.line.get(v)
	}
	key, _, state := v.namespace()
	if s, ok := state.(SysctlStore); ok {
		if val, ok := s.Sysctl(v.line.path); ok {
			return val
		}
	}
	st := &v.sys.settings
	st.mu.Lock()
	defer st.mu.Unlock()
	if val, ok := st.m[key][v.line]; ok {
		return val
	}
	return v.line.value
}

func (v *sysctlCall) store(s string) error {
	if v.line.set != nil {
		return v.line.set(v, s)
	}
	key, ns, state := v.namespace()
	if o, ok := state.(SysctlStore); ok {
		if err := o.SetSysctl(v.line.path, s); err != abi.ENOENT {
			return err
		}
	}
	st := &v.sys.settings
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.m == nil {
		st.m = map[uint64]map[*sysctl]string{}
	}
	if st.m[key] == nil {
		st.m[key] = map[*sysctl]string{}
		if ns != nil { // the values go with the namespace
			runtime.AddCleanup(ns, st.forget, key)
		}
	}
	st.m[key][v.line] = s
	return nil
}

func (st *settings) forget(key uint64) {
	st.mu.Lock()
	defer st.mu.Unlock()
	delete(st.m, key)
}

// maxString bounds strings of settings.
const maxString = 256

// parse checks what was written by the line's rule and gives it the form in which it
// shows.
func (l *sysctl) parse(old, s string) (string, error) {
	if l.n == 0 {
		s, _, _ = strings.Cut(strings.TrimRight(s, "\n\x00"), "\n")
		limit := l.max
		if limit == 0 {
			limit = maxString
		}
		if int64(len(s)) > limit {
			return "", abi.EINVAL
		}
		return s, nil
	}
	f := strings.Fields(strings.Trim(s, "\x00"))
	if len(f) == 0 || len(f) > l.n {
		return "", abi.EINVAL
	}
	have := strings.Fields(old)
	for i, w := range f {
		n, err := strconv.ParseInt(w, 0, 64)
		if u, uerr := strconv.ParseUint(w, 0, 64); err != nil && uerr == nil && l.max == 0 {
			w = strconv.FormatUint(u, 10)
		} else if err != nil || l.max != l.min && (n < l.min || n > l.max) {
			return "", abi.EINVAL
		} else {
			w = strconv.FormatInt(n, 10)
		}
		if i < len(have) {
			have[i] = w
		} else {
			have = append(have, w)
		}
	}
	return strings.Join(have, "\t"), nil
}

// sysctlIndex finds lines by path.
var sysctlIndex = sync.OnceValue(func() map[string]*sysctl {
	m := make(map[string]*sysctl, len(sysctlTable)+len(netSysctlTable))
	for _, t := range [...][]sysctl{sysctlTable, netSysctlTable} {
		for i := range t {
			m[t[i].path] = &t[i]
		}
	}
	return m
})

// sysctlEntries returns the tree entries of the table.
func sysctlEntries() []pseudo.Entry {
	index := sysctlIndex()
	out := make([]pseudo.Entry, 0, len(index)+1)
	for path, l := range index {
		e := pseudo.Entry{Path: "sys/" + path, Mode: l.mode, Show: showSysctl, Arg: path}
		if l.mode&0o222 != 0 {
			e.Store = storeSysctl
		}
		out = append(out, e)
	}
	return append(out, pseudo.Entry{Path: "sys/fs/binfmt_misc", Mode: abi.S_IFDIR | 0o555})
}

func sysctlCallOf(c *pseudo.Call) *sysctlCall {
	fs := c.FS.(*FS)
	path, _ := c.Node.Arg.(string)
	v := &sysctlCall{sys: fs.sys, line: sysctlIndex()[path], pid: fs.ns}
	if t := taskOf(c.Ctx); t != nil {
		v.set, v.pid = t.Namespaces(), t.PIDNS()
	}
	return v
}

func showSysctl(c *pseudo.Call, b *pseudo.Buf) error {
	b.Line(sysctlCallOf(c).load())
	return nil
}

func storeSysctl(c *pseudo.Call, data []byte) error {
	if c.Pos != 0 || len(data) == 0 {
		return nil // kernel.sysctl_writes_strict: only writes at the start count
	}
	v := sysctlCallOf(c)
	if _, ns, _ := v.namespace(); v.line.admin && ns != nil && !c.Ctx.Creds.HasCapIn(abi.CAP_NET_ADMIN, ns.UserNS) {
		return abi.EPERM
	}
	return v.change(string(data))
}

func (v *sysctlCall) change(s string) error {
	val, err := v.line.parse(v.load(), s)
	if err != nil {
		return err
	}
	return v.store(val)
}

// SetSysctl sets a setting (sysctl(8): dots or slashes) in a set of namespaces, as the
// container's configuration asks (linux.sysctl). ENOENT: there is none of that name.
func (s *System) SetSysctl(set *kernel.Namespaces, name, value string) error {
	l := sysctlIndex()[name]
	if l == nil {
		l = sysctlIndex()[strings.ReplaceAll(name, ".", "/")]
	}
	if l == nil {
		return abi.ENOENT
	}
	if l.mode&0o222 == 0 {
		return abi.EPERM
	}
	v := &sysctlCall{sys: s, line: l, set: set, pid: s.K.RootPIDNS}
	if set != nil && set.PIDChildren != nil {
		v.pid = set.PIDChildren
	}
	return v.change(value)
}

// Sysctl returns the value of a setting for those who act on it ("vm/overcommit_memory");
// "" if there is none of that name.
func (s *System) Sysctl(set *kernel.Namespaces, name string) string {
	l := sysctlIndex()[name]
	if l == nil {
		return ""
	}
	return (&sysctlCall{sys: s, line: l, set: set, pid: s.K.RootPIDNS}).load()
}
