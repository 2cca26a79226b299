package sys

import (
	"fmt"

	"lazaret/sentry/fs/pseudo"
	"lazaret/syscalls/abi"
)

const (
	emptyDir = abi.S_IFDIR | 0o755
	page     = abi.PageSize // st_size of the files of sysfs
	cpuDir   = "devices/system/cpu/"
	nodeDir  = "devices/system/node/"
	hugeDir  = "kernel/mm/hugepages/hugepages-2048kB/"
	thpDir   = "kernel/mm/transparent_hugepage/"
)

// staticTable is what does not depend on the number of processors.
var staticTable = []pseudo.Entry{
	{Path: "block", Mode: emptyDir},
	{Path: "bus/cpu/devices", Mode: emptyDir},
	{Path: "bus/node/devices/node0", Link: "../../../devices/system/node/node0"},
	{Path: "bus/pci/devices", Mode: emptyDir},
	{Path: "bus/usb/devices", Mode: emptyDir},
	{Path: "class/block", Mode: emptyDir},
	{Path: "class/dmi", Mode: emptyDir},
	{Path: "class/drm", Mode: emptyDir},
	{Path: "class/hwmon", Mode: emptyDir},
	{Path: "class/input", Mode: emptyDir},
	{Path: "class/mem", Mode: emptyDir},
	{Path: "class/misc", Mode: emptyDir},
	{Path: "class/net/lo", Link: "../../devices/virtual/net/lo"},
	{Path: "class/power_supply", Mode: emptyDir},
	{Path: "class/thermal", Mode: emptyDir},
	{Path: "class/tty", Mode: emptyDir},
	{Path: "dev/block", Mode: emptyDir},
	{Path: "dev/char", Mode: emptyDir},

	{Path: cpuDir + "isolated", Text: "\n", Size: page},
	{Path: cpuDir + "kernel_max", Text: "8191\n", Size: page},
	{Path: cpuDir + "modalias", Text: "cpu:type:any\n", Size: page},
	{Path: cpuDir + "offline", Text: "\n", Size: page},
	{Path: cpuDir + "online", Show: showCPUs, Size: page},
	{Path: cpuDir + "possible", Show: showCPUs, Size: page},
	{Path: cpuDir + "present", Show: showCPUs, Size: page},
	{Path: cpuDir + "smt/active", Text: "0\n", Size: page},
	{Path: cpuDir + "smt/control", Text: "notsupported\n", Size: page},
	{Path: cpuDir + "vulnerabilities", Mode: emptyDir},

	{Path: nodeDir + "has_cpu", Text: "0\n", Size: page},
	{Path: nodeDir + "has_memory", Text: "0\n", Size: page},
	{Path: nodeDir + "has_normal_memory", Text: "0\n", Size: page},
	{Path: nodeDir + "online", Text: "0\n", Size: page},
	{Path: nodeDir + "possible", Text: "0\n", Size: page},
	{Path: nodeDir + "node0/cpulist", Show: showCPUs, Size: page},
	{Path: nodeDir + "node0/cpumap", Show: showCPUMask, Size: page},
	{Path: nodeDir + "node0/distance", Text: "10\n", Size: page},
	{Path: nodeDir + "node0/meminfo", Show: showNodeMemory, Size: page},
	{Path: nodeDir + "node0/numastat", Text: "numa_hit 0\nnuma_miss 0\nnuma_foreign 0\ninterleave_hit 0\nlocal_node 0\nother_node 0\n", Size: page},
	{Path: nodeDir + "node0/hugepages", Mode: emptyDir},

	{Path: "devices/virtual/net/lo/address", Text: "00:00:00:00:00:00\n", Size: page},
	{Path: "devices/virtual/net/lo/addr_len", Text: "6\n", Size: page},
	{Path: "devices/virtual/net/lo/flags", Text: "0x9\n", Size: page},
	{Path: "devices/virtual/net/lo/ifindex", Text: "1\n", Size: page},
	{Path: "devices/virtual/net/lo/mtu", Text: "65536\n", Size: page},
	{Path: "devices/virtual/net/lo/operstate", Text: "unknown\n", Size: page},
	{Path: "devices/virtual/net/lo/subsystem", Link: "../../../../class/net"},
	{Path: "devices/virtual/net/lo/type", Text: "772\n", Size: page},

	{Path: "firmware", Mode: emptyDir},
	{Path: "fs/cgroup", Mode: emptyDir},
	{Path: "hypervisor", Mode: emptyDir},

	{Path: "kernel/mm/ksm/run", Text: "0\n", Size: page},
	{Path: "kernel/mm/numa/demotion_enabled", Text: "false\n", Size: page},
	{Path: hugeDir + "free_hugepages", Text: "0\n", Size: page},
	{Path: hugeDir + "nr_hugepages", Text: "0\n", Size: page},
	{Path: hugeDir + "nr_overcommit_hugepages", Text: "0\n", Size: page},
	{Path: hugeDir + "resv_hugepages", Text: "0\n", Size: page},
	{Path: hugeDir + "surplus_hugepages", Text: "0\n", Size: page},
	{Path: thpDir + "defrag", Text: "always defer defer+madvise [madvise] never\n", Size: page},
	{Path: thpDir + "enabled", Text: "always [madvise] never\n", Size: page},
	{Path: thpDir + "hpage_pmd_size", Text: "2097152\n", Size: page},
	{Path: thpDir + "khugepaged/defrag", Text: "1\n", Size: page},
	{Path: thpDir + "khugepaged/max_ptes_none", Text: "511\n", Size: page},
	{Path: thpDir + "shmem_enabled", Text: "always within_size advise [never] deny force\n", Size: page},
	{Path: thpDir + "use_zero_page", Text: "1\n", Size: page},
	{Path: "kernel/cpu_byteorder", Text: "little\n", Size: page},
	{Path: "kernel/address_bits", Text: "64\n", Size: page},
	{Path: "kernel/debug", Mode: abi.S_IFDIR | 0o700},
	{Path: "kernel/security", Mode: emptyDir},
	{Path: "kernel/tracing", Mode: abi.S_IFDIR | 0o700},
	{Path: "kernel/uevent_seqnum", Text: "0\n", Size: page},

	{Path: "module", Mode: emptyDir},
	{Path: "power/state", Text: "\n", Size: page},
}

