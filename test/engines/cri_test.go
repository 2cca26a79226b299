package engines

import (
	"strings"
	"testing"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// criCase is what the kubelet does with one pod, or several.
type criCase struct {
	name string
	run  func(k *kubelet)
}

// TestCRI: what Kubernetes asks of a runtime, with runc's handler and with ours.
func TestCRI(t *testing.T) {
	compareCRI(t, []criCase{
		{"life", criLife}, {"shared", criShared}, {"network", criNetwork}, {"security", criSecurity},
		{"oom", criOOM}, {"resources", criResources}, {"leftovers", criLeftovers},
	})
}

// compareCRI runs each case with both handlers: they must note the same.
func compareCRI(t *testing.T, cases []criCase) {
	startContainerd(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var notes [2]string
			for i, handler := range []string{"runc", "runsc"} {
				t.Run(handler, func(t *testing.T) {
					k := newKubelet(t, handler)
					c.run(k)
					notes[i] = normalize(k.notes.String(), "\x00", handler)
				})
			}
			if notes[0] != notes[1] {
				t.Error(lineDiff(notes[0], notes[1]))
			}
		})
	}
}

// criLife: a container's life from creation to removal, and its log.
func criLife(k *kubelet) {
	p := k.runPod("life", nil)
	id := p.run("main", `trap 'echo bye; exit 5' TERM; echo out; echo err >&2; while :; do sleep 0.1; done`, nil)
	k.until("output", func() bool { return strings.Count(p.log("main"), "\n") == 2 })
	list, err := k.client.ListContainers(k.ctx, &cri.ListContainersRequest{Filter: &cri.ContainerFilter{Id: id}})
	k.check("list", err)
	k.note("listed: %d %v", len(list.Containers), list.Containers[0].State)
	k.exec(id, "sh", "-c", "echo hello; echo oops >&2; exit 3")
	k.exec(id, "hostname")
	k.exec(id, "cat", "/etc/resolv.conf")
	_, err = k.client.ExecSync(k.ctx, &cri.ExecSyncRequest{ContainerId: id, Cmd: []string{"no-such-program"}})
	k.note("no program: %v", err != nil)
	_, err = k.client.ExecSync(k.ctx, &cri.ExecSyncRequest{ContainerId: id, Cmd: []string{"sleep", "100"}, Timeout: 1})
	k.note("timeout: %v", err != nil && strings.Contains(err.Error(), "timeout"))
	stats, err := k.client.ContainerStats(k.ctx, &cri.ContainerStatsRequest{ContainerId: id})
	k.check("stats", err)
	k.note("memory counted: %v, processor counted: %v", stats.Stats.GetMemory().GetWorkingSetBytes().GetValue() > 0, stats.Stats.GetCpu().GetUsageCoreNanoSeconds().GetValue() > 0)
	_, err = k.client.StopContainer(k.ctx, &cri.StopContainerRequest{ContainerId: id, Timeout: 30})
	k.check("stop", err)
	k.wait(id)
	for _, stream := range []string{"stdout", "stderr"} {
		for line := range strings.Lines(p.log("main")) {
			if strings.HasPrefix(line, stream) {
				k.note("%s", strings.TrimSpace(line))
			}
		}
	}
	_, err = k.client.RemoveContainer(k.ctx, &cri.RemoveContainerRequest{ContainerId: id})
	k.check("remove", err)
	gone := p.run("quick", "exit 9", nil)
	k.wait(gone)
	killed := p.run("killed", "sleep 1000", nil)
	_, err = k.client.StopContainer(k.ctx, &cri.StopContainerRequest{ContainerId: killed, Timeout: 0})
	k.check("stop at once", err)
	k.wait(killed)
	_, err = k.client.StopPodSandbox(k.ctx, &cri.StopPodSandboxRequest{PodSandboxId: p.id})
	k.check("stop pod", err)
	st, err := k.client.PodSandboxStatus(k.ctx, &cri.PodSandboxStatusRequest{PodSandboxId: p.id})
	k.check("pod status", err)
	k.note("pod: %v", st.Status.State)
}

