package gofer

import (
	"strings"

	"lazaret/gofer/proto"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// isHostLabel reports whether an attribute belongs to a security module of the host.
// Linux difference: those mean nothing in here, and are neither shown nor set; without
// this every `ls -l` would ask for each file.
func isHostLabel(name string) bool {
	name, ok := strings.CutPrefix(name, "security.")
	return ok && (name == "selinux" || name == "apparmor" || name == "ima" || name == "evm" ||
		strings.HasPrefix(name, "SMACK64"))
}

// xattrNames returns the names of the extended attributes. They are asked for once:
// every exec looks for file capabilities, and hardly any file has some.
func (i *inode) xattrNames() (map[string]struct{}, error) {
	i.mu.Lock()
	names, trusted := i.xattrs, i.trusted
	i.mu.Unlock()
	if names != nil && trusted {
		return names, nil
	}
	f, err := i.getFile()
	if err != nil {
		return nil, err
	}
	data, _, err := f.ListXattr(proto.MaxXattr)
	if err != nil && err != abi.EOPNOTSUPP {
		return nil, err
	}
	names = map[string]struct{}{}
	for _, n := range strings.Split(string(data), "\x00") {
		if n != "" && !isHostLabel(n) {
			names[n] = struct{}{}
		}
	}
	i.mu.Lock()
	i.xattrs = names
	i.mu.Unlock()
	return names, nil
}

// GetXattr implements vfs.Xattrs.
func (i *inode) GetXattr(_ *vfs.Context, name string) ([]byte, error) {
	if isHostLabel(name) {
		return nil, abi.ENODATA
	}
	names, err := i.xattrNames()
	if err != nil {
		return nil, err
	}
	if _, ok := names[name]; !ok {
		return nil, abi.ENODATA
	}
	f, err := i.getFile()
	if err != nil {
		return nil, err
	}
	data, _, err := f.GetXattr(name, proto.MaxXattr)
	return data, err
}

// ListXattr implements vfs.Xattrs.
func (i *inode) ListXattr(*vfs.Context) ([]string, error) {
	names, err := i.xattrNames()
	if err != nil {
		return nil, err
	}
	list := make([]string, 0, len(names))
	for n := range names {
		list = append(list, n)
	}
	return list, nil
}

// SetXattr implements vfs.Xattrs.
func (i *inode) SetXattr(_ *vfs.Context, name string, value []byte, flags int) error {
	if isHostLabel(name) {
		return abi.EOPNOTSUPP
	}
	f, err := i.getFile()
	if err != nil {
		return err
	}
	defer i.forgetXattrs()
	return f.SetXattr(name, value, uint32(flags))
}

// RemoveXattr implements vfs.Xattrs.
func (i *inode) RemoveXattr(_ *vfs.Context, name string) error {
	if isHostLabel(name) {
		return abi.ENODATA
	}
	f, err := i.getFile()
	if err != nil {
		return err
	}
	defer i.forgetXattrs()
	return f.RemoveXattr(name)
}

func (i *inode) forgetXattrs() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.xattrs = nil
}
