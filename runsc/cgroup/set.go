package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// setting is one file to write. Values come from config.json, already validated.
type setting struct {
	field      string // of linux.resources, for errors
	controller string
	file       string
	value      string
	soft       bool // its absence on this host is no error
}

// Set applies limits. A field that is set while the host lacks its controller is an error
// that names the field.
func (c *Cgroup) Set(r *specs.LinuxResources) error {
	if r == nil || len(c.Dirs) == 0 {
		if r != nil && c.Mode == None && !c.Optional && limits(r) {
			return errors.New("linux.resources: this host mounts no cgroup hierarchy; mount one or remove the limits")
		}
		return nil
	}
	var list []setting
	if c.Mode == V2 {
		list = settingsV2(r)
	} else {
		if len(r.Unified) > 0 {
			return errors.New("linux.resources.unified: this host has no cgroup v2 controllers; use the other fields")
		}
		list = c.settingsV1(r)
	}
	if c.Unit != "" {
		if err := c.tellSystemd(r, list); err != nil {
			return err
		}
	}
	for _, s := range list {
		if err := c.write(s); err != nil && !c.Optional {
			return err
		}
	}
	return nil
}

// limits says whether anything is asked for that needs a controller.
func limits(r *specs.LinuxResources) bool {
	return r.Memory != nil || r.CPU != nil || r.Pids != nil || len(r.HugepageLimits) > 0 || len(r.Unified) > 0
}

func (c *Cgroup) write(s setting) error {
	field := "linux.resources." + s.field
	key := s.controller
	if c.Mode == V2 {
		key = Unified
	}
	dir := c.Dirs[key]
	if dir == "" {
		if s.soft {
			return nil
		}
		return fmt.Errorf("%s: this host has no %s cgroup controller; remove the limit", field, s.controller)
	}
	err := writeFile(dir, s.file, s.value)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist) && s.soft:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: this host's %s cgroup controller has no %s; remove the limit", field, s.controller, s.file)
	case errors.Is(err, unix.EBUSY) && strings.HasPrefix(s.field, "memory"):
		return fmt.Errorf("%s: the container uses more than that already: %w", field, err)
	}
	return fmt.Errorf("%s: %w", field, err)
}

// sandboxThreads is how many host threads the Sentry and Gofer may need of their own.
const sandboxThreads = 256

// hostPids is the fence around a limit of n application tasks: each can have a stub
// process's first thread, a stub thread and a Sentry thread that waits for it, and as many
// may be on their way out.
func hostPids(n int64) string {
	if n <= 0 || n > (math.MaxInt32-sandboxThreads)/4 {
		return "max"
	}
	return strconv.FormatInt(4*n+sandboxThreads, 10)
}

