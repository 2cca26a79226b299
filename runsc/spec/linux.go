package spec

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Namespaces are the types that may be named; time namespaces are not among them.
var Namespaces = []string{"cgroup", "ipc", "mount", "network", "pid", "user", "uts"}

// checkNamespaces refuses paths to namespaces of the host, which a sandbox cannot
// join, but for the network's: the sandbox takes its links from there. Without an entry
// the specification has the runtime's namespace inherited; but for the network's
// (InheritsNetwork) a sandboxed kernel always has its own, and nothing is said about that:
// every engine leaves some out.
func checkNamespaces(c *checker) *FieldError {
	var seen []specs.LinuxNamespaceType
	sub := IsSubContainer(c.spec)
	for i, ns := range c.spec.Linux.Namespaces {
		field := fmt.Sprintf("linux.namespaces[%d]", i)
		if !slices.Contains(Namespaces, string(ns.Type)) {
			return &FieldError{Field: field + ".type", Why: fmt.Sprintf("%q namespaces are not supported", clip(string(ns.Type)))}
		}
		if slices.Contains(seen, ns.Type) {
			return &FieldError{Field: field + ".type", Why: fmt.Sprintf("%q is given twice", ns.Type)}
		}
		seen = append(seen, ns.Type)
		switch {
		case ns.Path == "":
		case !filepath.IsAbs(ns.Path):
			return &FieldError{Field: field + ".path", Why: fmt.Sprintf("%q is not an absolute path", clip(ns.Path))}
		case sub, ns.Type == specs.NetworkNamespace:
			// Containers of a pod name the pod's namespaces: the sandbox holds them.
		case strings.HasPrefix(ns.Path, "/proc/"):
			// Of a container, perhaps: CheckForeign.
		default:
			return foreign(i, &ns)
		}
	}
	return nil
}

// CheckForeign refuses the namespaces of processes that checkNamespaces let pass: for a container
// that joins no other one's sandbox.
func CheckForeign(s *specs.Spec) error {
	if s.Linux == nil {
		return nil
	}
	for i := range s.Linux.Namespaces {
		if ns := &s.Linux.Namespaces[i]; ns.Path != "" && ns.Type != specs.NetworkNamespace {
			return foreign(i, ns)
		}
	}
	return nil
}

func foreign(i int, ns *specs.LinuxNamespace) *FieldError {
	return &FieldError{Field: fmt.Sprintf("linux.namespaces[%d].path", i),
		Why: fmt.Sprintf("the %s namespace of a host process cannot be joined from a sandbox", ns.Type),
		Do:  "remove the path"}
}

// InheritsNetwork says whether the configuration leaves the runtime's own network to the
// container ("If a namespace type is not specified in the namespaces array, the container
// MUST inherit the runtime namespace of that type"): so engines ask for the host's.
func InheritsNetwork(s *specs.Spec) bool {
	return s.Linux != nil && !IsSubContainer(s) && !slices.ContainsFunc(s.Linux.Namespaces, func(ns specs.LinuxNamespace) bool {
		return ns.Type == specs.NetworkNamespace
	})
}

func checkIDMappings(c *checker) *FieldError {
	for _, list := range []struct {
		field string
		maps  []specs.LinuxIDMapping
	}{{"linux.uidMappings", c.spec.Linux.UIDMappings}, {"linux.gidMappings", c.spec.Linux.GIDMappings}} {
		if len(list.maps) > 340 {
			return &FieldError{Field: list.field, Why: "has more than Linux's limit of 340 entries"}
		}
		for i, m := range list.maps {
			if m.Size == 0 || uint64(m.ContainerID)+uint64(m.Size) > 1<<32 || uint64(m.HostID)+uint64(m.Size) > 1<<32 {
				return &FieldError{Field: fmt.Sprintf("%s[%d]", list.field, i), Why: "is empty or passes the last id"}
			}
		}
	}
	l := c.spec.Linux
	if (len(l.UIDMappings) == 0) != (len(l.GIDMappings) == 0) {
		return &FieldError{Field: "linux.gidMappings", Why: "user and group mappings must be given together"}
	}
	return nil
}

