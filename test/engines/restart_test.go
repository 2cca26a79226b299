package engines

import (
	"fmt"
	"strings"
	"testing"
)

// TestRestart: containers outlive containerd, whose next process finds them as they are, and
// learns of those that have ended meanwhile.
func TestRestart(t *testing.T) {
	startContainerd(t)
	ctr := func(t *testing.T, argv ...string) string {
		t.Helper()
		return must(t, append([]string{"ctr", "-a", containerdSocket, "-n", "engines"}, argv...)...)
	}
	runtimes := []string{"runc.v2", "runsc.v1"}
	for _, r := range runtimes {
		for _, c := range []struct{ id, script string }{
			{"stays", "echo first >/file; exec sleep 1000"}, {"ends", "trap 'exit 6' TERM; echo >/ready; while :; do sleep 0.1; done"},
		} {
			id := c.id + "-" + r
			ctr(t, "run", "-d", "--runtime", "io.containerd."+r, "--cgroup", cgroupParent+"/"+id, imageName, id, "sh", "-c", c.script)
		}
		ctr(t, "task", "exec", "--exec-id", "r", "ends-"+r, "sh", "-c", "until test -e /ready; do sleep 0.1; done")
	}
	_ = containerd.cmd.Process.Kill()
	<-containerd.done
	pids := must(t, "sh", "-c", "pgrep -c -f '[c]ontainerd-shim-run' || true")
	if strings.TrimSpace(pids) == "0" {
		t.Fatal("the shims ended with containerd")
	}
	launchContainerd(t)
	var seen [2]string
	for i, r := range runtimes {
		note := func(format string, args ...any) { seen[i] += fmt.Sprintf(format+"\n", args...) }
		status := func(id string) string {
			for line := range strings.Lines(ctr(t, "task", "ls")) {
				if f := strings.Fields(line); f[0] == id+"-"+r {
					return f[2]
				}
			}
			return "gone"
		}
		note("%s", status("stays"))
		note("%s", ctr(t, "task", "exec", "--exec-id", "e", "stays-"+r, "cat", "/file"))
		ctr(t, "task", "kill", "-s", "TERM", "ends-"+r)
		must(t, "sh", "-c", "until ctr -a "+containerdSocket+" -n engines task ls | grep -q '^ends-"+r+" .*STOPPED'; do sleep 0.1; done")
		note("%s", must(t, "sh", "-c", "ctr -a "+containerdSocket+" -n engines task delete ends-"+r+" 2>&1 | grep -o 'code [0-9]*'; true"))
		ctr(t, "task", "kill", "-s", "KILL", "stays-"+r)
		must(t, "sh", "-c", "until ctr -a "+containerdSocket+" -n engines task ls | grep -q '^stays-"+r+" .*STOPPED'; do sleep 0.1; done")
		note("%s", status("stays"))
		must(t, "sh", "-c", "ctr -a "+containerdSocket+" -n engines task delete stays-"+r+" 2>&1; true")
		ctr(t, "container", "delete", "stays-"+r, "ends-"+r)
	}
	if seen[0] != seen[1] || !strings.Contains(seen[0], "first") {
		t.Error(lineDiff(seen[0], seen[1]))
	}
}
