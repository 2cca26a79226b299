package container

import (
	"fmt"
	"os"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"lazaret/runsc/hostnet"
	"lazaret/runsc/spec"
)

// sandboxFor returns the container whose sandbox a new one joins; "": it gets its own. A
// pod's annotations name it, or a namespace that the new one shares is that container's: a
// network, say, is a stack in one Sentry (docker run --network container:X, podman pods).
func (s *Store) sandboxFor(opts *CreateOptions) string {
	if id := spec.SandboxID(opts.Spec); id != "" || opts.Spec.Linux == nil || opts.Flags.Network != "sandbox" {
		return id
	}
	for _, ns := range opts.Spec.Linux.Namespaces {
		if ns.Path == "" {
			continue
		}
		id := ""
		switch ns.Type {
		case specs.NetworkNamespace, specs.PIDNamespace, specs.IPCNamespace:
			if id = s.sandboxOf(ns.Path); id == "" && ns.Type == specs.NetworkNamespace {
				id, _ = hostnet.Owner(ns.Path)
			}
		}
		if id == "" {
			continue
		}
		if c, err := s.Load(id); err == nil && !c.IsSub() && c.Flags.Network == opts.Flags.Network {
			if status := c.Status(); status != Stopped && status != Creating {
				return id
			}
		}
	}
	return ""
}

// sandboxOf returns the sandbox of the process in a path /proc/PID/ns/X.
func (s *Store) sandboxOf(path string) string {
	var pid int
	if _, err := fmt.Sscanf(path, "/proc/%d/ns/", &pid); err != nil {
		return ""
	}
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return ""
	}
	// "runsc boot ID", or "runsc wait-proxy DIR ID PID".
	argv := strings.Split(strings.TrimRight(string(data), "\x00"), "\x00")
	id := argv[len(argv)-1]
	if len(argv) == 5 {
		id = argv[3]
	}
	if c, err := s.Load(id); err == nil && c.Init.PID == pid && c.Init.Alive() {
		return c.SandboxID
	}
	return ""
}

// makeRoom widens the groups of the sandbox that a container joins, where its application runs:
// the Sentry keeps each container within its own limits. A pod's group was made for all.
func (cr *creator) makeRoom() error {
	root := cr.pod
	if root.Cgroup == nil || spec.SandboxID(cr.opts.Spec) != "" || root.Spec.Linux == nil || root.Spec.Linux.Resources == nil {
		return nil
	}
	unlimited := int64(-1)
	r := &specs.LinuxResources{}
	if p := root.Spec.Linux.Resources.Pids; p != nil && p.Limit != nil && *p.Limit > 0 {
		r.Pids = &specs.LinuxPids{Limit: &unlimited}
	}
	if m := root.Spec.Linux.Resources.Memory; m != nil && m.Limit != nil && *m.Limit > 0 {
		r.Memory = &specs.LinuxMemory{Limit: &unlimited, Swap: &unlimited}
		if own := cr.opts.Spec.Linux.Resources; own != nil && own.Memory != nil && own.Memory.Limit != nil && *own.Memory.Limit > 0 {
			sum := int64(min(root.Cgroup.Stats().MemoryLimit, 1<<50)) + *withAllowance(own.Memory).Limit
			r.Memory.Limit = &sum
		}
	}
	if p := root.Spec.Linux.Resources.CPU; p != nil && p.Quota != nil && *p.Quota > 0 {
		r.CPU = &specs.LinuxCPU{Quota: &unlimited, Period: p.Period}
	}
	if err := root.Cgroup.Set(r); err != nil {
		return fmt.Errorf("join sandbox %q: %w", root.ID, err)
	}
	return nil
}
