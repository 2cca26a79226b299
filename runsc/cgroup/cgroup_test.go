package cgroup

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

const hybridMounts = `27 22 0:24 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
28 27 0:25 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
29 27 0:26 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
30 27 0:27 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
31 27 0:28 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer
32 27 0:29 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
`

const hybridOwn = "4:memory:/agent/x\n1:cpu:/\n9:name=systemd:/user\n0::/\n"

func TestParseAndPlan(t *testing.T) {
	h := parseHost(hybridMounts, hybridOwn)
	if h.Mode != Hybrid {
		t.Errorf("mode = %s", h.Mode)
	}
	const root = "/sys/fs/cgroup/"
	for _, tc := range []struct {
		path string
		want map[string]string // nil: refused
	}{
		{"", map[string]string{"memory": "memory/agent/x/id", "cpu": "cpu/id", "name=systemd": "systemd/user/id", Unified: "unified/id"}},
		{"/a/b", map[string]string{"memory": "memory/a/b", "cpu": "cpu/a/b", "name=systemd": "systemd/a/b", Unified: "unified/a/b"}},
		{"r", map[string]string{"memory": "memory/agent/x/r", "cpu": "cpu/r", "name=systemd": "systemd/user/r", Unified: "unified/r"}},
		{"../../../etc", map[string]string{"memory": "memory/etc", "cpu": "cpu/etc", "name=systemd": "systemd/etc", Unified: "unified/etc"}},
		{"system.slice:runc:id", nil},
		{"/", nil},
	} {
		c, err := h.Plan(tc.path, "id")
		if (err == nil) != (tc.want != nil) {
			t.Errorf("Plan(%q) = %v", tc.path, err)
		}
		if err != nil {
			continue
		}
		for name, dir := range tc.want {
			if c.Dirs[name] != root+dir {
				t.Errorf("Plan(%q)[%s] = %s, want %s", tc.path, name, c.Dirs[name], root+dir)
			}
		}
		if len(c.Dirs) != len(tc.want) {
			t.Errorf("Plan(%q) = %v", tc.path, c.Dirs)
		}
	}
	v2 := parseHost("30 20 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "0::/user.slice/s.scope\n")
	if c, err := v2.Plan("", "id"); err != nil || v2.Mode != V2 || c.Dirs[Unified] != "/sys/fs/cgroup/user.slice/id" {
		t.Errorf("v2: %v %v %v", v2.Mode, c, err)
	}
	inner := parseHost("30 20 0:30 /ctr/a /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n", "3:memory:/ctr/a/b\n")
	if inner.Own["memory"] != "/b" || inner.Mode != V1 {
		t.Errorf("own group seen through a container's mount = %q", inner.Own["memory"])
	}
	if none := parseHost("", ""); none.Mode != None {
		t.Errorf("mode without mounts = %s", none.Mode)
	}
}

func ptr[T any](v T) *T { return &v }

func TestSettingsV2(t *testing.T) {
	r := &specs.LinuxResources{
		Memory:  &specs.LinuxMemory{Limit: ptr(int64(100)), Swap: ptr(int64(150)), Reservation: ptr(int64(50))},
		CPU:     &specs.LinuxCPU{Shares: ptr(uint64(1024)), Quota: ptr(int64(50000)), Cpus: "0-1"},
		Pids:    &specs.LinuxPids{Limit: ptr(int64(10))},
		BlockIO: &specs.LinuxBlockIO{ThrottleReadBpsDevice: []specs.LinuxThrottleDevice{{LinuxBlockIODevice: specs.LinuxBlockIODevice{Major: 8}, Rate: 7}}},
		Unified: map[string]string{"memory.high": "9"},
	}
	var got []string
	for _, s := range settingsV2(r) {
		got = append(got, s.controller+" "+s.file+"="+s.value)
	}
	want := []string{"memory memory.swap.max=50", "memory memory.max=100", "memory memory.low=50", "cpu cpu.weight=39",
		"cpu cpu.max=50000 100000", "cpuset cpuset.cpus=0-1", "pids pids.max=296", "io io.max=8:0 rbps=7", "memory memory.high=9"}
	if !slices.Equal(got, want) {
		t.Errorf("settings\n%q, want\n%q", got, want)
	}
}

func TestMemoryV1Order(t *testing.T) {
	dir := t.TempDir()
	for _, tc := range []struct {
		cur         string
		limit, swap int64
		first       string
	}{
		{"100", 200, 300, "memory.memsw.limit_in_bytes"},
		{"900", 200, 300, "memory.limit_in_bytes"},
		{"900", 200, -1, "memory.memsw.limit_in_bytes"},
		{"900", -1, 0, "memory.memsw.limit_in_bytes"},
		{"900", 200, 0, "memory.limit_in_bytes"},
	} {
		if err := os.WriteFile(filepath.Join(dir, "memory.limit_in_bytes"), []byte(tc.cur), 0o644); err != nil {
			t.Fatal(err)
		}
		list := memoryV1(&specs.LinuxMemory{Limit: &tc.limit, Swap: &tc.swap}, dir)
		if len(list) == 0 || list[0].file != tc.first {
			t.Errorf("%+v: writes %+v", tc, list)
		}
	}
}

// The whole life of a group on this machine's own hierarchy.
func TestLive(t *testing.T) {
	h, err := Detect()
	if err != nil {
		t.Fatal(err)
	}
	if h.Mode == None {
		t.Fatal("this machine mounts no cgroup hierarchy; the tests need one")
	}
	c, err := h.Plan("/lazaret-cgroup-test/"+filepath.Base(t.TempDir())+"-x", "x")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Delete(); err != nil {
			t.Error(err)
		}
		for _, d := range c.dirs() {
			_ = os.Remove(filepath.Dir(d))
		}
	})
	if err := c.Create(); err != nil {
		t.Fatal(err)
	}
	r := &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr(int64(128 << 20))}, Pids: &specs.LinuxPids{Limit: ptr(int64(20))},
		CPU: &specs.LinuxCPU{Shares: ptr(uint64(512)), Cpus: "0"}}
	if err := c.Set(r); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	if err := c.Join(cmd.Process.Pid); err != nil {
		t.Error(err)
	}
	go func() { done <- cmd.Wait() }()
	if procs := c.Procs(); !slices.Equal(procs, []int{cmd.Process.Pid}) {
		t.Errorf("processes = %v, want %d", procs, cmd.Process.Pid)
	}
	if s := c.Stats(); s.MemoryLimit != 128<<20 || s.PidsLimit != 4*20+sandboxThreads || s.PidsCurrent != 1 {
		t.Errorf("stats = %+v", s)
	}
	if err := c.Kill(); err != nil {
		t.Error(err)
	}
	if err := <-done; err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("process ended with %v", err)
	}
	if h.Mode != V2 {
		if err := c.Set(&specs.LinuxResources{Unified: map[string]string{"memory.max": "1"}}); err == nil || !strings.Contains(err.Error(), "linux.resources.unified") {
			t.Errorf("unified on v1: %v", err)
		}
	}
	delete(c.Dirs, "pids")
	if h.Mode != V2 {
		if err := c.Set(&specs.LinuxResources{Pids: r.Pids}); err == nil || !strings.Contains(err.Error(), "linux.resources.pids.limit") {
			t.Errorf("limit without its controller: %v", err)
		}
	}
	again, err := h.Plan("/lazaret-cgroup-test/"+filepath.Base(c.dirs()[0]), "x")
	if err != nil {
		t.Fatal(err)
	}
	c = again
}
