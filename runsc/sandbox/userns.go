package sandbox

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// nobody is the unprivileged id that the Sentry gets when runsc may choose.
const nobody = 65534

// idMapping is the user mapping of the Sentry: one id, which is 0 inside.
type idMapping struct {
	uid, gid  uint32
	setGroups bool
}

// sentryMapping chooses the host ids of the Sentry: nobody's for root, the caller's
// own otherwise, since an unprivileged process may map no other id.
func sentryMapping() idMapping {
	uid, gid := uint32(os.Geteuid()), uint32(os.Getegid())
	if !mayMapIDs() || !isMapped("/proc/self/uid_map", nobody) || !isMapped("/proc/self/gid_map", nobody) {
		return idMapping{uid: uid, gid: gid}
	}
	return idMapping{uid: nobody, gid: nobody, setGroups: true}
}

// mayMapIDs says whether this process may give a child ids that are not its own.
func mayMapIDs() bool {
	if os.Geteuid() != 0 {
		return false
	}
	setgroups, err := os.ReadFile("/proc/self/setgroups")
	return err == nil && strings.TrimSpace(string(setgroups)) == "allow"
}

// isMapped says whether id exists in this process's own user namespace.
func isMapped(file string, id uint64) bool {
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var inside, outside, n uint64
		if _, err := fmt.Sscan(lines.Text(), &inside, &outside, &n); err == nil &&
			id >= inside && id-inside < n {
			return true
		}
	}
	return false
}

// InUserNS says whether this process is in a user namespace that somebody made: the first
// one maps every id to itself. Its root is root of little.
func InUserNS() bool {
	data, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && !slices.Equal(strings.Fields(string(data)), []string{"0", "0", "4294967295"})
}

// isUnmapped says whether this process's user has no name in its user namespace: then it
// may make no other (user_namespaces(7)).
func isUnmapped() bool {
	data, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && len(data) == 0
}

func (m idMapping) apply(attr *launchAttr) {
	attr.flags |= unix.CLONE_NEWUSER
	attr.maps = &userMaps{
		uids: []specs.LinuxIDMapping{{HostID: m.uid, Size: 1}}, gids: []specs.LinuxIDMapping{{HostID: m.gid, Size: 1}},
		setGroups: m.setGroups,
	}
}

// explainClone turns the error of a clone with namespaces into one that says what to do.
func explainClone(err error) error {
	limit := func(name string) string {
		data, rerr := os.ReadFile("/proc/sys/user/" + name)
		if rerr != nil {
			return ""
		}
		return strings.TrimSpace(string(data))
	}
	errno, _ := cause(err).(unix.Errno)
	switch {
	case errno == unix.EINVAL && !exists("/proc/self/ns/user"):
		return errors.New("this kernel has no user namespaces: it needs CONFIG_USER_NS=y")
	case errno == unix.ENOSPC || errno == unix.EUSERS || errno == unix.EPERM:
		for _, kind := range []string{"user", "mnt", "pid", "net", "ipc", "uts", "cgroup"} {
			name := "max_" + kind + "_namespaces"
			if limit(name) == "0" {
				return fmt.Errorf("%s namespaces are switched off: run `sysctl -w user.%s=15000` as root", kind, name)
			}
		}
		if errno == unix.EPERM && isUnmapped() {
			return errors.New("this user namespace maps no ids, so that no other can be made in it: " +
				"map the caller's (unshare --map-current-user)")
		}
		if errno == unix.EPERM {
			return errors.New("new namespaces are not permitted: run as root, or allow user namespaces " +
				"(sysctl -w kernel.unprivileged_userns_clone=1, or kernel.apparmor_restrict_unprivileged_userns=0)")
		}
		return errors.New("too many namespaces: raise the limits under /proc/sys/user/")
	}
	return fmt.Errorf("start %s: %w", "process", cause(err))
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
