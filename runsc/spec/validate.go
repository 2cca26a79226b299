package spec

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// checker collects what the checks of one configuration need and say.
type checker struct {
	spec     *specs.Spec
	bundle   string
	warnings []string
}

func (c *checker) warn(field, why string) {
	c.warnings = append(c.warnings, field+": "+why)
}

// check is a row of the validation table.
type check struct {
	field string
	run   func(c *checker) *FieldError
}

// checks run in this order; the first error wins, so what most people get wrong is first.
var checks = []check{
	{"ociVersion", checkVersion},
	{"root", checkRoot},
	{"process", func(c *checker) *FieldError { return checkProcess(c, "process", c.spec.Process) }},
	{"hostname", checkNames},
	{"mounts", checkMounts},
	{"hooks", checkHooks},
	{"vm", refuse(func(s *specs.Spec) bool { return s.VM != nil }, "a virtual machine is not what this runtime makes", "remove it")},
	{"linux.namespaces", checkNamespaces},
	{"linux.uidMappings", checkIDMappings},
	{"linux.devices", checkDevices},
	{"linux.netDevices", refuse(func(s *specs.Spec) bool { return len(s.Linux.NetDevices) > 0 },
		"network devices of the host cannot be moved into a sandbox", "remove it")},
	{"linux.cgroupsPath", checkCgroupsPath},
	{"linux.resources", checkResources},
	{"linux.sysctl", checkSysctl},
	{"linux.seccomp", checkSeccomp},
	{"linux.rootfsPropagation", checkPropagation},
	{"linux.maskedPaths", checkPaths},
	{"linux.mountLabel", refuse(func(s *specs.Spec) bool { return s.Linux.MountLabel != "" },
		"SELinux labels are not supported in a sandbox", "remove it or turn SELinux off in the engine")},
	{"linux.intelRdt", refuse(func(s *specs.Spec) bool { return s.Linux.IntelRdt != nil },
		"Intel RDT is not supported", "remove it")},
	{"linux.memoryPolicy", refuse(func(s *specs.Spec) bool { return s.Linux.MemoryPolicy != nil },
		"NUMA memory policies are not supported", "remove it")},
	{"linux.personality", checkPersonality},
	{"linux.timeOffsets", refuse(func(s *specs.Spec) bool { return len(s.Linux.TimeOffsets) > 0 },
		"time namespaces are not supported", "remove it")},
}

// refuse makes a check of a field that must not be set. linux.* fields are looked at
// only when there is a linux section.
func refuse(set func(*specs.Spec) bool, why, do string) func(*checker) *FieldError {
	return func(c *checker) *FieldError {
		if set(c.spec) {
			return &FieldError{Why: why, Do: do}
		}
		return nil
	}
}

// Validate checks a configuration against the specification and against what Lazaret
// can do. It returns one-line warnings of what is accepted without effect.
func Validate(spec *specs.Spec, bundle string) ([]string, error) {
	c := &checker{spec: spec, bundle: bundle}
	for _, k := range checks {
		if spec.Linux == nil && strings.HasPrefix(k.field, "linux.") {
			continue
		}
		if err := k.run(c); err != nil {
			if err.Field == "" {
				err.Field = k.field
			}
			return nil, err
		}
	}
	return c.warnings, nil
}

// ValidateProcess checks a process object on its own, for exec.
func ValidateProcess(p *specs.Process) ([]string, error) {
	c := &checker{spec: &specs.Spec{Process: p}}
	if err := checkProcess(c, "process", p); err != nil {
		return nil, err
	}
	return c.warnings, nil
}

// checkVersion accepts 1.x.y, as Semantic Versioning makes every minor compatible.
func checkVersion(c *checker) *FieldError {
	v := c.spec.Version
	const do = "this runtime implements 1.0.0 to " + MaxVersion
	if v == "" {
		return &FieldError{Why: "is missing", Do: do}
	}
	core, _, _ := strings.Cut(v, "+")
	core, _, _ = strings.Cut(core, "-")
	parts := strings.Split(core, ".")
	if len(parts) != 3 {
		return &FieldError{Why: fmt.Sprintf("%q is not a version of the form 1.2.3", clip(v)), Do: do}
	}
	var num [3]uint64
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 32)
		if err != nil {
			return &FieldError{Why: fmt.Sprintf("%q is not a version of the form 1.2.3", clip(v)), Do: do}
		}
		num[i] = n
	}
	if num[0] != specs.VersionMajor {
		return &FieldError{Why: fmt.Sprintf("version %q is not supported", clip(v)), Do: do}
	}
	if num[1] > specs.VersionMinor {
		c.warn("ociVersion", fmt.Sprintf("%q is newer than %s; what it adds is ignored", clip(v), MaxVersion))
	}
	return nil
}

// MaxVersion is the newest version of the specification that we know.
const MaxVersion = "1.3.0"

func checkRoot(c *checker) *FieldError {
	root := c.spec.Root
	if root == nil || root.Path == "" {
		return &FieldError{Field: "root.path", Why: "is missing", Do: "name the directory that becomes the container's /"}
	}
	path := RootPath(c.spec, c.bundle)
	st, err := os.Stat(path)
	if err != nil {
		return &FieldError{Field: "root.path", Why: fmt.Sprintf("%q: %v", clip(path), plain(err)),
			Do: "the container's files must be there before it is created"}
	}
	if !st.IsDir() {
		return &FieldError{Field: "root.path", Why: fmt.Sprintf("%q is not a directory", clip(path))}
	}
	return nil
}

// RootPath returns the absolute host path of the container's root.
func RootPath(spec *specs.Spec, bundle string) string {
	if filepath.IsAbs(spec.Root.Path) {
		return filepath.Clean(spec.Root.Path)
	}
	return filepath.Join(bundle, spec.Root.Path)
}

func checkNames(c *checker) *FieldError {
	for _, f := range []struct{ field, val string }{{"hostname", c.spec.Hostname}, {"domainname", c.spec.Domainname}} {
		if len(f.val) > 64 {
			return &FieldError{Field: f.field, Why: "is longer than 64 bytes"}
		}
		if strings.ContainsRune(f.val, 0) {
			return &FieldError{Field: f.field, Why: "contains a NUL byte"}
		}
	}
	return nil
}

func checkHooks(c *checker) *FieldError {
	if c.spec.Hooks == nil {
		return nil
	}
	h := c.spec.Hooks
	for name, hooks := range map[string][]specs.Hook{
		//lint:ignore SA1019 deprecated, and used by every docker
		"prestart":      h.Prestart,
		"createRuntime": h.CreateRuntime, "createContainer": h.CreateContainer,
		"startContainer": h.StartContainer, "poststart": h.Poststart, "poststop": h.Poststop,
	} {
		for i, hook := range hooks {
			field := fmt.Sprintf("hooks.%s[%d]", name, i)
			if !filepath.IsAbs(hook.Path) {
				return &FieldError{Field: field + ".path", Why: fmt.Sprintf("%q is not an absolute path", clip(hook.Path))}
			}
			if hook.Timeout != nil && *hook.Timeout <= 0 {
				return &FieldError{Field: field + ".timeout", Why: "must be greater than zero"}
			}
		}
	}
	return nil
}

// clip keeps a quoted value of the configuration from filling a terminal.
func clip(s string) string {
	if len(s) > 120 {
		return s[:120] + "..."
	}
	return s
}

// plain returns the reason of a host error without the path that it repeats.
func plain(err error) error {
	var errno unix.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}