// criShared: two containers of a pod share network, ipc and /dev/shm, and their pids if the
// pod says so.
func criShared(k *kubelet) {
	p := k.runPod("shared", func(c *cri.PodSandboxConfig) { c.Linux.SecurityContext.NamespaceOptions.Pid = cri.NamespaceMode_POD })
	a := p.run("a", "echo from a >/dev/shm/file; mkdir /tmp/www; echo page >/tmp/www/x; httpd -p 127.0.0.1:8080 -h /tmp/www; exec sleep 1111", nil)
	b := p.run("b", "exec sleep 2222", nil)
	k.exec(a, "sh", "-c", "until wget -q -O /dev/null http://127.0.0.1:8080/x; do sleep 0.1; done 2>/dev/null")
	k.exec(b, "cat", "/dev/shm/file")
	k.exec(b, "wget", "-q", "-O", "-", "http://127.0.0.1:8080/x")
	k.exec(b, "sh", "-c", "ps -o args | grep -c 'sleep [12][12][12]'")
	k.exec(b, "sh", "-c", "test -e /tmp/www || echo roots are apart")
	k.exec(b, "hostname")
	_, err := k.client.StopContainer(k.ctx, &cri.StopContainerRequest{ContainerId: a, Timeout: 0})
	k.check("stop a", err)
	k.exec(b, "echo", "b lives on")
}

// criNetwork: pods reach each other over the bridge, the host reaches them.
func criNetwork(k *kubelet) {
	server := k.runPod("server", nil)
	id := server.run("www", "mkdir /tmp/www; echo served >/tmp/www/x; exec httpd -f -p 80 -h /tmp/www", nil)
	k.exec(id, "sh", "-c", "until wget -q -O /dev/null http://127.0.0.1/x; do sleep 0.1; done 2>/dev/null")
	ip := server.ip()
	k.note("host: %s", must(k.t, "curl", "-s", "-m", "10", "http://"+ip+"/x"))
	client := k.runPod("client", nil)
	cid := client.run("main", "exec sleep 1000", nil)
	r, err := k.client.ExecSync(k.ctx, &cri.ExecSyncRequest{ContainerId: cid, Cmd: []string{"wget", "-q", "-T", "10", "-O", "-", "http://" + ip + "/x"}, Timeout: 30})
	k.check("wget", err)
	k.note("pod: %s%s", r.Stdout, r.Stderr)
	k.exec(cid, "sh", "-c", "ip -o addr show dev eth0 | grep -c 'inet 10.88.'; ip route | grep -c '^default via 10.88.0.1'")
}

// criSecurity: who a container is and what it may.
func criSecurity(k *kubelet) {
	p := k.runPod("security", func(c *cri.PodSandboxConfig) {
		c.Linux.Sysctls = map[string]string{"net.ipv4.ip_unprivileged_port_start": "77"}
	})
	with := func(name string, edit func(*cri.LinuxContainerSecurityContext), script string) {
		id := p.run(name, "exec sleep 1000", func(c *cri.ContainerConfig) { edit(c.Linux.SecurityContext) })
		k.exec(id, "sh", "-c", script)
	}
	with("plain", func(*cri.LinuxContainerSecurityContext) {}, "id; grep -E 'Cap|NoNew|Seccomp:' /proc/self/status; cat /proc/sys/net/ipv4/ip_unprivileged_port_start")
	with("user", func(s *cri.LinuxContainerSecurityContext) {
		s.RunAsUser, s.RunAsGroup, s.SupplementalGroups = &cri.Int64Value{Value: 1000}, &cri.Int64Value{Value: 1000}, []int64{77, 88}
		s.NoNewPrivs, s.ReadonlyRootfs = true, true
		s.Capabilities = &cri.Capability{DropCapabilities: []string{"ALL"}}
	}, "id -u; id -G; grep -E 'CapBnd|NoNew' /proc/self/status; touch /x 2>&1 | sed 's/.*: //'; pwd")
	with("named", func(s *cri.LinuxContainerSecurityContext) { s.RunAsUsername = "bob" }, "id -un; echo $HOME")
	with("caps", func(s *cri.LinuxContainerSecurityContext) {
		s.Capabilities = &cri.Capability{AddCapabilities: []string{"NET_ADMIN"}, DropCapabilities: []string{"CHOWN"}}
	}, "grep CapEff /proc/self/status")
	with("seccomp", func(s *cri.LinuxContainerSecurityContext) {
		s.Seccomp = &cri.SecurityProfile{ProfileType: cri.SecurityProfile_RuntimeDefault}
	}, "grep Seccomp: /proc/self/status; unshare -U true 2>&1 | sed 's/.*: //'")
	with("masked", func(s *cri.LinuxContainerSecurityContext) {
		s.MaskedPaths, s.ReadonlyPaths = []string{"/proc/uptime", "/etc/group"}, []string{"/proc/sys", "/tmp"}
	}, "cat /proc/uptime /etc/group | wc -c; touch /tmp/x 2>&1 | sed 's/.*: //'")
}

