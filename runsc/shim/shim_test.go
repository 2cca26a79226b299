package shim

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/containerd/containerd/api/types"
	runtimeoptions "github.com/containerd/containerd/api/types/runtimeoptions/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"lazaret/runsc/cgroup"
	"lazaret/runsc/control"
)

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		text string
		want options
		err  string
	}{
		{"", options{Binary: "runsc", Root: "/run/containerd/runsc"}, ""},
		{"binary = \"/opt/runsc\"\n[flags]\nplatform = \"ptrace\"\n", options{"/opt/runsc", "/run/containerd/runsc", map[string]string{"platform": "ptrace"}}, ""},
		{"binari = \"x\"\n", options{}, "known are binary, root and [flags]"},
		{"[flags]\nroot = \"/x\"\n", options{}, "flags.root"},
		{"binary = 3\n", options{}, "toml"},
	} {
		path := filepath.Join(t.TempDir(), "config.toml")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		raw, err := proto.Marshal(&runtimeoptions.Options{ConfigPath: path})
		if err != nil {
			t.Fatal(err)
		}
		// 1.6's name of the type.
		got, err := readOptions(&anypb.Any{TypeUrl: "cri.runtimeoptions.v1.Options", Value: raw})
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%q: %v, want %q", c.text, err, c.err)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(*got, c.want) {
			t.Errorf("%q: %+v, %v", c.text, got, err)
			continue
		}
		bundle := t.TempDir()
		if err := got.save(bundle); err != nil {
			t.Fatal(err)
		}
		if saved, err := savedOptions(bundle); err != nil || saved.Binary != c.want.Binary || saved.Root != c.want.Root || len(saved.Flags) != len(c.want.Flags) {
			t.Errorf("%q: saved %+v, %v", c.text, saved, err)
		}
	}
}

func TestShorten(t *testing.T) {
	dir := "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/"
	var layers []string
	for i := range 80 {
		layers = append(layers, dir+strconv.Itoa(i+10)+"/fs")
	}
	base, opts := shorten("overlay", []string{"workdir=/w", "upperdir=/u", "lowerdir=" + strings.Join(layers, ":")})
	if base+"/" != dir || !strings.HasPrefix(opts[2], "lowerdir=10/fs:11/fs:") || opts[0] != "workdir=/w" {
		t.Errorf("base %q, %.80q", base, opts)
	}
	if base, opts := shorten("overlay", []string{"lowerdir=/a:/b"}); base != "" || opts[0] != "lowerdir=/a:/b" {
		t.Errorf("short options changed: %q %q", base, opts)
	}
}

func TestGroup(t *testing.T) {
	for text, want := range map[string]string{
		`{}`: "own", `{"annotations": {"io.kubernetes.cri.sandbox-id": "pod"}}`: "pod", `{"annotations": {"x": "y"}}`: "own",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := groupOf(dir, "own"); err != nil || got != want {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
}

// TestReaper: exits arrive, also of commands that end before anybody waits.
func TestReaper(t *testing.T) {
	r, err := newReaper()
	if err != nil {
		t.Fatal(err)
	}
	for script, want := range map[string]int{"exit 3": 3, "kill -9 $$": 137, "exit 0": 0} {
		if e, err := r.run(exec.Command("sh", "-c", script)); err != nil || e.status != want {
			t.Errorf("%s: %d, %v", script, e.status, err)
		}
	}
	// A grandchild that its parent left is waited for by its pid.
	file := filepath.Join(t.TempDir(), "pid")
	if _, err := r.run(exec.Command("sh", "-c", "(sh -c 'exit 7') & echo $! >"+file)); err != nil {
		t.Fatal(err)
	}
	pid, err := readPID(file)
	if err != nil {
		t.Fatal(err)
	}
	if e := <-r.wait(pid); e.status != 7 {
		t.Errorf("an orphan's status: %d", e.status)
	}
}

// TestStats: a container of a pod is shown as the Sentry counts it, in both versions' terms.
func TestStats(t *testing.T) {
	h := &cgroup.Stats{CPUTotalNS: 1, MemoryUsage: 2, MemoryLimit: 1 << 62, PidsCurrent: 3}
	replace(h, &control.Stats{MemoryUsage: 100 << 20, MemoryMax: 110 << 20, MemoryLimit: 200 << 20, FileCache: 30 << 20, CPUUserNS: 4e9, CPUSystemNS: 1e9}, 3e9)
	one, two := metricsV1(h, &control.Stats{}), metricsV2(h)
	for name, c := range map[string]struct{ got, want uint64 }{
		"v1 usage": {one.Memory.Usage.Usage, 100 << 20}, "v1 limit": {one.Memory.Usage.Limit, 200 << 20}, "v1 rss": {one.Memory.TotalRSS, 70 << 20},
		"v1 file": {one.Memory.TotalInactiveFile, 30 << 20}, "v1 cpu": {one.CPU.Usage.Total, 3e9}, "v1 user": {one.CPU.Usage.User, 4e9},
		"v2 usage": {two.Memory.Usage, 100 << 20}, "v2 limit": {two.Memory.UsageLimit, 200 << 20}, "v2 anon": {two.Memory.Anon, 70 << 20},
		"v2 file": {two.Memory.InactiveFile, 30 << 20}, "v2 cpu": {two.CPU.UsageUsec, 3e6}, "v2 pids": {two.Pids.Current, 3},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d, want %d", name, c.got, c.want)
		}
	}
}

// TestInfo: what the configured runtime says of itself is passed on.
func TestInfo(t *testing.T) {
	dir := t.TempDir()
	bin, config := filepath.Join(dir, "runsc"), filepath.Join(dir, "config.toml")
	for path, text := range map[string]string{
		bin: "#!/bin/sh\ntest $1 = features && echo '{ \"mountOptions\": [\"rro\"] }'\n", config: "binary = \"" + bin + "\"\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := proto.Marshal(&runtimeoptions.Options{ConfigPath: config})
	if err != nil {
		t.Fatal(err)
	}
	in, err := proto.Marshal(&anypb.Any{TypeUrl: "runtimeoptions.v1.Options", Value: raw})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := info(bytes.NewReader(in), &out); err != nil {
		t.Fatal(err)
	}
	var got types.RuntimeInfo
	if err := proto.Unmarshal(out.Bytes(), &got); err != nil || string(got.Features.Value) != `{"mountOptions":["rro"]}` || got.Features.TypeUrl != featuresURL {
		t.Errorf("%v, %v", &got, err)
	}
}

// TestMappedRoot: what only mounts of containerd's own can do is refused by name.
func TestMappedRoot(t *testing.T) {
	err := mountAll([]*types.Mount{{Type: "overlay", Source: "overlay", Options: []string{"lowerdir=/a", "uidmap=0:100000:65536"}}}, t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "hostUsers: true") {
		t.Error(err)
	}
}
