package sandbox

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// stages are directories that every host has and where the new root may be mounted, in
// this process's own mount namespace, until it becomes the root.
var stages = []string{"/proc", "/sys", "/dev", "/tmp"}

// sealedFlags are the flags of the empty root: nothing to run, no devices, no writing.
const sealedFlags = unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC

// enterEmptyRoot makes an empty read-only tmpfs the root of this process and detaches
// everything else. trees, if any, come along.
func enterEmptyRoot(trees *treeSet) error {
	// Nothing mounted here may reach the host's namespace.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	var mounts *mountList
	if trees != nil {
		var err error
		if mounts, err = openMountList(); err != nil {
			return err
		}
		defer mounts.close()
		if err := trees.clone(); err != nil {
			return err
		}
	}
	stage, err := mountStage()
	if err != nil {
		return err
	}
	if trees != nil {
		if err := trees.attach(stage); err != nil {
			return err
		}
		if err := trees.hide(mounts, stage); err != nil {
			return err
		}
	}
	if err := pivot(stage); err != nil {
		return err
	}
	// Not before the old root is gone: it is still stacked there.
	if err := unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND|sealedFlags, ""); err != nil {
		return fmt.Errorf("seal the empty root: %w", err)
	}
	return nil
}

func mountStage() (string, error) {
	var errs []error
	for _, dir := range stages {
		err := unix.Mount("lazaret", dir, "tmpfs", sealedFlags&^unix.MS_RDONLY, "size=1m,nr_inodes=20k,mode=0555")
		if err == nil {
			return dir, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", dir, err))
	}
	return "", fmt.Errorf("mount an empty root: %w", errors.Join(errs...))
}

// pivot makes dir the root: pivot_root(".", ".") stacks the old root on the new one,
// from where it is detached (pivot_root(2), NOTES).
func pivot(dir string) error {
	if err := os.Chdir(dir); err != nil {
		return fmt.Errorf("enter the empty root: %w", cause(err))
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		// The root of an initial RAM file system cannot be pivoted away from.
		return moveRoot(dir, err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("detach the old root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return fmt.Errorf("enter the empty root: %w", cause(err))
	}
	return nil
}

// moveRoot is what switch_root(8) does on an initial RAM file system. The old root stays
// in the namespace, beneath, where no path leads.
func moveRoot(dir string, pivotErr error) error {
	if !errors.Is(pivotErr, unix.EINVAL) {
		return fmt.Errorf("pivot to the empty root: %w", pivotErr)
	}
	if err := unix.Mount(dir, "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move the empty root to /: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return fmt.Errorf("change root: %w", err)
	}
	return os.Chdir("/")
}
