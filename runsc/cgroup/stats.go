package cgroup

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Stats is what the host accounts to a sandbox's processes.
type Stats struct {
	CPUTotalNS  uint64
	CPUUserNS   uint64
	CPUKernelNS uint64
	PerCPU      []uint64

	ThrottledPeriods uint64
	Periods          uint64
	ThrottledNS      uint64

	MemoryUsage uint64
	MemoryMax   uint64
	MemoryLimit uint64
	MemoryCache uint64
	Failcnt     uint64
	OOMKills    uint64
	MemoryRaw   map[string]uint64

	PidsCurrent uint64
	PidsLimit   uint64
}

const userHZ = 100 // of cpuacct.stat, fixed in the ABI

// Stats reads the groups; what cannot be read stays zero.
func (c *Cgroup) Stats() *Stats {
	s := &Stats{}
	if c.Mode == V2 {
		c.statsV2(s)
		return s
	}
	if dir := c.Dirs["cpuacct"]; dir != "" {
		s.CPUTotalNS = readUint(dir, "cpuacct.usage")
		kv := readKV(dir, "cpuacct.stat")
		s.CPUUserNS, s.CPUKernelNS = kv["user"]*1e9/userHZ, kv["system"]*1e9/userHZ
		if data, err := os.ReadFile(filepath.Join(dir, "cpuacct.usage_percpu")); err == nil {
			for _, f := range strings.Fields(string(data)) {
				n, _ := strconv.ParseUint(f, 10, 64)
				s.PerCPU = append(s.PerCPU, n)
			}
		}
	}
	if dir := c.Dirs["cpu"]; dir != "" {
		kv := readKV(dir, "cpu.stat")
		s.Periods, s.ThrottledPeriods, s.ThrottledNS = kv["nr_periods"], kv["nr_throttled"], kv["throttled_time"]
	}
	if dir := c.Dirs["memory"]; dir != "" {
		s.MemoryUsage = readUint(dir, "memory.usage_in_bytes")
		s.MemoryMax = readUint(dir, "memory.max_usage_in_bytes")
		s.MemoryLimit = readUint(dir, "memory.limit_in_bytes")
		s.Failcnt = readUint(dir, "memory.failcnt")
		s.MemoryRaw = readKV(dir, "memory.stat")
		s.MemoryCache = s.MemoryRaw["cache"]
		s.OOMKills = readKV(dir, "memory.oom_control")["oom_kill"]
	}
	if dir := c.Dirs["pids"]; dir != "" {
		s.PidsCurrent, s.PidsLimit = readUint(dir, "pids.current"), readUint(dir, "pids.max")
	}
	return s
}

func (c *Cgroup) statsV2(s *Stats) {
	dir := c.Dirs[Unified]
	cpu := readKV(dir, "cpu.stat")
	s.CPUTotalNS, s.CPUUserNS, s.CPUKernelNS = cpu["usage_usec"]*1000, cpu["user_usec"]*1000, cpu["system_usec"]*1000
	s.Periods, s.ThrottledPeriods, s.ThrottledNS = cpu["nr_periods"], cpu["nr_throttled"], cpu["throttled_usec"]*1000
	s.MemoryUsage, s.MemoryMax = readUint(dir, "memory.current"), readUint(dir, "memory.peak")
	s.MemoryLimit = readUint(dir, "memory.max")
	s.MemoryRaw = readKV(dir, "memory.stat")
	s.MemoryCache = s.MemoryRaw["file"]
	events := readKV(dir, "memory.events")
	s.Failcnt, s.OOMKills = events["max"], events["oom_kill"]
	s.PidsCurrent, s.PidsLimit = readUint(dir, "pids.current"), readUint(dir, "pids.max")
}

// readUint reads a number; "max" and unreadable files give 0.
func readUint(dir, file string) uint64 {
	data, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseUint(strings.TrimSpace(string(data)), 10, 64)
	return n
}

// readKV reads "name number" lines.
func readKV(dir, file string) map[string]uint64 {
	kv := map[string]uint64{}
	data, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return kv
	}
	for _, line := range strings.Split(string(data), "\n") {
		k, v, ok := strings.Cut(line, " ")
		if n, err := strconv.ParseUint(v, 10, 64); ok && err == nil {
			kv[k] = n
		}
	}
	return kv
}