func (c *Cgroup) settingsV1(r *specs.LinuxResources) []setting {
	var list []setting
	add := func(field, controller, file, value string) {
		list = append(list, setting{field: field, controller: controller, file: file, value: value})
	}
	soft := func(field, controller, file, value string) {
		list = append(list, setting{field: field, controller: controller, file: file, value: value, soft: true})
	}
	if m := r.Memory; m != nil {
		list = append(list, memoryV1(m, c.Dirs["memory"])...)
	}
	if p := r.CPU; p != nil {
		if p.Shares != nil && *p.Shares != 0 {
			add("cpu.shares", "cpu", "cpu.shares", u(*p.Shares))
		}
		if p.Period != nil && *p.Period != 0 {
			add("cpu.period", "cpu", "cpu.cfs_period_us", u(*p.Period))
		}
		if p.Quota != nil && *p.Quota != 0 {
			add("cpu.quota", "cpu", "cpu.cfs_quota_us", i(*p.Quota))
		}
		if p.Burst != nil && *p.Burst != 0 {
			add("cpu.burst", "cpu", "cpu.cfs_burst_us", u(*p.Burst))
		}
		if p.Cpus != "" {
			add("cpu.cpus", "cpuset", "cpuset.cpus", p.Cpus)
		}
		if p.Mems != "" {
			add("cpu.mems", "cpuset", "cpuset.mems", p.Mems)
		}
		if p.Idle != nil {
			add("cpu.idle", "cpu", "cpu.idle", i(*p.Idle))
		}
	}
	if r.Pids != nil && r.Pids.Limit != nil && *r.Pids.Limit != 0 {
		add("pids.limit", "pids", "pids.max", hostPids(*r.Pids.Limit))
	}
	if b := r.BlockIO; b != nil {
		if b.Weight != nil && *b.Weight != 0 {
			// The file depends on the I/O scheduler of the day.
			soft("blockIO.weight", "blkio", "blkio.bfq.weight", u(uint64(*b.Weight)))
			soft("blockIO.weight", "blkio", "blkio.weight", u(uint64(*b.Weight)))
		}
		for _, t := range throttles(b) {
			for _, d := range t.devices {
				add(t.field, "blkio", t.v1, fmt.Sprintf("%d:%d %d", d.Major, d.Minor, d.Rate))
			}
		}
	}
	for _, h := range r.HugepageLimits {
		add("hugepageLimits", "hugetlb", "hugetlb."+filepath.Base(h.Pagesize)+".limit_in_bytes", u(h.Limit))
	}
	return list
}

// memoryV1 orders the writes so that the limit never passes memory and swap together,
// which the kernel refuses.
func memoryV1(m *specs.LinuxMemory, dir string) []setting {
	const mem, memsw = "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"
	var list []setting
	limit, swap := int64(0), int64(0)
	if m.Limit != nil {
		limit = *m.Limit
	}
	if m.Swap != nil {
		swap = *m.Swap
	}
	if limit == -1 && swap == 0 {
		swap = -1
	}
	a := setting{field: "memory.limit", controller: "memory", file: mem, value: i(limit)}
	b := setting{field: "memory.swap", controller: "memory", file: memsw, value: i(swap), soft: true}
	switch {
	case limit != 0 && swap != 0:
		cur := readInt(dir, mem)
		if swap == -1 || cur >= 0 && cur < swap {
			list = append(list, b, a)
		} else {
			list = append(list, a, b)
		}
	case limit != 0:
		list = append(list, a)
	case swap != 0:
		list = append(list, b)
	}
	if m.Reservation != nil && *m.Reservation != 0 {
		list = append(list, setting{field: "memory.reservation", controller: "memory", file: "memory.soft_limit_in_bytes", value: i(*m.Reservation)})
	}
	if m.Swappiness != nil {
		list = append(list, setting{field: "memory.swappiness", controller: "memory", file: "memory.swappiness", value: u(*m.Swappiness)})
	}
	if m.DisableOOMKiller != nil && *m.DisableOOMKiller {
		list = append(list, setting{field: "memory.disableOOMKiller", controller: "memory", file: "memory.oom_control", value: "1"})
	}
	return list
}

func readInt(dir, file string) int64 {
	data, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return -1
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// throttle is one of the four per-device rates.
type throttle struct {
	field, v1, v2 string
	devices       []specs.LinuxThrottleDevice
}

func throttles(b *specs.LinuxBlockIO) []throttle {
	return []throttle{
		{"blockIO.throttleReadBpsDevice", "blkio.throttle.read_bps_device", "rbps", b.ThrottleReadBpsDevice},
		{"blockIO.throttleWriteBpsDevice", "blkio.throttle.write_bps_device", "wbps", b.ThrottleWriteBpsDevice},
		{"blockIO.throttleReadIOPSDevice", "blkio.throttle.read_iops_device", "riops", b.ThrottleReadIOPSDevice},
		{"blockIO.throttleWriteIOPSDevice", "blkio.throttle.write_iops_device", "wiops", b.ThrottleWriteIOPSDevice},
	}
}

func u(n uint64) string { return strconv.FormatUint(n, 10) }
func i(n int64) string  { return strconv.FormatInt(n, 10) }
