package boot

import (
	"fmt"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"lazaret/runsc/spec"
	"lazaret/sentry/kernel"
)

// containerData is a kernel.Container's Data: it hears of the OOM killer, if somebody is to be
// told, and knows the files of the control group that the kernel does not.
type containerData struct {
	c       *container
	witness *witness // nil: nobody is told
}

// OOMKill implements kernel.OOMWitness.
func (d *containerData) OOMKill() {
	if d.witness != nil {
		d.witness.OOMKill()
	}
}

// CgroupFile implements cgroup.Values. What linux.resources.unified says goes first: it is
// said in these very words.
func (d *containerData) CgroupFile(name string) (string, bool) {
	d.c.mu.Lock()
	defer d.c.mu.Unlock()
	r := d.c.resources
	if v, ok := r.Unified[name]; ok {
		return strings.TrimSpace(v), true
	}
	switch {
	case strings.HasPrefix(name, "cpu") && r.CPU != nil:
		return cpuFile(r.CPU, name)
	case name == "memory.low" && r.Memory != nil && r.Memory.Reservation != nil && *r.Memory.Reservation > 0:
		return strconv.FormatInt(*r.Memory.Reservation, 10), true
	}
	return "", false
}

func cpuFile(p *specs.LinuxCPU, name string) (string, bool) {
	switch {
	case name == "cpu.max" && (p.Quota != nil || p.Period != nil):
		quota := "max"
		if p.Quota != nil && *p.Quota > 0 {
			quota = strconv.FormatInt(*p.Quota, 10)
		}
		return fmt.Sprintf("%s %d", quota, periodUS(p)), true
	case name == "cpu.weight" && p.Shares != nil && *p.Shares > 0:
		return strconv.FormatUint(spec.CPUWeight(*p.Shares), 10), true
	case name == "cpu.idle" && p.Idle != nil:
		return strconv.FormatInt(*p.Idle, 10), true
	case strings.HasPrefix(name, "cpuset.cpus") && p.Cpus != "":
		return p.Cpus, true
	case strings.HasPrefix(name, "cpuset.mems") && p.Mems != "":
		return p.Mems, true
	}
	return "", false
}

// periodUS is the period of a quota in microseconds.
func periodUS(p *specs.LinuxCPU) uint64 {
	if p.Period == nil || *p.Period == 0 {
		return 100_000
	}
	return min(*p.Period, 1_000_000)
}

// setLimits takes the limits over that the kernel itself keeps: its account, its count of
// tasks, and processor time if the host does not see to that. The host's cgroup holds the
// sandbox as a whole.
func (c *container) setLimits(r *specs.LinuxResources) {
	c.mu.Lock()
	c.resources = *r
	alone := c.hostCPU
	c.mu.Unlock()
	memory, pids := int64(0), int64(0)
	if r.Memory != nil && r.Memory.Limit != nil {
		memory = *r.Memory.Limit
	}
	if r.Pids != nil && r.Pids.Limit != nil {
		pids = *r.Pids.Limit
	}
	memory, pids = unified(r, "memory.max", memory), unified(r, "pids.max", pids)
	c.acct.SetLimit(uint64(max(memory, 0)))
	c.kc.SetMaxTasks(int32(max(min(pids, 1<<30), 0)))
	if alone {
		c.kc.SetBandwidth(kernel.Bandwidth{})
		return
	}
	c.kc.SetBandwidth(bandwidth(r))
}

// unified returns the number of a file of linux.resources.unified, or what other fields say.
func unified(r *specs.LinuxResources, file string, other int64) int64 {
	v, ok := r.Unified[file]
	if !ok {
		return other
	}
	n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
	if err != nil { // "max"
		return 0
	}
	return n
}

func bandwidth(r *specs.LinuxResources) kernel.Bandwidth {
	quota, period := int64(0), uint64(100_000) // microseconds
	if p := r.CPU; p != nil && p.Quota != nil {
		quota, period = *p.Quota, periodUS(p)
	}
	if v, ok := r.Unified["cpu.max"]; ok {
		quota = 0
		if n, err := fmt.Sscanf(v, "%d %d", &quota, &period); n == 0 || err != nil && n < 1 {
			quota = 0
		}
	}
	return kernel.Bandwidth{QuotaNS: max(min(quota, 1<<50), 0) * 1000, PeriodNS: int64(min(period, 1_000_000)) * 1000}
}

// shareCPU has the kernel keep the first container within its processor time, when another
// joins: the host's groups, which did, are for both then. Those of a pod were so from the start.
func (s *Sentry) shareCPU() {
	c := s.first()
	if c == nil || spec.IsPod(c.spec) {
		return
	}
	c.mu.Lock()
	c.hostCPU = false
	r := c.resources
	c.mu.Unlock()
	c.kc.SetBandwidth(bandwidth(&r))
}
