package engines

import (
	"os"
	"strings"
	"testing"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// TestCRIPods: which namespaces containers share, with each other and with the host.
func TestCRIPods(t *testing.T) {
	compareCRI(t, []criCase{{"hostnet", criHostNetwork}, {"hostpid", criHostPID}, {"hostipc", criHostIPC}, {"own", criOwn}})
}

func node(c *cri.PodSandboxConfig) *cri.NamespaceOption {
	return c.Linux.SecurityContext.NamespaceOptions
}

// criHostNetwork: the pod's ports, interfaces and name are the host's.
func criHostNetwork(k *kubelet) {
	port := map[string]string{"runc": "18081", "runsc": "18082"}[k.handler]
	url := "http://127.0.0.1:" + port + "/x"
	p := k.runPod("hostnet", func(c *cri.PodSandboxConfig) { node(c).Network, c.Hostname = cri.NamespaceMode_NODE, "" })
	www := p.run("www", "mkdir /tmp/www; echo served >/tmp/www/x; exec httpd -f -p 127.0.0.1:"+port+" -h /tmp/www", nil)
	k.sh(www, "until wget -q -O /dev/null "+url+"; do sleep 0.1; done 2>/dev/null")
	k.note("host: %s", must(k.t, "curl", "-s", "-m", "10", url))
	k.note("pod: %s", k.sh(p.run("other", "exec sleep 1000", nil), "wget -q -O - "+url))
	host, err := os.Hostname()
	k.check("hostname", err)
	k.note("inside: %s", strings.Replace(k.sh(www, "hostname; ip -o addr show dev lo | grep -c 127.0.0.1"), host, "HOST", 1))
}

// criHostPID: the containers see each other; what runsc shows of the host is another matter.
func criHostPID(k *kubelet) {
	p := k.runPod("hostpid", func(c *cri.PodSandboxConfig) { node(c).Pid = cri.NamespaceMode_NODE })
	mark := map[string]string{"runc": "7777", "runsc": "8888"}[k.handler]
	p.run("a", "exec sleep "+mark, nil)
	b := p.run("b", "exec sleep 1000", nil)
	k.note("b: %s", k.sh(b, "ps -o args | grep -c '[s]leep "+mark+"'; kill $(ps -o pid,args | grep '[s]leep "+mark+"' | awk '{ print $1 }'); echo $?"))
}

// criHostIPC: the containers share the host's /dev/shm and one ipc namespace.
func criHostIPC(k *kubelet) {
	p := k.runPod("hostipc", func(c *cri.PodSandboxConfig) { node(c).Ipc = cri.NamespaceMode_NODE })
	file := "/dev/shm/engines-" + k.handler
	a := p.run("a", "echo from a >"+file+"; exec sleep 1000", nil)
	b := p.run("b", "exec sleep 1000", nil)
	k.sh(a, "until test -s "+file+"; do sleep 0.1; done")
	k.note("b: %s", k.sh(b, "cat "+file))
	data, err := os.ReadFile(file)
	k.note("host: %q %v", data, err)
	_ = os.Remove(file)
	k.note("one namespace: %v", k.link(a, "ipc") == k.link(b, "ipc"))
}

// sh returns what a script in a container shows, which is not the same everywhere.
func (k *kubelet) sh(id, script string) string {
	k.t.Helper()
	r, err := k.client.ExecSync(k.ctx, &cri.ExecSyncRequest{ContainerId: id, Cmd: []string{"sh", "-c", script}, Timeout: 60})
	k.check(script, err)
	return string(r.Stdout) + string(r.Stderr)
}

// link returns a namespace's name as a container sees it.
func (k *kubelet) link(id, ns string) string { return k.sh(id, "readlink /proc/self/ns/"+ns) }

// criOwn: which namespaces two containers of an ordinary pod share.
func criOwn(k *kubelet) {
	p := k.runPod("own", nil)
	a := p.run("a", "exec sleep 1000", nil)
	b := p.run("b", "exec sleep 1000", nil)
	for _, ns := range []string{"net", "ipc", "uts", "pid", "mnt", "user"} {
		k.note("%s shared: %v", ns, k.link(a, ns) == k.link(b, ns))
	}
	k.exec(a, "sh", "-c", "ps -o args | head -2 | tail -1; cat /proc/sys/kernel/hostname")
	k.exec(a, "sh", "-c", "kill -9 1; echo alive")
	// A target's processes, as kubectl debug --target has them.
	target := p.run("target", "exec sleep 1000", func(c *cri.ContainerConfig) {
		c.Linux.SecurityContext.NamespaceOptions = &cri.NamespaceOption{Pid: cri.NamespaceMode_TARGET, TargetId: a}
	})
	k.note("target's pids: %v", k.link(target, "pid") == k.link(a, "pid"))
}
