package gofer

import (
	"strings"

	"lazaret/gofer/proto"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

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
		if n != "" {
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
	f, err := i.getFile()
	if err != nil {
		return err
	}
	defer i.forgetXattrs()
	return f.SetXattr(name, value, uint32(flags))
}

// RemoveXattr implements vfs.Xattrs.
func (i *inode) RemoveXattr(_ *vfs.Context, name string) error {
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
