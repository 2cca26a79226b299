package syscalls

import (
	"crypto/rand"
	"strconv"

	"lazaret/sentry/auth"
	"lazaret/sentry/kernel"
	"lazaret/sentry/loader"
	"lazaret/sentry/mm"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

var execRows = []Row{
	full(abi.SYS_EXECVE, "execve", Execve, Path, Hex, Hex),
	full(abi.SYS_EXECVEAT, "execveat", Execveat, FD, Path, Hex, Hex, Hex),
}

// Execve is execve(2).
func Execve(t *kernel.Task, a *abi.Args) (uint64, error) {
	return execAt(t, abi.AT_FDCWD, a.Addr(0), a.Addr(1), a.Addr(2), 0)
}

// Execveat is execveat(2).
func Execveat(t *kernel.Task, a *abi.Args) (uint64, error) {
	return execAt(t, a.Int(0), a.Addr(1), a.Addr(2), a.Addr(3), a.Int(4))
}

func execAt(t *kernel.Task, dirfd int32, name, argv, envv abi.Addr, flags int32) (uint64, error) {
	if flags&^(abi.AT_EMPTY_PATH|abi.AT_SYMLINK_NOFOLLOW) != 0 {
		return 0, abi.EINVAL
	}
	s, path, err := at(t, dirfd, name)
	if err != nil {
		return 0, err
	}
	defer s.done()
	file, err := openExecAt(t, s, path, flags)
	if err != nil {
		return 0, err
	}
	defer file.DecRef()
	p := &ExecParams{File: file, Filename: path, FDName: dirfd != abi.AT_FDCWD && (path == "" || path[0] != '/')}
	if p.FDName {
		p.Filename = fdName(dirfd, path)
		p.Closing, _ = t.Files().Cloexec(dirfd)
	}
	budget := maxArgBytes
	if p.Argv, err = copyStrings(t, argv, &budget); err != nil {
		return 0, err
	}
	if p.Envv, err = copyStrings(t, envv, &budget); err != nil {
		return 0, err
	}
	if len(p.Argv) == 0 {
		p.Argv = []string{""} // Linux since 5.18
	}
	return done0(Exec(t, p))
}

// maxArgBytes bounds what execve copies in before the exact limits are applied.
var maxArgBytes = 8 << 20

// copyStrings copies in a null-terminated array of strings; budget is what may still be
// copied, in bytes.
func copyStrings(t *kernel.Task, addr abi.Addr, budget *int) ([]string, error) {
	if addr == 0 {
		return nil, nil
	}
	var list []string
	for {
		p, err := copyIn[uint64](t, addr)
		if err != nil || p == 0 {
			return list, err
		}
		s, err := t.MM().CopyInString(abi.Addr(p), loader.MaxArgLen)
		if err == abi.ENAMETOOLONG {
			err = abi.E2BIG
		}
		if err != nil {
			return nil, err
		}
		if *budget -= len(s) + 9; *budget < 0 {
			return nil, abi.E2BIG
		}
		list = append(list, s)
		addr += 8
	}
}

// openExecAt opens the program that execveat names.
func openExecAt(t *kernel.Task, s start, path string, flags int32) (*vfs.File, error) {
	if path == "" {
		if flags&abi.AT_EMPTY_PATH == 0 {
			return nil, abi.ENOENT
		}
		return vfs.OpenExec(t.Ctx(), s.path)
	}
	how := vfs.LookupFollow
	if flags&abi.AT_SYMLINK_NOFOLLOW != 0 {
		how = 0
	}
	p, err := vfs.Lookup(t.Ctx(), s.path, path, how)
	if err != nil {
		return nil, err
	}
	if flags&abi.AT_SYMLINK_NOFOLLOW != 0 && p.Dentry.Type() == abi.S_IFLNK {
		return nil, abi.ELOOP
	}
	return vfs.OpenExec(t.Ctx(), p)
}

// fdName is how a program started by descriptor is called (execveat(2)).
func fdName(dirfd int32, path string) string {
	name := "/dev/fd/" + strconv.Itoa(int(dirfd))
	if path != "" {
		name += "/" + path
	}
	return name
}

// ExecParams say what Exec runs.
type ExecParams struct {
	File       *vfs.File // opened for execution; Exec takes no reference
	Filename   string
	FDName     bool // Filename is made from a descriptor
	Closing    bool // which is closed by the exec
	Argv, Envv []string
}

// Exec loads a program and makes it the calling task's.
func Exec(t *kernel.Task, p *ExecParams) error {
	img, err := Load(t, p)
	if err != nil {
		return err
	}
	return t.Exec(img)
}

// Load builds the image of a program for t.
func Load(t *kernel.Task, p *ExecParams) (*kernel.Image, error) {
	ctx, k, tg := t.Ctx(), t.Kernel(), t.ThreadGroup()
	info, readable, err := vfs.ExecFile(ctx, p.File)
	if err != nil {
		return nil, err
	}
	creds, secure, err := t.ExecCreds(&info)
	if err != nil {
		return nil, err
	}
	m, err := mm.New(k.Platform, k.MemFile, t.Container().Account)
	if err != nil {
		return nil, err
	}
	stack := tg.Limit(abi.RLIMIT_STACK).Cur
	m.SetLayout(t.Personality()&abi.ADDR_NO_RANDOMIZE == 0, t.Personality()&abi.ADDR_COMPAT_LAYOUT != 0, stack)
	m.SetLimits(tg.MemoryLimits())
	m.SetMark(mm.NoTHP, t.MM() != nil && t.MM().HasMark(mm.NoTHP))
	lp := &loader.Params{
		Ctx: ctx, MM: m, File: p.File, Filename: p.Filename, Closing: p.Closing, Argv: p.Argv, Envv: p.Envv, StackLimit: stack,
		Secure: secure, HWCap: hwcap(), MinSigStack: kernel.MinSigStack(), VDSO: k.Syscalls.(*Table).VDSO,
		OpenExec: func(path string) (*vfs.File, error) {
			ip, err := vfs.Lookup(ctx, t.FS().Cwd(), path, vfs.LookupFollow)
			if err != nil {
				return nil, err
			}
			return vfs.OpenExec(ctx, ip)
		},
	}
	setIDs(lp, creds)
	if _, err := rand.Read(lp.Random[:]); err != nil {
		m.DecUsers()
		return nil, abi.EIO
	}
	li, err := loader.Load(lp)
	if err != nil {
		m.DecUsers()
		return nil, err
	}
	name := p.Filename
	if p.FDName {
		name = commOf(p)
	}
	return &kernel.Image{
		MM: m, Entry: li.Entry, Stack: li.SP, Name: name, File: li.File, Creds: creds, Secure: secure, Readable: readable,
	}, nil
}

func setIDs(lp *loader.Params, c *auth.Creds) {
	ns := c.UserNS
	lp.UID, lp.EUID, lp.GID, lp.EGID = ns.UID(c.RUID), ns.UID(c.EUID), ns.GID(c.RGID), ns.GID(c.EGID)
}

// commOf is the command name of a program started by descriptor: the file's own name.
func commOf(p *ExecParams) string { return p.File.Path.Dentry.Name() }
