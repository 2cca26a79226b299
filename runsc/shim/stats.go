package shim

import (
	"context"
	"time"

	v1 "github.com/containerd/cgroups/v3/cgroup1/stats"
	v2 "github.com/containerd/cgroups/v3/cgroup2/stats"
	eventsapi "github.com/containerd/containerd/api/events"
	taskapi "github.com/containerd/containerd/api/runtime/task/v2"
	"google.golang.org/protobuf/proto"

	"lazaret/runsc/cgroup"
	"lazaret/runsc/control"
)

func (s *service) Stats(_ context.Context, req *taskapi.StatsRequest) (*taskapi.StatsResponse, error) {
	c, _, err := s.find(req.ID, "")
	if err != nil {
		return nil, err
	}
	host, inner, mode, err := c.stats()
	if err != nil {
		return nil, fail(err)
	}
	var m proto.Message = metricsV1(host, inner)
	if mode == cgroup.V2 {
		m = metricsV2(host)
	}
	a, err := toAny(m)
	return &taskapi.StatsResponse{Stats: a}, fail(err)
}

// stats are what the host's group counts and, for a container that shares its sandbox, of
// which the host's groups say nothing, what the Sentry counts.
func (c *container) stats() (*cgroup.Stats, *control.Stats, cgroup.Mode, error) {
	st, err := c.rt.state(c.id)
	if err != nil {
		return nil, nil, "", err
	}
	host, mode := &cgroup.Stats{}, cgroup.None
	if st.Cgroup != nil {
		host, mode = st.Cgroup.Stats(), st.Cgroup.Mode
	}
	client, err := c.client()
	if err != nil {
		return nil, nil, "", err
	}
	client.Timeout = 2 * time.Second
	inner, err := client.Stats(c.id)
	if err != nil {
		inner = &control.Stats{}
	}
	host.OOMKills += inner.OOMKills
	if inner.Pids > 0 {
		host.PidsCurrent, host.PidsLimit = inner.Pids, inner.PidsLimit
	}
	if st.SandboxID != c.id {
		all := uint64(0)
		if pod, err := c.rt.state(st.SandboxID); err == nil && pod.Cgroup != nil {
			all = pod.Cgroup.Stats().CPUTotalNS
		}
		replace(host, inner, all)
	}
	return host, inner, mode, nil
}

// replace puts what the Sentry counts of one container in the place of what the host counts
// of its group. sandboxNS is the processor time of the whole sandbox: the Sentry counts by the
// clock, also what other programs of a busy host took meanwhile.
func replace(h *cgroup.Stats, in *control.Stats, sandboxNS uint64) {
	h.CPUTotalNS, h.CPUUserNS, h.CPUKernelNS, h.PerCPU = in.CPUUserNS+in.CPUSystemNS, in.CPUUserNS, in.CPUSystemNS, nil
	h.Periods, h.ThrottledPeriods, h.ThrottledNS, h.Failcnt = in.Periods, in.ThrottledPeriods, in.ThrottledNS, in.MemoryFails
	if sandboxNS > 0 {
		h.CPUTotalNS = min(h.CPUTotalNS, sandboxNS)
	}
	h.MemoryUsage, h.MemoryMax, h.MemoryCache = in.MemoryUsage, in.MemoryMax, in.FileCache
	if in.MemoryLimit > 0 {
		h.MemoryLimit = in.MemoryLimit
	}
	own := in.MemoryUsage - min(in.FileCache, in.MemoryUsage)
	h.MemoryRaw = map[string]uint64{
		"cache": in.FileCache, "total_inactive_file": in.FileCache, "rss": own, "total_rss": own, "hierarchical_memory_limit": h.MemoryLimit, // v1
		"file": in.FileCache, "inactive_file": in.FileCache, "anon": own, // v2
	}
}

// reportOOM tells the engine when the container was killed for its memory.
func (c *container) reportOOM() {
	host, _, _, err := c.stats()
	if err == nil && host.OOMKills > c.oomKills {
		c.oomKills = host.OOMKills
		c.s.events.publish("/tasks/oom", &eventsapi.TaskOOM{ContainerID: c.id})
	}
}

