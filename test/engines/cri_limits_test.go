package engines

import (
	"strings"
	"testing"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// TestCRILimits: what is counted of a container, and how its limits hold.
func TestCRILimits(t *testing.T) {
	compareCRI(t, []criCase{{"stats", criStats}, {"update", criUpdate}, {"oomchild", criOOMChild}, {"pids", criPids}})
}

// criStats: each container's own numbers, and the pod's.
func criStats(k *kubelet) {
	p := k.runPod("stats", nil)
	busy := p.run("busy", "dd if=/dev/zero of=/dev/file bs=1M count=30 2>/dev/null; i=0; while test $i -lt 300000; do i=$((i+1)); done; echo done; exec sleep 1000", nil)
	idle := p.run("idle", "exec sleep 1000", func(c *cri.ContainerConfig) { c.Linux.Resources.MemoryLimitInBytes = 100 << 20 })
	k.until("work", func() bool { return strings.Contains(p.log("busy"), "done") })
	stats := func(id string) *cri.ContainerStats {
		r, err := k.client.ContainerStats(k.ctx, &cri.ContainerStatsRequest{ContainerId: id})
		k.check("stats", err)
		return r.Stats
	}
	memory := func(s *cri.ContainerStats) uint64 { return s.GetMemory().GetWorkingSetBytes().GetValue() >> 20 }
	cpu := func(s *cri.ContainerStats) uint64 { return s.GetCpu().GetUsageCoreNanoSeconds().GetValue() }
	b, i := stats(busy), stats(idle)
	k.note("busy: %v %v, idle: %v %v", memory(b) >= 30 && memory(b) < 60, cpu(b) > 50_000_000, memory(i) < 20, cpu(i) < cpu(b))
	list, err := k.client.ListContainerStats(k.ctx, &cri.ListContainerStatsRequest{Filter: &cri.ContainerStatsFilter{PodSandboxId: p.id}})
	k.check("list stats", err)
	k.note("available: %v", i.GetMemory().GetAvailableBytes().GetValue() > 80<<20 && i.GetMemory().GetAvailableBytes().GetValue() <= 100<<20)
	k.note("listed: %d", len(list.Stats))
	k.sh(idle, "ping -c 1 10.88.0.1 || wget -T 1 http://10.88.0.1/; true")
	r, err := k.client.PodSandboxStats(k.ctx, &cri.PodSandboxStatsRequest{PodSandboxId: p.id})
	k.check("pod stats", err)
	l := r.Stats.Linux
	k.note("pod: %d containers, network %s %v %v", len(l.Containers), l.GetNetwork().GetDefaultInterface().GetName(), l.GetNetwork().GetDefaultInterface().GetRxBytes().GetValue() > 0, l.GetNetwork().GetDefaultInterface().GetTxBytes().GetValue() > 0)
	k.note("pod: %v %v", l.Cpu.GetUsageCoreNanoSeconds().GetValue() >= cpu(b), l.Memory.GetUsageBytes().GetValue()>>20 >= 30)
}

// criUpdate: a limit that is raised is there at once, and one that is lowered is kept.
func criUpdate(k *kubelet) {
	p := k.runPod("update", nil)
	id := p.run("main", "exec sleep 1000", func(c *cri.ContainerConfig) { c.Linux.Resources.MemoryLimitInBytes = 50 << 20 })
	const eat = "dd if=/dev/zero of=/dev/null bs=80M count=1 2>/dev/null; echo $?"
	k.note("small: %s", k.sh(id, eat))
	update := func(limit int64) {
		_, err := k.client.UpdateContainerResources(k.ctx, &cri.UpdateContainerResourcesRequest{ContainerId: id, Linux: &cri.LinuxContainerResources{MemoryLimitInBytes: limit}})
		k.check("update", err)
	}
	update(200 << 20)
	k.note("large: %s", k.sh(id, eat))
	update(60 << 20)
	k.note("small again: %s", k.sh(id, eat))
	k.note("main: %s", k.sh(id, "echo alive"))
}

// criOOMChild: a child is killed, its container goes on, and how it ended is told later.
func criOOMChild(k *kubelet) {
	p := k.runPod("oomchild", nil)
	id := p.run("main", "dd if=/dev/zero of=/dev/null bs=80M count=1 2>/dev/null; echo child $?; exit 3", func(c *cri.ContainerConfig) { c.Linux.Resources.MemoryLimitInBytes = 40 << 20 })
	k.wait(id)
	k.note("%s", p.log("main"))
}

// criPids: processes of an exec end with their container.
func criPids(k *kubelet) {
	p := k.runPod("pids", nil)
	id := p.run("main", "exec sleep 1000", nil)
	s := k.stream(id, false, false, "sh", "-c", "echo started; sleep 1000; echo not here")
	s.expect(chanOut, "started\n")
	_, err := k.client.StopContainer(k.ctx, &cri.StopContainerRequest{ContainerId: id, Timeout: 0})
	k.check("stop", err)
	s.ends("exec")
	k.wait(id)
}
