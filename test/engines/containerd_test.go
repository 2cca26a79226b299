package engines

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// containerdSocket is where the tests' containerd serves.
const containerdSocket = work + "/containerd.sock"

// ctrPrelude drives containerd with ctr.
const ctrPrelude = `ctr="ctr -a ` + containerdSocket + ` -n engines"
run() { $ctr run --runtime $RUNTIME --cgroup $PARENT/$N "$@"; }`

var (
	containerdOnce sync.Once
	containerd     *daemon
)

// startContainerd starts containerd with its CRI plugin, which finds our shim beside runsc,
// and loads the image into the namespaces of ctr's tests and of CRI's.
func startContainerd(t *testing.T) *daemon {
	t.Helper()
	containerdOnce.Do(func() {
		t.Helper()
		dir := filepath.Join(work, "containerd")
		write(t, dir+"/config.toml", fmt.Sprintf(`version = 2
root = "%[1]s/root"
state = "%[1]s/state"
[grpc]
address = %[2]q
[plugins."io.containerd.internal.v1.opt"]
path = "%[1]s/opt"
[plugins."io.containerd.grpc.v1.cri"]
restrict_oom_score_adj = true
sandbox_image = %[3]q
disable_apparmor = true
[plugins."io.containerd.grpc.v1.cri".cni]
conf_dir = "%[1]s/cni"
bin_dir = "/usr/lib/cni"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runsc]
runtime_type = "io.containerd.runsc.v1"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
`, dir, containerdSocket, imageName))
		write(t, dir+"/cni/10-bridge.conflist", cniConfig)
		launchContainerd(t)
		for _, ns := range []string{"engines", "k8s.io"} {
			must(t, "ctr", "-a", containerdSocket, "-n", ns, "images", "import", imageArchive(t))
		}
	})
	if containerd == nil {
		t.Fatal("containerd does not serve")
	}
	return containerd
}

func launchContainerd(t *testing.T) {
	t.Helper()
	t.Setenv("PATH", filepath.Dir(runtimeBinary(t))+":"+os.Getenv("PATH"))
	containerd = startDaemon(t, func() error {
		return exec.Command("ctr", "-a", containerdSocket, "version").Run()
	}, "containerd", "--config", filepath.Join(work, "containerd", "config.toml"))
}

// cniConfig is a bridge, as on a node of Kubernetes.
const cniConfig = `{
  "cniVersion": "0.4.0", "name": "pods",
  "plugins": [
    {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false,
     "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.88.0.0/16"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
`

// TestCtr runs the scripts of testdata/ctr.txt.
func TestCtr(t *testing.T) {
	startContainerd(t)
	for _, c := range readCases(t, "testdata/ctr.txt") {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var want, got string
			var wg sync.WaitGroup
			wg.Go(func() { want = runCtr(t, "io.containerd.runc.v2", &c) })
			wg.Go(func() { got = runCtr(t, "io.containerd.runsc.v1", &c) })
			wg.Wait()
			if strings.TrimSpace(want) == "" {
				t.Error("runc shows nothing: the case tests nothing")
			}
			if want != got {
				t.Error(lineDiff(want, got))
				if os.Getenv("ENGINES_LOG") != "" {
					t.Log(containerd.tail())
				}
			}
		})
	}
}

func runCtr(t *testing.T, runtime string, c *engineCase) string {
	name := c.name + "-" + strings.Split(runtime, ".")[2]
	ctx, cancel := context.WithTimeout(context.Background(), caseLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", ctrPrelude+"\n"+c.script+"\n:")
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "RUNTIME="+runtime, "N="+name, "IMG="+imageName, "T="+cmd.Dir, "PARENT="+cgroupParent, "STATE="+work+"/containerd/state")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if err := cmd.Run(); err != nil {
		fmt.Fprintf(&out, "script: %v %v\n", err, ctx.Err())
	}
	clean := exec.Command("sh", "-c", ctrPrelude+"\n$ctr task kill -s KILL $N; $ctr task delete -f $N; $ctr container delete $N")
	clean.Env = cmd.Env
	_ = clean.Run() // most cases remove it themselves
	return normalize(out.String(), name, runtime)
}
