package cgroup

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"lazaret/runsc/spec"
)

// settingsV2 translates v1's units to v2's, as the kernel's documentation
// (Documentation/admin-guide/cgroup-v2.rst) and runc do.
func settingsV2(r *specs.LinuxResources) []setting {
	var list []setting
	add := func(field, file, value string) {
		controller, _, _ := strings.Cut(file, ".")
		list = append(list, setting{field: field, controller: controller, file: file, value: value})
	}
	if m := r.Memory; m != nil {
		memoryV2(m, add)
	}
	if p := r.CPU; p != nil {
		cpuV2(p, add)
	}
	if r.Pids != nil && r.Pids.Limit != nil && *r.Pids.Limit != 0 {
		add("pids.limit", "pids.max", hostPids(*r.Pids.Limit))
	}
	if b := r.BlockIO; b != nil {
		if b.Weight != nil && *b.Weight != 0 {
			// Only one of the two exists, or neither, depending on the I/O scheduler.
			add("blockIO.weight", "io.bfq.weight", u(uint64(*b.Weight)))
			list[len(list)-1].soft = true
			add("blockIO.weight", "io.weight", fmt.Sprintf("default %d", 1+(uint64(*b.Weight)-10)*9999/990))
			list[len(list)-1].soft = true
		}
		for _, t := range throttles(b) {
			for _, d := range t.devices {
				add(t.field, "io.max", fmt.Sprintf("%d:%d %s=%d", d.Major, d.Minor, t.v2, d.Rate))
			}
		}
	}
	for _, h := range r.HugepageLimits {
		add("hugepageLimits", "hugetlb."+filepath.Base(h.Pagesize)+".max", u(h.Limit))
	}
	for _, key := range slices.Sorted(maps.Keys(r.Unified)) {
		add("unified", key, r.Unified[key])
	}
	return list
}

func memoryV2(m *specs.LinuxMemory, add func(field, file, value string)) {
	limit := int64(0)
	if m.Limit != nil {
		limit = *m.Limit
	}
	if m.Swap != nil && *m.Swap != 0 {
		switch {
		case *m.Swap == -1:
			add("memory.swap", "memory.swap.max", "max")
		case limit > 0:
			add("memory.swap", "memory.swap.max", i(*m.Swap-limit))
		}
	}
	if limit != 0 {
		add("memory.limit", "memory.max", orMax(limit))
	}
	if m.Reservation != nil && *m.Reservation != 0 {
		add("memory.reservation", "memory.low", orMax(*m.Reservation))
	}
}

func cpuV2(p *specs.LinuxCPU, add func(field, file, value string)) {
	if p.Idle != nil {
		add("cpu.idle", "cpu.idle", i(*p.Idle))
	}
	if p.Shares != nil && *p.Shares != 0 {
		add("cpu.shares", "cpu.weight", u(spec.CPUWeight(*p.Shares)))
	}
	quota, period := "max", uint64(100000)
	if p.Quota != nil && *p.Quota > 0 {
		quota = i(*p.Quota)
	}
	if p.Period != nil && *p.Period != 0 {
		period = *p.Period
	}
	if p.Quota != nil && *p.Quota != 0 || p.Period != nil && *p.Period != 0 {
		add("cpu.quota", "cpu.max", fmt.Sprintf("%s %d", quota, period))
	}
	if p.Burst != nil && *p.Burst != 0 {
		add("cpu.burst", "cpu.max.burst", u(*p.Burst))
	}
	if p.Cpus != "" {
		add("cpu.cpus", "cpuset.cpus", p.Cpus)
	}
	if p.Mems != "" {
		add("cpu.mems", "cpuset.mems", p.Mems)
	}
}

func orMax(n int64) string {
	if n < 0 {
		return "max"
	}
	return i(n)
}