// checkDevices refuses devices of the host that were asked for. Privileged containers name
// all of the host's, whatever they need: those that a sandbox lacks are left out.
func checkDevices(c *checker) *FieldError {
	var kept []specs.LinuxDevice
	all := allDevicesAllowed(c.spec.Linux.Resources)
	for i, d := range c.spec.Linux.Devices {
		field := fmt.Sprintf("linux.devices[%d]", i)
		if !filepath.IsAbs(d.Path) {
			return &FieldError{Field: field + ".path", Why: fmt.Sprintf("%q is not an absolute path", clip(d.Path))}
		}
		if !slices.Contains([]string{"c", "b", "u", "p"}, d.Type) {
			return &FieldError{Field: field + ".type", Why: fmt.Sprintf("%q is not one of c, b, u and p", clip(d.Type))}
		}
		known := d.Type == "p" || knownDevice(&d)
		if known {
			kept = append(kept, d)
		} else if !all {
			return &FieldError{Field: field, Why: fmt.Sprintf("device %s (%s %d:%d) of the host cannot be used in a sandbox", clip(d.Path), d.Type, d.Major, d.Minor),
				Do: "remove it"}
		}
	}
	if n := len(c.spec.Linux.Devices) - len(kept); n > 0 {
		c.warn("linux.devices", fmt.Sprintf("%d devices of the host are left out of the sandbox", n))
	}
	c.spec.Linux.Devices = kept
	return nil
}

// allDevicesAllowed says whether the last rule for devices is one that allows every one,
// as privileged containers have it.
func allDevicesAllowed(r *specs.LinuxResources) bool {
	if r == nil || len(r.Devices) == 0 {
		return false
	}
	d := r.Devices[len(r.Devices)-1]
	return d.Allow && d.Type != "c" && d.Type != "b" && d.Major == nil && d.Minor == nil && (d.Access == "" || d.Access == "rwm")
}

// knownDevice says whether the Sentry has a device of its own for the numbers.
func knownDevice(d *specs.LinuxDevice) bool {
	if d.Type == "b" {
		return false
	}
	switch d.Major {
	case 1:
		return slices.Contains([]int64{3, 5, 7, 8, 9}, d.Minor) // null zero full random urandom
	case 5:
		return d.Minor == 0 || d.Minor == 2 // tty ptmx
	}
	return false
}

func checkCgroupsPath(c *checker) *FieldError {
	p := c.spec.Linux.CgroupsPath
	if strings.ContainsRune(p, 0) {
		return &FieldError{Why: "contains a NUL byte"}
	}
	if slices.Contains(strings.Split(p, "/"), "..") {
		return &FieldError{Why: fmt.Sprintf("%q contains ..", clip(p)), Do: "give a plain path"}
	}
	return nil
}

// resourceRefusals are the parts of linux.resources that nobody would carry out.
var resourceRefusals = []struct {
	field string
	set   func(*specs.LinuxResources) bool
	why   string
}{
	{"network", func(r *specs.LinuxResources) bool {
		return r.Network != nil && (r.Network.ClassID != nil && *r.Network.ClassID != 0 || len(r.Network.Priorities) > 0)
	}, "packets of a sandbox carry no cgroup class"},
	{"rdma", func(r *specs.LinuxResources) bool { return len(r.Rdma) > 0 }, "RDMA devices cannot be used in a sandbox"},
	{"cpu.realtimeRuntime", func(r *specs.LinuxResources) bool {
		return r.CPU != nil && r.CPU.RealtimeRuntime != nil && *r.CPU.RealtimeRuntime != 0
	}, "realtime scheduling is not supported"},
	{"memory.kernelTCP", func(r *specs.LinuxResources) bool {
		return r.Memory != nil && r.Memory.KernelTCP != nil && *r.Memory.KernelTCP > 0
	}, "TCP memory of a sandbox is the Sentry's own memory; use memory.limit"},
}

func checkResources(c *checker) *FieldError {
	return checkResourceObject(c.spec.Linux.Resources)
}

// ValidateResources checks what update was given.
func ValidateResources(r *specs.LinuxResources) error {
	if err := checkResourceObject(r); err != nil {
		return err
	}
	return nil
}

