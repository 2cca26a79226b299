package engines

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// dockerPrelude drives Docker's daemon of the tests.
const dockerPrelude = `E="docker -H unix://` + work + `/docker.sock"
run() { $E run --runtime $R --name $N --network none "$@"; }`

var dockerOnce sync.Once

// startDocker starts Docker's daemon with its own containerd.
func startDocker(t *testing.T) {
	t.Helper()
	dockerOnce.Do(func() { launchDocker(t) })
}

func launchDocker(t *testing.T) {
	t.Helper()
	dir := filepath.Join(work, "docker")
	config, err := json.Marshal(map[string]any{
		"data-root": dir + "/data", "exec-root": dir + "/exec", "pidfile": dir + "/pid", "hosts": []string{"unix://" + work + "/docker.sock"},
		"runtimes":      map[string]any{"runsc": map[string]string{"path": runtimeBinary(t)}},
		"cgroup-parent": cgroupParent, "exec-opts": []string{"native.cgroupdriver=cgroupfs"}, "storage-driver": "overlay2",
	})
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/daemon.json", string(config))
	startDaemon(t, func() error {
		return exec.Command("docker", "-H", "unix://"+work+"/docker.sock", "version").Run()
	}, "dockerd", "--config-file", dir+"/daemon.json")
	must(t, "docker", "-H", "unix://"+work+"/docker.sock", "load", "-q", "-i", imageArchive(t))
}

func TestDocker(t *testing.T) {
	startDocker(t)
	runCases(t, "docker", dockerPrelude)
}
