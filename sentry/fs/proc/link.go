package proc

import (
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// taskLink is cwd, root or exe of a process.
type taskLink struct{ taskInode }

// target returns where the link leads. The path is pinned until the call ends only by
// the process itself, which is what vfs.MagicLink asks for.
func (l *taskLink) target(ctx *vfs.Context) (string, vfs.Path, error) {
	t := l.task()
	if t == nil {
		return "", vfs.Path{}, abi.ENOENT
	}
	if !mayLook(ctx, t) {
		return "", vfs.Path{}, abi.EACCES
	}
	c := call{ctx: ctx, fs: l.fs, ref: &l.ref, task: t}
	return l.line().link(&c)
}

// Readlink implements vfs.Symlink.
func (l *taskLink) Readlink(ctx *vfs.Context) (string, error) {
	name, _, err := l.target(ctx)
	return name, err
}

// Follow implements vfs.MagicLink.
func (l *taskLink) Follow(ctx *vfs.Context) (vfs.Path, error) {
	_, p, err := l.target(ctx)
	return p, err
}

// pathName returns the name of p for the reader.
func pathName(ctx *vfs.Context, p vfs.Path) string {
	var root vfs.Path
	if ctx.FS != nil {
		root = ctx.FS.Root()
	}
	s, ok := vfs.PathString(root, p)
	if !ok && p.Dentry != nil && !p.Dentry.Super().Kernel {
		return "(unreachable)" + s
	}
	return s
}

func linkCwd(c *call) (string, vfs.Path, error) {
	fs := c.task.FS()
	if fs == nil {
		return "", vfs.Path{}, abi.ENOENT
	}
	return c.linkTo(fs.Cwd())
}

func linkRoot(c *call) (string, vfs.Path, error) {
	fs := c.task.FS()
	if fs == nil {
		return "", vfs.Path{}, abi.ENOENT
	}
	return c.linkTo(fs.Root())
}

func linkExe(c *call) (string, vfs.Path, error) {
	if c.task.MM() == nil {
		return "", vfs.Path{}, abi.ENOENT
	}
	f := c.group().Executable()
	if f == nil {
		return "", vfs.Path{}, abi.ENOENT
	}
	defer f.DecRef()
	return c.linkTo(f.Path)
}

func (c *call) linkTo(p vfs.Path) (string, vfs.Path, error) {
	if !p.OK() {
		return "", p, abi.ENOENT
	}
	return pathName(c.ctx, p), p, nil
}
