package dev

import (
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// Node is a device node of a /dev.
type Node struct {
	Name         string
	Mode         uint32 // type and permissions
	Major, Minor uint32
}

// Nodes are the devices that every container has (runtime-spec, default devices).
var Nodes = []Node{
	{"null", abi.S_IFCHR | 0o666, memMajor, minorNull},
	{"zero", abi.S_IFCHR | 0o666, memMajor, minorZero},
	{"full", abi.S_IFCHR | 0o666, memMajor, minorFull},
	{"random", abi.S_IFCHR | 0o666, memMajor, minorRandom},
	{"urandom", abi.S_IFCHR | 0o666, memMajor, minorURandom},
	{"tty", abi.S_IFCHR | 0o666, 5, 0},
}

// Links are the symlinks that every container has.
var Links = [][2]string{
	{"fd", "/proc/self/fd"}, {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
	{"stderr", "/proc/self/fd/2"}, {"core", "/proc/kcore"}, {"ptmx", "pts/ptmx"},
}

// Dirs are the mount points that every container has.
var Dirs = []string{"pts", "shm", "mqueue"}

// Fill makes nodes, links and directories in dir; what exists already stays.
func Fill(ctx *vfs.Context, dir vfs.Path) error {
	old := ctx.FS.SetUmask(0)
	defer ctx.FS.SetUmask(old)
	for _, n := range Nodes {
		if err := Make(ctx, dir, n); err != nil && err != abi.EEXIST {
			return err
		}
	}
	for _, l := range Links {
		if err := vfs.SymlinkAt(ctx, l[1], dir, l[0]); err != nil && err != abi.EEXIST {
			return err
		}
	}
	for _, d := range Dirs {
		if err := vfs.MkdirAt(ctx, dir, d, 0o755); err != nil && err != abi.EEXIST {
			return err
		}
	}
	return nil
}

// Make makes one device node in dir.
func Make(ctx *vfs.Context, dir vfs.Path, n Node) error {
	return vfs.MknodAt(ctx, dir, n.Name, n.Mode, n.Major, n.Minor)
}
