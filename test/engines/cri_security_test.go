package engines

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// TestCRISecurity: profiles, privileges, sysctls and users.
func TestCRISecurity(t *testing.T) {
	compareCRI(t, []criCase{{"profiles", criProfiles}, {"privileged", criPrivileged}, {"sysctls", criSysctls}, {"groups", criGroups}})
}

// criProfiles: seccomp from a file, the default one, none; AppArmor, which neither has here.
func criProfiles(k *kubelet) {
	file := filepath.Join(k.t.TempDir(), "profile.json")
	write(k.t, file, `{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}`)
	p := k.runPod("profiles", nil)
	for i, profile := range []*cri.SecurityProfile{
		{ProfileType: cri.SecurityProfile_Localhost, LocalhostRef: file}, {ProfileType: cri.SecurityProfile_Unconfined},
		{ProfileType: cri.SecurityProfile_RuntimeDefault},
	} {
		id := p.run(fmt.Sprint("main", i), "exec sleep 1000", func(c *cri.ContainerConfig) { c.Linux.SecurityContext.Seccomp = profile })
		k.note("%s: %s", profile.ProfileType, k.sh(id, "grep Seccomp: /proc/self/status; mkdir /tmp/d 2>&1 | sed 's/.*: //'; ls -d /tmp/d 2>/dev/null; unshare -U true 2>&1 | sed 's/.*: //'"))
	}
	_, err := p.try("missing", func(c *cri.ContainerConfig) {
		c.Linux.SecurityContext.Seccomp = &cri.SecurityProfile{ProfileType: cri.SecurityProfile_Localhost, LocalhostRef: file + ".not"}
	})
	k.note("missing profile: %v", err != nil)
	_, err = p.try("apparmor", func(c *cri.ContainerConfig) {
		c.Linux.SecurityContext.Apparmor = &cri.SecurityProfile{ProfileType: cri.SecurityProfile_Localhost, LocalhostRef: "mine"}
	})
	k.note("AppArmor: %v", err)
}

// criPrivileged: all capabilities, a writable /proc/sys and /sys, nothing masked.
func criPrivileged(k *kubelet) {
	p := k.runPod("privileged", func(c *cri.PodSandboxConfig) { c.Linux.SecurityContext.Privileged = true })
	id := p.run("main", "exec sleep 1000", func(c *cri.ContainerConfig) { c.Linux.SecurityContext.Privileged = true })
	k.exec(id, "sh", "-c", "grep -E 'CapEff|NoNew|Seccomp:' /proc/self/status | sed 's/ffffffff.*/all/'; mkdir /tmp/m; mount -t tmpfs x /tmp/m && echo mounted; awk '$5 == \"/sys\" || $5 == \"/proc/sys\" { print $5, substr($6, 1, 2) }' /proc/self/mountinfo")
	k.exec(id, "sh", "-c", "hostname other && hostname; ip link add dummy0 type dummy 2>/dev/null; ip route add 10.200.0.0/16 via 10.88.0.1 && ip route | grep -c 10.200; cat /proc/kcore 2>/dev/null | head -c 0; echo 1 >/proc/sys/net/ipv4/ip_forward; cat /proc/sys/net/ipv4/ip_forward")
	plain := p.run("plain", "exec sleep 1000", nil)
	k.exec(plain, "sh", "-c", "mount -t tmpfs x /tmp 2>/dev/null || echo no mounts here; echo 1 >/proc/sys/net/ipv4/ip_forward || echo read-only")
}

// criSysctls: those of namespaces are the pod's, others are refused.
func criSysctls(k *kubelet) {
	p := k.runPod("sysctls", func(c *cri.PodSandboxConfig) {
		c.Linux.Sysctls = map[string]string{
			"kernel.shm_rmid_forced": "1", "net.ipv4.ip_local_port_range": "40000 41000", "net.ipv4.tcp_syncookies": "0", "net.ipv4.ping_group_range": "0 1000",
			"net.ipv4.tcp_keepalive_time": "77", "kernel.msgmax": "9999", "net.core.somaxconn": "321", "fs.mqueue.msg_max": "5", "kernel.shmmax": "123456", "kernel.sem": "10 20 30 40",
		}
	})
	id := p.run("main", "exec sleep 1000", nil)
	k.exec(id, "sh", "-c", "cd /proc/sys; for f in kernel/shm_rmid_forced net/ipv4/ip_local_port_range net/ipv4/tcp_syncookies net/ipv4/ping_group_range net/ipv4/tcp_keepalive_time kernel/msgmax net/core/somaxconn kernel/shmmax kernel/sem; do echo $f $(cat $f); done")
	for _, name := range []string{"kernel.panic", "vm.swappiness", "net.no.such"} {
		c := k.podConfig("refused", func(c *cri.PodSandboxConfig) { c.Linux.Sysctls = map[string]string{name: "1"} })
		r, err := k.client.RunPodSandbox(k.ctx, &cri.RunPodSandboxRequest{Config: c, RuntimeHandler: k.handler})
		if err == nil {
			k.pods = append(k.pods, r.PodSandboxId)
		}
		k.note("%s refused: %v", name, err != nil)
	}
}

// criGroups: groups of the image, of the pod, and both users of a file.
func criGroups(k *kubelet) {
	dir := k.t.TempDir()
	k.check("chown", os.Chown(dir, 0, 4321))
	k.check("chmod", os.Chmod(dir, 0o770|os.ModeSetgid))
	p := k.runPod("groups", nil)
	id := p.run("main", "exec sleep 1000", func(c *cri.ContainerConfig) {
		s := c.Linux.SecurityContext
		s.RunAsUser, s.SupplementalGroups = &cri.Int64Value{Value: 1000}, []int64{4321, 99}
		c.Mounts = []*cri.Mount{{ContainerPath: "/vol", HostPath: dir}}
	})
	k.exec(id, "sh", "-c", "id -u; id -G; touch /vol/file && stat -c %u:%g /vol/file; id -un; echo $HOME")
	_, err := p.try("nobody", func(c *cri.ContainerConfig) { c.Linux.SecurityContext.RunAsUsername = "not-there" })
	k.note("unknown user: %v", err != nil)
	_, err = p.try("group", func(c *cri.ContainerConfig) { c.Linux.SecurityContext.RunAsGroup = &cri.Int64Value{Value: 5} })
	k.note("group without user: %v", err)
}
