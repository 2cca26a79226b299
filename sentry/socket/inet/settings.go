package inet

import (
	"fmt"
	"strconv"
	"strings"

	"lazaret/syscalls/abi"
)

// settings are the ones of /proc/sys/net that the sockets act on; under Namespace.mu.
type settings struct {
	somaxconn         int
	rmemMax, wmemMax  int
	unprivileged      int
	pingLow, pingHigh uint32
	ttl               int
	v6only            int
	forward, forward6 int
}

var defaultSettings = settings{somaxconn: 4096, rmemMax: 212992, wmemMax: 212992, unprivileged: 1024, pingLow: 1, pingHigh: 0, ttl: 64}

// number returns the setting of that name that is one number; nil if it is not one.
func (s *settings) number(name string) *int {
	switch name {
	case "net/core/somaxconn":
		return &s.somaxconn
	case "net/core/rmem_max":
		return &s.rmemMax
	case "net/core/wmem_max":
		return &s.wmemMax
	case "net/ipv4/ip_unprivileged_port_start":
		return &s.unprivileged
	case "net/ipv4/ip_default_ttl":
		return &s.ttl
	case "net/ipv6/bindv6only":
		return &s.v6only
	case "net/ipv4/ip_forward", "net/ipv4/conf/all/forwarding":
		return &s.forward
	case "net/ipv6/conf/all/forwarding":
		return &s.forward6
	}
	return nil
}

// Sysctl implements proc.SysctlStore.
func (n *Namespace) Sysctl(name string) (string, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch name {
	case "net/ipv4/ping_group_range":
		return fmt.Sprintf("%d\t%d", n.settings.pingLow, n.settings.pingHigh), true
	}
	if p := n.settings.number(name); p != nil {
		return strconv.Itoa(*p), true
	}
	return "", false
}

// SetSysctl implements proc.SysctlStore; the form of the value was checked.
func (n *Namespace) SetSysctl(name, value string) error {
	f := strings.Fields(value)
	switch name {
	case "net/ipv4/ip_local_port_range":
		return n.setPorts(f)
	case "net/ipv4/ping_group_range":
		return n.setPingGroups(f)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.settings.number(name)
	if p == nil {
		return abi.ENOENT
	}
	v, err := strconv.Atoi(value)
	if err != nil {
		return abi.EINVAL
	}
	*p = v
	switch p {
	case &n.settings.forward:
		return n.Stack.SetForwarding(false, v != 0)
	case &n.settings.forward6:
		return n.Stack.SetForwarding(true, v != 0)
	}
	return nil
}

func (n *Namespace) setPingGroups(f []string) error {
	if len(f) != 2 {
		return abi.EINVAL
	}
	lo, err1 := strconv.ParseUint(f[0], 10, 32)
	hi, err2 := strconv.ParseUint(f[1], 10, 32)
	if err1 != nil || err2 != nil {
		return abi.EINVAL
	}
	if lo > hi {
		lo, hi = 1, 0
	}
	n.mu.Lock()
	n.settings.pingLow, n.settings.pingHigh = uint32(lo), uint32(hi)
	n.mu.Unlock()
	return nil
}

// setPorts hands ip_local_port_range to the stack and leaves the value to who keeps it.
func (n *Namespace) setPorts(f []string) error {
	if len(f) != 2 {
		return abi.EINVAL
	}
	lo, err1 := strconv.ParseUint(f[0], 10, 16)
	hi, err2 := strconv.ParseUint(f[1], 10, 16)
	if err1 != nil || err2 != nil || lo > hi {
		return abi.EINVAL
	}
	if err := n.Stack.SetPortRange(uint16(lo), uint16(hi)); err != nil {
		return err
	}
	return abi.ENOENT
}
