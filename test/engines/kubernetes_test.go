package engines

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	nodes "k8s.io/api/node/v1"
	"sigs.k8s.io/yaml"
)

// TestKubernetesDocs: the objects are what Kubernetes takes, fit together, and the DaemonSet's
// script installs.
func TestKubernetesDocs(t *testing.T) {
	var class nodes.RuntimeClass
	var pod core.Pod
	var set apps.DaemonSet
	examples := blocks(t, "yaml")
	for i, o := range []any{&class, &pod, &set} {
		if err := yaml.UnmarshalStrict([]byte(examples[i]), o); err != nil {
			t.Fatalf("example %d: %v", i, err)
		}
	}
	if class.APIVersion+class.Kind != "node.k8s.io/v1RuntimeClass" || pod.APIVersion+pod.Kind != "v1Pod" || set.APIVersion+set.Kind != "apps/v1DaemonSet" {
		t.Error("kinds are not what they are decoded as")
	}
	if !strings.Contains(blocks(t, "toml")[1], ".runtimes."+class.Handler+"]") || pod.Spec.RuntimeClassName == nil || *pod.Spec.RuntimeClassName != class.Name {
		t.Errorf("names do not fit together: %q %q", class.Handler, class.Name)
	}
	if s := set.Spec; s.Selector == nil || s.Selector.MatchLabels["app"] == "" || s.Selector.MatchLabels["app"] != s.Template.Labels["app"] {
		t.Error("the DaemonSet does not select its own pods")
	}
	install := set.Spec.Template.Spec.InitContainers[0]
	if m := install.VolumeMounts[0]; m.Name != set.Spec.Template.Spec.Volumes[0].Name || m.MountPath != "/host" {
		t.Error("the host is not mounted at /host")
	}
	if install.SecurityContext == nil || install.SecurityContext.Privileged == nil || !*install.SecurityContext.Privileged {
		t.Error("chroot needs a privilege")
	}
	testInstallScript(t, install.Command)
}

// testInstallScript runs the script twice over a small host: containerd is restarted once.
func testInstallScript(t *testing.T, command []string) {
	host, bin := t.TempDir(), filepath.Dir(runtimeBinary(t))
	for _, dir := range []string{"bin", "proc", "dev", "usr/local/bin", "etc/containerd"} {
		if err := os.MkdirAll(filepath.Join(host, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	must(t, "cp", "/bin/busybox", host+"/bin/sh")
	write(t, host+"/bin/systemctl", "#!/bin/sh\necho $* >>/restarts\n")
	if err := os.Chmod(host+"/bin/systemctl", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("/proc", host+"/proc", "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Unmount(host+"/proc", unix.MNT_DETACH) }()
	script := strings.NewReplacer("/opt/lazaret", bin, "/host", host).Replace(command[2])
	for range 2 {
		must(t, command[0], command[1], script)
	}
	for file, want := range map[string]string{"restarts": "restart containerd\n", "etc/containerd/config.toml": "runtime_type = \"io.containerd.runsc.v1\"\n"} {
		data, err := os.ReadFile(filepath.Join(host, file))
		if err != nil || strings.Count(string(data), want) != 1 {
			t.Errorf("%s: %q, %v, want %q once", file, data, err, want)
		}
	}
	must(t, "chroot", host, "/usr/local/bin/containerd-shim-runsc-v1", "-v")
}
