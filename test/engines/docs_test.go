package engines

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// blocks returns the examples of a kind in docs/engines.md.
func blocks(t *testing.T, kind string) []string {
	t.Helper()
	data, err := os.ReadFile("../../docs/engines.md")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range regexp.MustCompile("(?ms)^```"+kind+"\n(.*?)^```$").FindAllStringSubmatch(string(data), -1) {
		out = append(out, m[1])
	}
	if len(out) == 0 {
		t.Fatalf("no example of %s", kind)
	}
	return out
}

// TestDocs: the examples are what the programs take and write.
func TestDocs(t *testing.T) {
	dir := t.TempDir()
	self := runtimeBinary(t)
	docker, containerd := filepath.Join(dir, "daemon.json"), filepath.Join(dir, "config.toml")
	must(t, self, "install", "--docker", docker, "--containerd", containerd)
	installed := func(path string) string {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(data), self, "/usr/local/bin/runsc")
		return regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(text, "")
	}
	if got := installed(docker); got != blocks(t, "json")[0] || !json.Valid([]byte(got)) {
		t.Errorf("install writes for Docker\n%s", got)
	}
	toml := blocks(t, "toml")
	if got := installed(containerd); got != toml[1] {
		t.Errorf("install writes for containerd\n%s", got)
	}
	for _, i := range []int{1, 2} {
		file := filepath.Join(dir, "example.toml")
		write(t, file, toml[i])
		out := must(t, "containerd", "--config", file, "config", "dump")
		if !strings.Contains(out, `runtime_type = "io.containerd.runsc.v1"`) || i == 2 && !strings.Contains(out, `ConfigPath = "/etc/containerd/runsc.toml"`) {
			t.Errorf("containerd reads of example %d\n%s", i, out)
		}
	}
	podman(t)
	conf := filepath.Join(dir, "containers.conf")
	write(t, conf, strings.ReplaceAll(toml[0], "/usr/local/bin/runsc", self))
	cmd := exec.Command("podman", "info", "--format", "{{.Host.OCIRuntime.Name}} {{.Host.OCIRuntime.Path}} {{.Host.CgroupManager}}")
	cmd.Env = append(os.Environ(), "CONTAINERS_CONF="+conf)
	if out, err := cmd.Output(); err != nil || strings.TrimSpace(string(out)) != "runsc "+self+" cgroupfs" {
		t.Errorf("podman reads %q, %v", out, err)
	}
}

// TestConfigPath: the shim takes its options from the file, and refuses what it does not know.
func TestConfigPath(t *testing.T) {
	startContainerd(t)
	log := filepath.Join(work, "strace.log")
	toml := blocks(t, "toml")
	config := filepath.Join(work, "runsc.toml")
	write(t, config, strings.Replace(toml[3], `binary = "runsc"`, `binary = "`+runtimeBinary(t)+`"`, 1)+"strace-log = \""+log+"\"\n")
	argv := []string{"ctr", "-a", containerdSocket, "-n", "engines", "run", "--rm", "--runtime", "io.containerd.runsc.v1",
		"--runtime-config-path", config, "--cgroup", cgroupParent + "/config", imageName, "config", "echo", "traced"}
	if out := must(t, argv...); out != "traced\n" {
		t.Errorf("output: %q", out)
	}
	if data, err := os.ReadFile(log); err != nil || !strings.Contains(string(data), `write(1, "traced`) {
		t.Errorf("no trace: %v", err)
	}
	write(t, config, "binari = \"runsc\"\n")
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err == nil || !strings.Contains(string(out), "known are binary, root and [flags]") {
		t.Errorf("a misspelt option: %v %s", err, out)
	}
}
