package engines

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// podmanPrelude drives Podman with private folders.
const podmanPrelude = `E="podman --tmpdir ` + work + `/podman/tmp --runtime $R"
run() { $E run --name $N --network ${NET:-none} --cgroup-parent $PARENT "$@"; }`

func TestPodman(t *testing.T) {
	podman(t)
	runCases(t, "podman", podmanPrelude)
}

// podman configures Podman, for which no daemon runs, and loads the image.
func podman(t *testing.T) {
	t.Helper()
	dir := filepath.Join(work, "podman")
	write(t, filepath.Join(dir, "containers.conf"), fmt.Sprintf(`[containers]
# Without CAP_SYS_RESOURCE the defaults cannot be set.
default_ulimits = ["nofile=16384:16384", "nproc=32768:32768"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
[engine.runtimes]
runc = ["/usr/sbin/runc"]
runsc = [%q]
[network]
network_config_dir = "%s/net"
`, runtimeBinary(t), dir))
	write(t, filepath.Join(dir, "storage.conf"), fmt.Sprintf("[storage]\ndriver = \"overlay\"\ngraphroot = \"%s/graph\"\nrunroot = \"%s/run\"\n", dir, dir))
	write(t, "/etc/containers/policy.json", `{"default": [{"type": "insecureAcceptAnything"}]}`)
	for name, file := range map[string]string{"CONTAINERS_CONF": "containers.conf", "CONTAINERS_STORAGE_CONF": "storage.conf"} {
		if err := os.Setenv(name, filepath.Join(dir, file)); err != nil {
			t.Fatal(err)
		}
	}
	must(t, "podman", "--tmpdir", dir+"/tmp", "load", "-q", "-i", imageArchive(t))
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