func metricsV1(h *cgroup.Stats, in *control.Stats) *v1.Metrics {
	raw := h.MemoryRaw
	m := &v1.Metrics{
		Pids: &v1.PidsStat{Current: h.PidsCurrent, Limit: h.PidsLimit},
		CPU: &v1.CPUStat{
			Usage:      &v1.CPUUsage{Total: h.CPUTotalNS, Kernel: h.CPUKernelNS, User: h.CPUUserNS, PerCPU: h.PerCPU},
			Throttling: &v1.Throttle{Periods: h.Periods, ThrottledPeriods: h.ThrottledPeriods, ThrottledTime: h.ThrottledNS},
		},
		Memory: &v1.MemoryStat{
			Cache: h.MemoryCache, RSS: raw["rss"], RSSHuge: raw["rss_huge"], MappedFile: raw["mapped_file"], Dirty: raw["dirty"],
			Writeback: raw["writeback"], PgPgIn: raw["pgpgin"], PgPgOut: raw["pgpgout"], PgFault: raw["pgfault"], PgMajFault: raw["pgmajfault"],
			InactiveAnon: raw["inactive_anon"], ActiveAnon: raw["active_anon"], InactiveFile: raw["inactive_file"], ActiveFile: raw["active_file"],
			TotalCache: raw["total_cache"], TotalRSS: raw["total_rss"], TotalMappedFile: raw["total_mapped_file"], TotalPgFault: raw["total_pgfault"],
			TotalPgMajFault: raw["total_pgmajfault"], TotalInactiveAnon: raw["total_inactive_anon"], TotalActiveAnon: raw["total_active_anon"],
			TotalInactiveFile: raw["total_inactive_file"], TotalActiveFile: raw["total_active_file"],
			HierarchicalMemoryLimit: raw["hierarchical_memory_limit"], HierarchicalSwapLimit: raw["hierarchical_memsw_limit"],
			Usage:  &v1.MemoryEntry{Limit: h.MemoryLimit, Usage: h.MemoryUsage, Max: h.MemoryMax, Failcnt: h.Failcnt},
			Swap:   &v1.MemoryEntry{},
			Kernel: &v1.MemoryEntry{}, KernelTCP: &v1.MemoryEntry{},
		},
		MemoryOomControl: &v1.MemoryOomControl{OomKill: h.OOMKills},
		Blkio:            &v1.BlkIOStat{},
	}
	for _, i := range in.Interfaces {
		m.Network = append(m.Network, &v1.NetworkStat{
			Name: i.Name, RxBytes: i.RxBytes, RxPackets: i.RxPackets, RxErrors: i.RxErrors, RxDropped: i.RxDropped,
			TxBytes: i.TxBytes, TxPackets: i.TxPackets, TxErrors: i.TxErrors, TxDropped: i.TxDropped,
		})
	}
	return m
}

func metricsV2(h *cgroup.Stats) *v2.Metrics {
	raw := h.MemoryRaw
	return &v2.Metrics{
		Pids: &v2.PidsStat{Current: h.PidsCurrent, Limit: h.PidsLimit},
		CPU: &v2.CPUStat{
			UsageUsec: h.CPUTotalNS / 1000, UserUsec: h.CPUUserNS / 1000, SystemUsec: h.CPUKernelNS / 1000,
			NrPeriods: h.Periods, NrThrottled: h.ThrottledPeriods, ThrottledUsec: h.ThrottledNS / 1000,
		},
		Memory: &v2.MemoryStat{
			Usage: h.MemoryUsage, UsageLimit: h.MemoryLimit, Anon: raw["anon"], File: raw["file"], Shmem: raw["shmem"],
			FileMapped: raw["file_mapped"], FileDirty: raw["file_dirty"], FileWriteback: raw["file_writeback"],
			InactiveAnon: raw["inactive_anon"], ActiveAnon: raw["active_anon"], InactiveFile: raw["inactive_file"],
			ActiveFile: raw["active_file"], Pgfault: raw["pgfault"], Pgmajfault: raw["pgmajfault"],
		},
		MemoryEvents: &v2.MemoryEvents{OomKill: h.OOMKills, Max: h.Failcnt},
	}
}
