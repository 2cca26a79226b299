package shim

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/containerd/containerd/api/types"
	"golang.org/x/sys/unix"
)

// mountOptions are those that are flags of mount(2).
var mountOptions = map[string]uintptr{
	"ro": unix.MS_RDONLY, "bind": unix.MS_BIND, "rbind": unix.MS_BIND | unix.MS_REC, "nosuid": unix.MS_NOSUID,
	"nodev": unix.MS_NODEV, "noexec": unix.MS_NOEXEC, "sync": unix.MS_SYNCHRONOUS, "noatime": unix.MS_NOATIME,
	"nodiratime": unix.MS_NODIRATIME, "relatime": unix.MS_RELATIME, "strictatime": unix.MS_STRICTATIME,
	"rw": 0, "defaults": 0,
}

// mountAll mounts what the snapshotter asked for at target.
func mountAll(mounts []*types.Mount, target string) error {
	if len(mounts) == 0 {
		return nil
	}
	if err := os.MkdirAll(target, 0o711); err != nil {
		return fmt.Errorf("make the root's mount point: %w", err)
	}
	for i, m := range mounts {
		if err := mountOne(m, target); err != nil {
			return errors.Join(fmt.Errorf("mount rootfs[%d] (%s) at %s: %w", i, m.Type, target, err), unmountAll(target))
		}
	}
	return nil
}

func mountOne(m *types.Mount, target string) error {
	if m.Target != "" {
		target = filepath.Join(target, filepath.Clean("/"+m.Target))
	}
	var flags uintptr
	var data []string
	for _, o := range m.Options {
		if strings.HasPrefix(o, "uidmap=") || strings.HasPrefix(o, "gidmap=") {
			return errors.New("id-mapped roots are not supported: run the pod without a user namespace (hostUsers: true); the sandbox is in one of its own")
		}
		if f, ok := mountOptions[o]; ok {
			flags |= f
		} else {
			data = append(data, o)
		}
	}
	base, data := shorten(m.Type, data)
	text := strings.Join(data, ",")
	if len(text) >= os.Getpagesize() {
		return fmt.Errorf("its options are longer than a page")
	}
	if err := mountFrom(base, m.Source, target, m.Type, flags, text); err != nil {
		return err
	}
	// mount(2): a bind mount takes other flags only when it is remounted.
	if flags&unix.MS_BIND != 0 && flags&^(unix.MS_BIND|unix.MS_REC) != 0 {
		return unix.Mount("", target, "", flags|unix.MS_REMOUNT, "")
	}
	return nil
}

// shorten makes an overlay's layers relative to a folder that they share: many layers of
// long names do not fit into the page that mount(2) takes.
func shorten(typ string, options []string) (base string, out []string) {
	if typ != "overlay" || len(strings.Join(options, ",")) < os.Getpagesize()-512 {
		return "", options
	}
	for i, o := range options {
		layers, ok := strings.CutPrefix(o, "lowerdir=")
		if !ok {
			continue
		}
		dirs := strings.Split(layers, ":")
		base = filepath.Dir(dirs[0])
		for _, d := range dirs {
			for base != "/" && !strings.HasPrefix(d, base+"/") {
				base = filepath.Dir(base)
			}
		}
		if base == "/" || strings.Contains(layers, `\`) {
			return "", options
		}
		for j := range dirs {
			dirs[j] = strings.TrimPrefix(dirs[j], base+"/")
		}
		out = append([]string{}, options...)
		out[i] = "lowerdir=" + strings.Join(dirs, ":")
		return base, out
	}
	return "", options
}

// mountFrom mounts with base as the working directory, in a thread of its own: the shim's
// stays what it is.
func mountFrom(base, source, target, typ string, flags uintptr, data string) error {
	if base == "" {
		return unix.Mount(source, target, typ, flags, data)
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never undone: the thread ends with its directory
		err := unix.Unshare(unix.CLONE_FS)
		if err == nil {
			err = unix.Chdir(base)
		}
		if err == nil {
			err = unix.Mount(source, target, typ, flags, data)
		}
		done <- err
	}()
	return <-done
}

// unmountAll removes every mount at target. What is in use goes when that ends.
func unmountAll(target string) error {
	for range 64 {
		err := unix.Unmount(target, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		if err == unix.EINVAL || err == unix.ENOENT {
			return nil // nothing is mounted there
		}
		if err != nil {
			return fmt.Errorf("unmount %s: %w", target, err)
		}
	}
	return fmt.Errorf("unmount %s: too many mounts", target)
}