// cpuFile is a file below each processor's directory.
type cpuFile struct {
	name string
	show func(cpu, cpus int) string
}

// cpuTable is what each processor has. Every processor is a core of the one package,
// without threads.
var cpuTable = []cpuFile{
	{"topology/cluster_cpus", self}, {"topology/cluster_cpus_list", selfList},
	{"topology/cluster_id", func(int, int) string { return "65535" }},
	{"topology/core_cpus", self}, {"topology/core_cpus_list", selfList},
	{"topology/core_id", selfList},
	{"topology/core_siblings", all}, {"topology/core_siblings_list", allList},
	{"topology/die_cpus", all}, {"topology/die_cpus_list", allList},
	{"topology/die_id", zero},
	{"topology/package_cpus", all}, {"topology/package_cpus_list", allList},
	{"topology/physical_package_id", zero},
	{"topology/thread_siblings", self}, {"topology/thread_siblings_list", selfList},
}

// cpuCaches are the caches of a processor: those that most machines have, since the
// host's may not be known.
var cpuCaches = []struct {
	level, ways, sets int
	kind, size        string
	shared            bool
}{
	{1, 8, 64, "Data", "32K", false},
	{1, 8, 64, "Instruction", "32K", false},
	{2, 8, 1024, "Unified", "512K", false},
	{3, 16, 16384, "Unified", "16384K", true},
}

// cpuEntries makes the lines of n processors.
func cpuEntries(n int) []pseudo.Entry {
	var out []pseudo.Entry
	for cpu := range n {
		base := fmt.Sprintf("%scpu%d/", cpuDir, cpu)
		add := func(name, text string) {
			out = append(out, pseudo.Entry{Path: base + name, Text: text + "\n", Size: page})
		}
		for _, f := range cpuTable {
			add(f.name, f.show(cpu, n))
		}
		for i, c := range cpuCaches {
			d := fmt.Sprintf("cache/index%d/", i)
			add(d+"level", fmt.Sprint(c.level))
			add(d+"type", c.kind)
			add(d+"size", c.size)
			add(d+"coherency_line_size", "64")
			add(d+"ways_of_associativity", fmt.Sprint(c.ways))
			add(d+"number_of_sets", fmt.Sprint(c.sets))
			add(d+"physical_line_partition", "1")
			if c.shared {
				add(d+"shared_cpu_map", all(cpu, n))
				add(d+"shared_cpu_list", allList(cpu, n))
			} else {
				add(d+"shared_cpu_map", self(cpu, n))
				add(d+"shared_cpu_list", selfList(cpu, n))
			}
		}
		out = append(out,
			pseudo.Entry{Path: base + "node0", Link: "../../node/node0"},
			pseudo.Entry{Path: base + "subsystem", Link: "../../../../bus/cpu"},
			pseudo.Entry{Path: fmt.Sprintf("bus/cpu/devices/cpu%d", cpu), Link: fmt.Sprintf("../../../devices/system/cpu/cpu%d", cpu)},
			pseudo.Entry{Path: fmt.Sprintf("%snode0/cpu%d", nodeDir, cpu), Link: fmt.Sprintf("../../cpu/cpu%d", cpu)})
	}
	return out
}
