package engines

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// kubelet plays Kubernetes' node agent against containerd's CRI plugin, with one runtime
// handler. What it notes is compared.
type kubelet struct {
	t       *testing.T
	ctx     context.Context
	client  cri.RuntimeServiceClient
	handler string
	notes   strings.Builder
	pods    []string
}

func newKubelet(t *testing.T, handler string) *kubelet {
	t.Helper()
	conn, err := grpc.NewClient("unix://"+containerdSocket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), caseLimit)
	k := &kubelet{t: t, ctx: ctx, client: cri.NewRuntimeServiceClient(conn), handler: handler}
	t.Cleanup(func() {
		cancel()
		ctx, cancel := context.WithTimeout(context.Background(), caseLimit)
		defer cancel()
		for _, id := range k.pods {
			_, _ = k.client.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: id})
			if _, err := k.client.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: id}); err != nil {
				t.Errorf("%s: remove a pod: %v", handler, err)
			}
		}
		conn.Close()
	})
	return k
}

// note writes a line that must be the same with every runtime.
func (k *kubelet) note(format string, args ...any) { fmt.Fprintf(&k.notes, format+"\n", args...) }

// check ends the scenario on an error.
func (k *kubelet) check(what string, err error) {
	k.t.Helper()
	if err != nil {
		k.t.Fatalf("%s: %s: %v", k.handler, what, err)
	}
}

// pod is a running sandbox.
type pod struct {
	k      *kubelet
	id     string
	config *cri.PodSandboxConfig
}

// podConfig is the configuration of a sandbox; edit changes it.
func (k *kubelet) podConfig(name string, edit func(*cri.PodSandboxConfig)) *cri.PodSandboxConfig {
	k.t.Helper()
	c := &cri.PodSandboxConfig{
		Metadata: &cri.PodSandboxMetadata{Name: name, Uid: name + "-" + k.handler, Namespace: "default"},
		Hostname: name, LogDirectory: filepath.Join(work, "logs", name+"-"+k.handler),
		DnsConfig: &cri.DNSConfig{Servers: []string{"10.9.8.7"}, Searches: []string{"example.org"}},
		Labels:    map[string]string{"app": name},
		Linux: &cri.LinuxPodSandboxConfig{
			CgroupParent:    cgroupParent + "/" + name + "-" + k.handler,
			SecurityContext: &cri.LinuxSandboxSecurityContext{NamespaceOptions: &cri.NamespaceOption{Pid: cri.NamespaceMode_CONTAINER}},
		},
	}
	if edit != nil {
		edit(c)
	}
	if err := os.MkdirAll(c.LogDirectory, 0o755); err != nil {
		k.t.Fatal(err)
	}
	return c
}

// runPod runs a sandbox.
func (k *kubelet) runPod(name string, edit func(*cri.PodSandboxConfig)) *pod {
	k.t.Helper()
	c := k.podConfig(name, edit)
	r, err := k.client.RunPodSandbox(k.ctx, &cri.RunPodSandboxRequest{Config: c, RuntimeHandler: k.handler})
	k.check("run pod "+name, err)
	k.pods = append(k.pods, r.PodSandboxId)
	return &pod{k, r.PodSandboxId, c}
}

// ip is the pod's address.
func (p *pod) ip() string {
	r, err := p.k.client.PodSandboxStatus(p.k.ctx, &cri.PodSandboxStatusRequest{PodSandboxId: p.id})
	p.k.check("pod status", err)
	return r.Status.GetNetwork().GetIp()
}

// create creates a container that runs a script.
func (p *pod) create(name, script string, edit func(*cri.ContainerConfig)) string {
	p.k.t.Helper()
	r, err := p.k.client.CreateContainer(p.k.ctx, p.request(name, script, edit))
	p.k.check("create container "+name, err)
	return r.ContainerId
}

// try creates and starts a container that sleeps, if that is possible.
func (p *pod) try(name string, edit func(*cri.ContainerConfig)) (string, error) {
	p.k.t.Helper()
	r, err := p.k.client.CreateContainer(p.k.ctx, p.request(name, "exec sleep 1000", edit))
	if err != nil {
		return "", err
	}
	_, err = p.k.client.StartContainer(p.k.ctx, &cri.StartContainerRequest{ContainerId: r.ContainerId})
	return r.ContainerId, err
}

// request is what creates a container that runs a script.
func (p *pod) request(name, script string, edit func(*cri.ContainerConfig)) *cri.CreateContainerRequest {
	c := &cri.ContainerConfig{
		Metadata: &cri.ContainerMetadata{Name: name}, Image: &cri.ImageSpec{Image: imageName},
		Command: []string{"sh", "-c", script}, LogPath: name + ".log",
		Linux: &cri.LinuxContainerConfig{
			Resources:       &cri.LinuxContainerResources{},
			SecurityContext: &cri.LinuxContainerSecurityContext{NamespaceOptions: p.config.Linux.SecurityContext.NamespaceOptions},
		},
	}
	if edit != nil {
		edit(c)
	}
	return &cri.CreateContainerRequest{PodSandboxId: p.id, Config: c, SandboxConfig: p.config}
}

// run creates and starts a container.
func (p *pod) run(name, script string, edit func(*cri.ContainerConfig)) string {
	p.k.t.Helper()
	id := p.create(name, script, edit)
	_, err := p.k.client.StartContainer(p.k.ctx, &cri.StartContainerRequest{ContainerId: id})
	p.k.check("start container "+name, err)
	return id
}

// exec notes what a command in a container shows.
func (k *kubelet) exec(id string, argv ...string) string {
	k.t.Helper()
	r, err := k.client.ExecSync(k.ctx, &cri.ExecSyncRequest{ContainerId: id, Cmd: argv, Timeout: 30})
	k.check(fmt.Sprintf("exec %q", argv), err)
	out := fmt.Sprintf("%q: %d\n%s%s", argv, r.ExitCode, r.Stdout, r.Stderr)
	k.note("%s", strings.TrimRight(out, "\n"))
	return string(r.Stdout)
}

// wait notes how a container ended.
func (k *kubelet) wait(id string) {
	k.t.Helper()
	for {
		r, err := k.client.ContainerStatus(k.ctx, &cri.ContainerStatusRequest{ContainerId: id})
		k.check("container status", err)
		if r.Status.State == cri.ContainerState_CONTAINER_EXITED {
			k.note("%s ended: %d %s", r.Status.Metadata.Name, r.Status.ExitCode, r.Status.Reason)
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// log returns a container's log without the times.
func (p *pod) log(name string) string {
	data, err := os.ReadFile(filepath.Join(p.config.LogDirectory, name+".log"))
	p.k.check("log", err)
	var out strings.Builder
	for line := range strings.Lines(string(data)) {
		_, rest, _ := strings.Cut(line, " ")
		out.WriteString(rest)
	}
	return out.String()
}

// until waits for something that comes in time.
func (k *kubelet) until(what string, ok func() bool) {
	k.t.Helper()
	for !ok() {
		if k.ctx.Err() != nil {
			k.t.Fatalf("%s: %s did not come", k.handler, what)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