// criOOM: a container that uses more memory than it may ends, alone and with the reason.
func criOOM(k *kubelet) {
	p := k.runPod("oom", nil)
	other := p.run("other", "exec sleep 1000", nil)
	id := p.run("eater", "exec tail /dev/zero", func(c *cri.ContainerConfig) { c.Linux.Resources.MemoryLimitInBytes = 40 << 20 })
	k.wait(id)
	k.exec(other, "echo", "lives on")
}

// criResources: limits as they were created and as they are updated.
func criResources(k *kubelet) {
	p := k.runPod("resources", nil)
	id := p.run("main", "exec sleep 1000", func(c *cri.ContainerConfig) {
		c.Linux.Resources = &cri.LinuxContainerResources{MemoryLimitInBytes: 64 << 20, CpuShares: 512, CpuQuota: 50000, CpuPeriod: 100000}
	})
	_, err := k.client.UpdateContainerResources(k.ctx, &cri.UpdateContainerResourcesRequest{
		ContainerId: id, Linux: &cri.LinuxContainerResources{MemoryLimitInBytes: 128 << 20, CpuShares: 256},
	})
	k.check("update", err)
	k.exec(id, "echo", "after the update")
	volume := k.t.TempDir()
	v := p.run("volumes", "echo written >/vol/file; exec sleep 1000", func(c *cri.ContainerConfig) {
		c.Mounts = []*cri.Mount{{ContainerPath: "/vol", HostPath: volume}, {ContainerPath: "/ro", HostPath: volume, Readonly: true}}
		c.Envs = []*cri.KeyValue{{Key: "NAME", Value: "value"}}
		c.WorkingDir = "/tmp"
	})
	k.exec(v, "sh", "-c", "until test -s /ro/file; do sleep 0.1; done; cat /ro/file; touch /ro/x 2>&1 | sed 's/.*: //'; echo $NAME; pwd")
}

// criLeftovers: a pod whose shim is killed can be stopped and removed.
func criLeftovers(k *kubelet) {
	p := k.runPod("leftovers", nil)
	id := p.run("main", "exec sleep 1000", nil)
	must(k.t, "sh", "-c", "kill -9 $(for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$f 2>/dev/null | grep -q -e '^[^ ]*containerd-shim.*"+p.id+"' && basename $(dirname $f); done)")
	k.wait(id)
	_, err := k.client.StopPodSandbox(k.ctx, &cri.StopPodSandboxRequest{PodSandboxId: p.id})
	k.note("stopped: %v", err == nil)
	// They go when the last process has, which nobody waits for.
	left := must(k.t, "sh", "-c", "for i in $(seq 100); do n=$(find /sys/fs/cgroup/memory"+p.config.Linux.CgroupParent+" -mindepth 1 -type d | wc -l); [ $n = 0 ] && break; sleep 0.1; done; echo $n")
	k.note("cgroups left: %s", left)
}
