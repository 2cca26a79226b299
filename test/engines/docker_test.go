package engines

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// dockerPrelude drives Docker's daemon of the tests.
const dockerPrelude = `E="docker -H unix://` + work + `/docker.sock"
run() { $E run --runtime $R --name $N --network ${NET:-none} "$@"; }`

var dockerOnce sync.Once

// startDocker starts Docker's daemon with its own containerd.
func startDocker(t *testing.T) {
	t.Helper()
	dockerOnce.Do(func() { launchDocker(t) })
}

func launchDocker(t *testing.T) {
	t.Helper()
	dockerd(t, "docker", nil)
}

// dockerd starts a daemon with folders and a socket called name, and more than the usual
// configuration.
func dockerd(t *testing.T, name string, more map[string]any) {
	t.Helper()
	dir := filepath.Join(work, name)
	host := "unix://" + dir + ".sock"
	settings := map[string]any{
		"data-root": dir + "/data", "exec-root": dir + "/exec", "pidfile": dir + "/pid", "hosts": []string{host},
		"runtimes":      map[string]any{"runsc": map[string]string{"path": runtimeBinary(t)}},
		"cgroup-parent": cgroupParent, "exec-opts": []string{"native.cgroupdriver=cgroupfs"}, "storage-driver": "overlay2",
	}
	maps.Copy(settings, more)
	config, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/daemon.json", string(config))
	startDaemon(t, func() error {
		return exec.Command("docker", "-H", host, "version").Run()
	}, "dockerd", "--config-file", dir+"/daemon.json")
	must(t, "docker", "-H", host, "load", "-q", "-i", imageArchive(t))
}

func TestDocker(t *testing.T) {
	startDocker(t)
	runCases(t, "docker", dockerPrelude)
}

// TestDockerBuild: a runtime that is the daemon's default runs the steps of docker build.
func TestDockerBuild(t *testing.T) {
	var seen [2]string
	for i, r := range []string{"runc", "runsc"} {
		name := "build-" + r
		dockerd(t, name, map[string]any{"default-runtime": r, "bridge": "none"})
		dir := t.TempDir()
		write(t, dir+"/Dockerfile", "FROM "+imageName+"\nRUN echo built >/built && id -u\nUSER bob\nWORKDIR /home/bob\nRUN id -un\nCMD [\"cat\", \"/built\"]\n")
		// Its own builder: BuildKit has a runc of its own.
		cmd := exec.Command("docker", "-H", "unix://"+work+"/"+name+".sock", "build", "-q", "--network", "none", "-t", "built", dir)
		cmd.Env = append(os.Environ(), "DOCKER_BUILDKIT=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", r, err, out)
		}
		seen[i] = must(t, "docker", "-H", "unix://"+work+"/"+name+".sock", "run", "--rm", "--network", "none", "built")
	}
	if seen[0] != seen[1] || seen[0] != "built\n" {
		t.Error(lineDiff(seen[0], seen[1]))
	}
}