func checkResourceObject(r *specs.LinuxResources) *FieldError {
	if r == nil {
		return nil
	}
	for _, f := range resourceRefusals {
		if f.set(r) {
			return &FieldError{Field: "linux.resources." + f.field, Why: f.why, Do: "remove it"}
		}
	}
	bad := func(field, why string) *FieldError {
		return &FieldError{Field: "linux.resources." + field, Why: why}
	}
	if m := r.Memory; m != nil {
		if m.Limit != nil && *m.Limit < -1 {
			return bad("memory.limit", fmt.Sprintf("%d is negative; -1 means no limit", *m.Limit))
		}
		if m.Limit != nil && m.Swap != nil && *m.Limit > 0 && *m.Swap > 0 && *m.Swap < *m.Limit {
			return bad("memory.swap", "memory and swap together are less than memory.limit")
		}
		if m.Swappiness != nil && *m.Swappiness > 100 {
			return bad("memory.swappiness", fmt.Sprintf("%d is more than 100", *m.Swappiness))
		}
	}
	if b := r.BlockIO; b != nil && b.Weight != nil && *b.Weight != 0 && (*b.Weight < 10 || *b.Weight > 1000) {
		return bad("blockIO.weight", fmt.Sprintf("%d is not between 10 and 1000", *b.Weight))
	}
	for key := range r.Unified {
		if key == "" || strings.ContainsAny(key, "/\x00") {
			return bad("unified", fmt.Sprintf("%q is not the name of a cgroup file", clip(key)))
		}
	}
	for i, d := range r.Devices {
		if strings.Trim(d.Access, "rwm") != "" {
			return bad(fmt.Sprintf("devices[%d].access", i), fmt.Sprintf("%q has letters other than r, w and m", clip(d.Access)))
		}
	}
	return nil
}

// checkSysctl takes what is kept per namespace: the others would change the whole host.
func checkSysctl(c *checker) *FieldError {
	for key := range c.spec.Linux.Sysctl {
		name := strings.ReplaceAll(key, "/", ".")
		ok := strings.HasPrefix(name, "net.") || strings.HasPrefix(name, "fs.mqueue.") ||
			slices.Contains([]string{"kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall",
				"kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced", "kernel.hostname", "kernel.domainname"}, name)
		if !ok || strings.Contains(name, "..") {
			return &FieldError{Field: fmt.Sprintf("linux.sysctl[%q]", clip(key)), Why: "is not kept in a namespace", Do: "set it on the host"}
		}
		if name == "kernel.hostname" && c.spec.Hostname != "" {
			return &FieldError{Field: fmt.Sprintf("linux.sysctl[%q]", clip(key)), Why: "conflicts with hostname", Do: "give one of them"}
		}
	}
	return nil
}

func checkPropagation(c *checker) *FieldError {
	switch p := c.spec.Linux.RootfsPropagation; p {
	case "", "private", "rprivate", "slave", "rslave", "unbindable", "runbindable":
	case "shared", "rshared":
		c.warn("linux.rootfsPropagation", "mounts made in the sandbox do not show on the host; it acts as rslave")
	default:
		return &FieldError{Why: fmt.Sprintf("%q is not supported", clip(p)), Do: "use private, slave or unbindable"}
	}
	return nil
}

func checkPaths(c *checker) *FieldError {
	for _, list := range []struct {
		field string
		paths []string
	}{{"linux.maskedPaths", c.spec.Linux.MaskedPaths}, {"linux.readonlyPaths", c.spec.Linux.ReadonlyPaths}} {
		for i, p := range list.paths {
			if !filepath.IsAbs(p) || strings.ContainsRune(p, 0) {
				return &FieldError{Field: fmt.Sprintf("%s[%d]", list.field, i), Why: fmt.Sprintf("%q is not an absolute path", clip(p))}
			}
		}
	}
	return nil
}

func checkPersonality(c *checker) *FieldError {
	p := c.spec.Linux.Personality
	if p == nil {
		return nil
	}
	if p.Domain != specs.PerLinux || len(p.Flags) > 0 {
		return &FieldError{Why: fmt.Sprintf("%q is not supported", clip(string(p.Domain))), Do: "only LINUX without flags is"}
	}
	return nil
}

// CPUWeight maps cpu.shares [2, 262144] onto cpu.weight [1, 10000] of cgroup v2, as runc does.
func CPUWeight(shares uint64) uint64 {
	shares = min(max(shares, 2), 262144)
	return 1 + (shares-2)*9999/262142
}
