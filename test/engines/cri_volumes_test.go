package engines

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// TestCRIVolumes: what a container sees of the host's mounts.
func TestCRIVolumes(t *testing.T) {
	compareCRI(t, []criCase{{"propagation", criPropagation}, {"readonly", criReadonly}, {"volumes", criVolumes}})
}

// sharedMount makes a folder of the host's that is a shared mount, as everything is on a node.
func (k *kubelet) sharedMount() string {
	dir := k.t.TempDir()
	k.check("mount", unix.Mount("volume", dir, "tmpfs", 0, "mode=755"))
	k.t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	k.check("share", unix.Mount("", dir, "", unix.MS_SHARED, ""))
	return dir
}

// mountBeneath mounts a tmpfs in a folder, with a file in it.
func (k *kubelet) mountBeneath(dir, name string) {
	dir = filepath.Join(dir, name)
	k.check("make "+dir, os.MkdirAll(dir, 0o755))
	k.check("mount "+dir, unix.Mount(name, dir, "tmpfs", 0, "mode=755"))
	k.t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	write(k.t, filepath.Join(dir, "file"), "in "+name+"\n")
}

// criPropagation: mounts that the host makes later show where the pod asks for it, and go.
func criPropagation(k *kubelet) {
	dir := k.sharedMount()
	k.mountBeneath(dir, "before")
	p := k.runPod("propagation", func(c *cri.PodSandboxConfig) { c.Linux.SecurityContext.Privileged = true })
	ids := map[string]string{}
	for name, mode := range map[string]cri.MountPropagation{"private": cri.MountPropagation_PROPAGATION_PRIVATE, "slave": cri.MountPropagation_PROPAGATION_HOST_TO_CONTAINER} {
		ids[name] = p.run(name, "exec sleep 1000", func(c *cri.ContainerConfig) {
			c.Mounts = []*cri.Mount{{ContainerPath: "/vol", HostPath: dir, Propagation: mode}}
		})
	}
	k.exec(ids["private"], "ls", "/vol", "/vol/before")
	k.exec(ids["slave"], "ls", "/vol", "/vol/before")
	k.mountBeneath(dir, "later")
	k.exec(ids["private"], "sh", "-c", "ls /vol; ls /vol/later")
	k.exec(ids["slave"], "sh", "-c", "ls /vol; cat /vol/later/file; echo more >/vol/later/more")
	data, err := os.ReadFile(filepath.Join(dir, "later", "more"))
	k.note("written through: %q %v", data, err)
	// Lazily: runsc's Gofer holds files there that were looked at.
	k.check("unmount", unix.Unmount(filepath.Join(dir, "later"), unix.MNT_DETACH))
	k.exec(ids["slave"], "ls", "/vol/later")
	k.check("unmount", unix.Unmount(filepath.Join(dir, "before"), unix.MNT_DETACH))
	k.exec(ids["slave"], "ls", "/vol/before")
	k.exec(ids["private"], "ls", "/vol/before")
	_, err = p.try("shared", func(c *cri.ContainerConfig) {
		c.Linux.SecurityContext.Privileged = true
		c.Mounts = []*cri.Mount{{ContainerPath: "/vol", HostPath: dir, Propagation: cri.MountPropagation_PROPAGATION_BIDIRECTIONAL}}
	})
	if refused := err != nil && strings.Contains(err.Error(), "mounts that a sandbox makes cannot appear on the host"); refused != (k.handler == "runsc") {
		k.t.Errorf("%s: Bidirectional: %v", k.handler, err)
	}
}

// criReadonly: a read-only volume stays so. With runsc what is mounted beneath it is read-only
// too, with this runc it is not: nothing is noted of that.
func criReadonly(k *kubelet) {
	dir := k.sharedMount()
	k.mountBeneath(dir, "below")
	p := k.runPod("readonly", nil)
	id := p.run("main", "exec sleep 1000", func(c *cri.ContainerConfig) {
		c.Mounts = []*cri.Mount{{ContainerPath: "/vol", HostPath: dir, Readonly: true}}
	})
	k.exec(id, "sh", "-c", "touch /vol/x 2>&1 | sed 's/.*: //'; cat /vol/below/file")
	k.exec(id, "sh", "-c", "mount -o remount,rw /vol 2>/dev/null || echo stays read-only")
}

// criVolumes: files as volumes, what the host changes, links and sockets, devices.
func criVolumes(k *kubelet) {
	dir := k.t.TempDir()
	write(k.t, filepath.Join(dir, "config"), "one\n")
	write(k.t, filepath.Join(dir, "v1", "data"), "first\n")
	k.check("link", os.Symlink("v1", filepath.Join(dir, "current")))
	p := k.runPod("volumes", nil)
	id := p.run("main", "exec sleep 1000", func(c *cri.ContainerConfig) {
		c.Mounts = []*cri.Mount{
			{ContainerPath: "/etc/config", HostPath: filepath.Join(dir, "config"), Readonly: true},
			{ContainerPath: "/vol", HostPath: dir},
			{ContainerPath: "/new/deep/er", HostPath: filepath.Join(dir, "made")},
		}
		c.Devices = []*cri.Device{{ContainerPath: "/dev/nothing", HostPath: "/dev/null", Permissions: "rw"}}
	})
	k.exec(id, "sh", "-c", "cat /etc/config /vol/current/data; ls -A /new/deep/er | wc -l; echo x >/dev/nothing; stat -c '%t:%T' /dev/nothing")
	// As the kubelet changes a ConfigMap: a new folder, and the link renamed over the old one.
	write(k.t, filepath.Join(dir, "v2", "data"), "second\n")
	k.check("link", os.Symlink("v2", filepath.Join(dir, "next")))
	k.check("rename", os.Rename(filepath.Join(dir, "next"), filepath.Join(dir, "current")))
	k.exec(id, "sh", "-c", "until grep -q second /vol/current/data; do sleep 0.1; done; readlink /vol/current; cat /vol/current/data")
	k.exec(id, "sh", "-c", "echo inside >/vol/inside; chmod 600 /vol/inside; chown 5:6 /vol/inside; mkfifo /vol/pipe; ln /vol/inside /vol/hard")
	k.note("host: %s", must(k.t, "stat", "-c", "%a %u:%g %h %F", filepath.Join(dir, "inside"), filepath.Join(dir, "pipe")))
}
