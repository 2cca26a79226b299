package spec

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// MountOptions are the options of mounts that we know, beside those of a file system
// (size=, mode= and such), which are passed on. Those that describe the host's page
// cache or disk have no effect in a sandbox but do no harm.
var MountOptions = []string{
	"acl", "async", "atime", "bind", "defaults", "dev", "diratime", "dirsync", "exec", "iversion", "lazytime", "loud",
	"mand", "noacl", "noatime", "nodev", "nodiratime", "noexec", "noiversion", "nolazytime", "nomand", "norelatime",
	"nostrictatime", "nosuid", "nosymfollow", "private", "ratime", "rbind", "rdev", "rdiratime", "relatime", "remount",
	"rexec", "rnoatime", "rnodev", "rnodiratime", "rnoexec", "rnorelatime", "rnostrictatime", "rnosuid",
	"rnosymfollow", "ro", "rprivate", "rrelatime", "rro", "rrw", "rshared", "rslave", "rstrictatime", "rsuid",
	"rsymfollow", "runbindable", "rw", "shared", "silent", "slave", "strictatime", "suid", "symfollow", "sync",
	"tmpcopyup", "unbindable",
}

// mountTypes are the file systems that a sandbox can mount.
var mountTypes = []string{"bind", "none", "proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2", "devtmpfs", "ramfs"}

// IsBind says whether a mount shows a part of the host, whatever its type says.
func IsBind(m *specs.Mount) bool {
	return m.Type == "bind" || slices.Contains(m.Options, "bind") || slices.Contains(m.Options, "rbind")
}

func checkMounts(c *checker) *FieldError {
	for i := range c.spec.Mounts {
		m := &c.spec.Mounts[i]
		if err := checkMount(c, fmt.Sprintf("mounts[%d]", i), m); err != nil {
			return err
		}
	}
	return nil
}

func checkMount(c *checker, field string, m *specs.Mount) *FieldError {
	switch {
	case m.Destination == "":
		return &FieldError{Field: field + ".destination", Why: "is missing"}
	case strings.ContainsRune(m.Destination+m.Source+strings.Join(m.Options, ""), 0):
		return &FieldError{Field: field, Why: "contains a NUL byte"}
	case len(m.UIDMappings) > 0 || len(m.GIDMappings) > 0:
		return &FieldError{Field: field + ".uidMappings", Why: "id-mapped mounts are not supported", Do: "remove the mappings"}
	}
	if !filepath.IsAbs(m.Destination) {
		// runc accepts this with a warning: docker and others wrote such mounts.
		c.warn(field+".destination", fmt.Sprintf("%q is not an absolute path; it is taken from /", clip(m.Destination)))
	}
	for _, o := range m.Options {
		if o == "idmap" || o == "ridmap" {
			return &FieldError{Field: field + ".options", Why: "id-mapped mounts are not supported", Do: fmt.Sprintf("remove %q", o)}
		}
	}
	if IsBind(m) {
		return checkBind(c, field, m)
	}
	if !slices.Contains(mountTypes, m.Type) {
		return &FieldError{Field: field + ".type",
			Why: fmt.Sprintf("file system %q of %s cannot be mounted in a sandbox", clip(m.Type), clip(m.Destination)),
			Do:  "mount it on the host and bind it"}
	}
	return nil
}

func checkBind(c *checker, field string, m *specs.Mount) *FieldError {
	if m.Source == "" {
		return &FieldError{Field: field + ".source", Why: "is missing"}
	}
	for _, o := range m.Options {
		if o == "shared" || o == "rshared" {
			return &FieldError{Field: field + ".options", Why: fmt.Sprintf("%s: mounts that a sandbox makes cannot appear on the host", o),
				Do: fmt.Sprintf("use %s (HostToContainer), with which the host's appear in the sandbox", strings.Replace(o, "shared", "slave", 1))}
		}
	}
	if _, err := os.Stat(SourcePath(m, c.bundle)); err != nil {
		return &FieldError{Field: field + ".source", Why: fmt.Sprintf("%q: %v", clip(m.Source), plain(err))}
	}
	return nil
}

// SourcePath returns the absolute host path of a bind mount's source.
func SourcePath(m *specs.Mount, bundle string) string {
	if filepath.IsAbs(m.Source) {
		return filepath.Clean(m.Source)
	}
	return filepath.Join(bundle, m.Source)
}
