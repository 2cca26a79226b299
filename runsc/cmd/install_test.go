package cmd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDockerConfig(t *testing.T) {
	for _, c := range []struct{ name, text, want, err string }{
		{"none", "", `"path": "/opt/runsc"`, ""},
		{"others kept", `{"debug": true, "runtimes": {"crun": {"path": "/usr/bin/crun"}}}`, `"crun"`, ""},
		{"name taken", `{"runtimes": {"runsc": {"path": "/other"}}}`, "", "another runtime"},
		{"no object", `[1]`, "", "not a JSON object"},
		{"null", `null`, "", "not a JSON object"},
		{"runtimes no object", `{"runtimes": []}`, "", "runtimes is not an object"},
	} {
		got, err := dockerInstall([]byte(c.text), "runsc", "/opt/runsc")
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v, want %q", c.name, err, c.err)
			}
			continue
		}
		if err != nil || !strings.Contains(string(got), c.want) || !strings.Contains(string(got), "/opt/runsc") {
			t.Errorf("%s: %v\n%s", c.name, err, got)
			continue
		}
		if again, err := dockerInstall(got, "runsc", "/opt/runsc"); err != nil || string(again) != string(got) {
			t.Errorf("%s, again: %v\n%s", c.name, err, again)
		}
		back, err := dockerUninstall(got, "runsc", "/opt/runsc")
		if err != nil || strings.Contains(string(back), "/opt/runsc") || strings.Contains(c.text, "crun") != strings.Contains(string(back), "crun") {
			t.Errorf("%s, back: %v\n%s", c.name, err, back)
		}
	}
	if _, err := dockerUninstall([]byte(`{"default-runtime": "runsc", "runtimes": {"runsc": {"path": "/opt/runsc"}}}`), "runsc", "/opt/runsc"); err == nil {
		t.Error("the default runtime was removed")
	}
}

func TestContainerdConfig(t *testing.T) {
	for _, c := range []struct{ name, text, want, err string }{
		{"none", "", "version = 2\n", ""},
		{"comments kept", "# mine\nversion = 2 # two\n[plugins.\"io.containerd.grpc.v1.cri\"]\n  sandbox_image = \"x\"", "# mine\n", ""},
		{"version 3", "version = 3\n", "io.containerd.cri.v1.runtime", ""},
		{"version 1", "root = \"/x\"\n", "", "version = 2 or 3"},
		{"there", "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runsc]\n", "", "by hand"},
		{"inline", "version = 2\n[plugins.x.containerd]\nruntimes = { a = 1 }\n", "", "by hand"},
	} {
		got, err := containerdInstall([]byte(c.text), "runsc", "")
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v, want %q", c.name, err, c.err)
			}
			continue
		}
		if err != nil || !strings.Contains(string(got), c.want) || strings.Count(string(got), "io.containerd.runsc.v1") != 1 {
			t.Errorf("%s: %v\n%s", c.name, err, got)
			continue
		}
		if again, err := containerdInstall(got, "runsc", ""); err != nil || string(again) != string(got) {
			t.Errorf("%s, again: %v\n%s", c.name, err, again)
		}
		if back, err := containerdUninstall(got, "runsc", ""); err != nil || c.text != "" && strings.TrimSuffix(string(back), "\n") != strings.TrimSuffix(c.text, "\n") {
			t.Errorf("%s, back: %v\n%s", c.name, err, back)
		}
	}
}

// TestInstall: files are replaced with a copy kept, and nothing is written when one of them
// is not understood.
func TestInstall(t *testing.T) {
	dir := t.TempDir()
	f := &installFlags{name: "runsc", docker: filepath.Join(dir, "daemon.json"), containerd: filepath.Join(dir, "config.toml")}
	for path, text := range map[string]string{f.docker: `{"debug": true}`, f.containerd: "root = \"/x\"\n"} {
		if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.run(dockerInstall, containerdInstall); err == nil {
		t.Error("a configuration of version 1 was taken")
	}
	if data, _ := os.ReadFile(f.docker); string(data) != `{"debug": true}` {
		t.Errorf("written although the other file is refused: %s", data)
	}
	if err := os.WriteFile(f.containerd, []byte("version = 2\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	f.dryRun = true
	if err := f.run(dockerInstall, containerdInstall); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(f.docker + backupSuffix); err == nil {
		t.Error("a dry run wrote")
	}
	f.dryRun = false
	if err := f.run(dockerInstall, containerdInstall); err != nil {
		t.Error(err)
	}
	if data, err := os.ReadFile(f.docker + backupSuffix); err != nil || string(data) != `{"debug": true}` {
		t.Errorf("copy: %q, %v", data, err)
	}
	if st, err := os.Stat(f.containerd); err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("mode: %v, %v", st.Mode(), err)
	}
	if err := f.run(dockerUninstall, containerdUninstall); err != nil {
		t.Error(err)
	}
	if data, _ := os.ReadFile(f.containerd); string(data) != "version = 2\n" {
		t.Errorf("after uninstall: %s", data)
	}
}
