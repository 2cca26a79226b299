package boot

import (
	"fmt"
	"path"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"lazaret/runsc/timeline"
	"lazaret/sentry/auth"
	"lazaret/sentry/fs/hostfile"
	"lazaret/sentry/kernel"
	"lazaret/sentry/vfs"
	"lazaret/syscalls"
	"lazaret/syscalls/abi"
)

const capLast = abi.CAP_LAST_CAP

// makeInit builds the container's file tree and its first process, which is ready to
// start.
func (c *container) makeInit() (*kernel.Task, error) {
	timeline.Mark("create asked")
	if err := c.openGofer(); err != nil {
		return nil, err
	}
	kctx := c.kernelCtx()
	super, err := c.rootSuper(kctx)
	if err != nil {
		return nil, err
	}
	mounts, err := vfs.NewMountNamespace(super, "root", 0, c.userNS)
	if err != nil {
		return nil, fmt.Errorf("mount the root: %w", err)
	}
	fs := vfs.NewFSInfo(mounts.Root(), mounts.Root(), 0)
	if c.ns, err = c.makeNamespaces(mounts); err != nil {
		return nil, err
	}
	t, err := c.newProcess(c.spec.Process, fs, c.ns)
	if err != nil {
		return nil, err
	}
	if err := c.prepareInit(t); err != nil {
		t.Abandon()
		return nil, err
	}
	return t, nil
}

// prepareInit mounts, applies sysctls and loads the program.
func (c *container) prepareInit(t *kernel.Task) error {
	timeline.Mark("root opened")
	t.SetCreds(rootCreds(c.userNS))
	m := &mounter{c: c, t: t, ctx: t.Ctx()}
	m.ctx.Creds = rootCreds(c.s.k.RootUserNS)
	if err := m.all(); err != nil {
		return err
	}
	timeline.Mark("mounts made")
	root := t.Namespaces().Mnt.Mounts.Root()
	if err := t.FS().SetRoot(root); err != nil {
		return err
	}
	if err := t.FS().SetCwd(root); err != nil {
		return err
	}
	c.root = root
	if c.spec.Linux != nil {
		if err := c.sysctls(t, c.spec.Linux.Sysctl); err != nil {
			return err
		}
	}
	return c.load(t, c.spec.Process, &c.fds.processFDs)
}

// makeNamespaces makes the namespaces of the container.
func (c *container) makeNamespaces(mounts *vfs.MountNamespace) (*kernel.Namespaces, error) {
	k := c.s.k
	ipc, err := c.makeIPC()
	if err != nil {
		return nil, fmt.Errorf("make the ipc namespace: %w", err)
	}
	net, err := c.makeNet()
	if err != nil {
		return nil, err
	}
	return &kernel.Namespaces{
		UTS: c.makeUTS(), IPC: ipc, Net: net, Mnt: k.NewMnt(c.userNS, mounts),
		Cgroup: k.RootCgroupNS, Time: k.RootTimeNS, PIDChildren: c.kc.PIDNS(),
	}, nil
}

// shared returns the first container of the sandbox if this one joins its namespace of a
// type: it names one by a path, which the sandbox holds. nil: it gets its own.
func (c *container) shared(typ specs.LinuxNamespaceType) *container {
	root := c.s.first()
	if root == nil || c.spec.Linux == nil {
		return nil
	}
	for _, ns := range c.spec.Linux.Namespaces {
		if ns.Type == typ && ns.Path != "" {
			return root
		}
	}
	return nil
}

func (c *container) makeIPC() (*kernel.IPCNamespace, error) {
	if root := c.shared(specs.IPCNamespace); root != nil {
		return root.ns.IPC.Share(), nil
	}
	return c.s.k.NewIPC(c.userNS)
}

func (c *container) makeUTS() *kernel.UTSNamespace {
	if root := c.shared(specs.UTSNamespace); root != nil {
		return root.ns.UTS.Share()
	}
	host := c.spec.Hostname
	if host == "" {
		host = c.s.cfg.Host.Hostname
	}
	domain := c.spec.Domainname
	if domain == "" {
		domain = "(none)"
	}
	return c.s.k.NewUTS(c.userNS, host, domain)
}

// newProcess makes a process without a program.
func (c *container) newProcess(p *specs.Process, fs *vfs.FSInfo, ns *kernel.Namespaces) (*kernel.Task, error) {
	limits, err := limitsOf(p)
	if err != nil {
		return nil, err
	}
	args := &kernel.ProcessArgs{
		Container: c.kc, FS: fs, Files: vfs.NewFDTable(0), Namespaces: ns, Limits: limits, NoNewPrivs: p.NoNewPrivileges,
	}
	if p.OOMScoreAdj != nil {
		args.OOMScore = int32(*p.OOMScoreAdj)
	}
	if c.spec.Linux != nil && c.spec.Linux.Seccomp != nil {
		prog, err := compileSeccomp(c.spec.Linux.Seccomp)
		if err != nil {
			return nil, fmt.Errorf("linux.seccomp: %w", err)
		}
		args.Filters = []kernel.SeccompProgram{prog}
	}
	t, err := c.s.k.NewProcess(args)
	if err != nil {
		return nil, fmt.Errorf("make the process: %w", err)
	}
	return t, nil
}

// limitsOf are the resource limits of a process: the defaults and what the spec says.
func limitsOf(p *specs.Process) ([abi.RLIM_NLIMITS]abi.Rlimit, error) {
	limits := kernel.DefaultLimits()
	for i, r := range p.Rlimits {
		n, ok := rlimits[r.Type]
		if !ok {
			return limits, fmt.Errorf("process.rlimits[%d]: type %q is not known", i, r.Type)
		}
		limits[n] = abi.Rlimit{Cur: r.Soft, Max: r.Hard}
	}
	return limits, nil
}

var rlimits = map[string]int{
	"RLIMIT_AS": abi.RLIMIT_AS, "RLIMIT_CORE": abi.RLIMIT_CORE, "RLIMIT_CPU": abi.RLIMIT_CPU, "RLIMIT_DATA": abi.RLIMIT_DATA,
	"RLIMIT_FSIZE": abi.RLIMIT_FSIZE, "RLIMIT_LOCKS": abi.RLIMIT_LOCKS, "RLIMIT_MEMLOCK": abi.RLIMIT_MEMLOCK,
	"RLIMIT_MSGQUEUE": abi.RLIMIT_MSGQUEUE, "RLIMIT_NICE": abi.RLIMIT_NICE, "RLIMIT_NOFILE": abi.RLIMIT_NOFILE,
	"RLIMIT_NPROC": abi.RLIMIT_NPROC, "RLIMIT_RSS": abi.RLIMIT_RSS, "RLIMIT_RTPRIO": abi.RLIMIT_RTPRIO,
	"RLIMIT_RTTIME": abi.RLIMIT_RTTIME, "RLIMIT_SIGPENDING": abi.RLIMIT_SIGPENDING, "RLIMIT_STACK": abi.RLIMIT_STACK,
}

// load gives t its files, identity and program. It takes those of fds that files are made
// of; a terminal is donated three times and needed once.
func (c *container) load(t *kernel.Task, p *specs.Process, fds *processFDs) (err error) {
	defer func() {
		if err != nil {
			c.terminals.remove(t)
		}
	}()
	if p.Terminal {
		if err := c.openTerminalStdio(t, &fds.stdio[0]); err != nil {
			return err
		}
	}
	if err := c.openStdio(t, fds); err != nil {
		return err
	}
	if err := c.enterCwd(t, p); err != nil {
		return err
	}
	creds, err := c.credsOf(p)
	if err != nil {
		return err
	}
	t.SetCreds(creds)
	umask := uint32(0o022)
	if p.User.Umask != nil {
		umask = *p.User.Umask
	}
	t.FS().SetUmask(umask)
	if len(p.Args) == 0 {
		return fmt.Errorf("process.args: empty; name the program to run")
	}
	env := environment(t, p)
	file, name, err := findProgram(t, p.Args[0], env)
	if err != nil {
		return err
	}
	defer file.DecRef()
	img, err := syscalls.Load(t, &syscalls.ExecParams{File: file, Filename: name, Argv: p.Args, Envv: env})
	if err == nil {
		t.SetImage(img)
		return nil
	}
	err = fmt.Errorf("exec %s: %w", name, describe(err))
	if c.acct.Fails() > 0 {
		return err
	}
	// runc's own process becomes the program when it is started, and if it cannot, that process
	// says so and exits: engines know this end.
	if t.SetFailure(name, err.Error()+"\n", 1) != nil {
		return err
	}
	return nil
}

// enterCwd makes process.cwd, if need be, and goes there.
func (c *container) enterCwd(t *kernel.Task, p *specs.Process) error {
	cwd := p.Cwd
	if cwd == "" {
		cwd = "/"
	}
	ctx := t.Ctx()
	m := &mounter{c: c, t: t, ctx: ctx}
	if err := m.makeTarget(path.Clean(cwd), true); err != nil && err != abi.EROFS {
		return fmt.Errorf("process.cwd (%s): %w", cwd, describe(err))
	}
	if err := vfs.Chdir(ctx, cwd); err != nil {
		return fmt.Errorf("process.cwd (%s): %w", cwd, describe(err))
	}
	return nil
}

// openTerminalStdio makes a terminal the process's stdio; the first one is also the
// container's console.
func (c *container) openTerminalStdio(t *kernel.Task, fd *int) error {
	if *fd < 0 {
		return fmt.Errorf("process.terminal: no terminal was donated")
	}
	slave, name, err := c.openTerminal(t, fd)
	if err != nil {
		return err
	}
	defer slave.DecRef()
	ctx := t.Ctx()
	for i := int32(0); i < 3; i++ {
		slave.IncRef()
		if err := t.Files().AllocAt(ctx, i, slave, false, vfs.NROpen); err != nil {
			slave.DecRef()
			return fmt.Errorf("process.terminal: %w", err)
		}
	}
	if c.init != nil {
		return nil // a later process: the console is there
	}
	m := &mounter{c: c, t: t, ctx: ctx}
	if err := m.makeTarget("/dev/console", false); err != nil {
		return nil // a /dev that cannot be written has no console, as with runc
	}
	from, err := m.lookup(name)
	if err != nil {
		return fmt.Errorf("process.terminal: %w", err)
	}
	to, err := m.lookup("/dev/console")
	if err != nil {
		return fmt.Errorf("process.terminal: %w", err)
	}
	if err := vfs.Bind(ctx, from, to, false); err != nil {
		return fmt.Errorf("process.terminal: mount the console: %w", err)
	}
	return nil
}

// openStdio makes files of the donated descriptors.
func (c *container) openStdio(t *kernel.Task, fds *processFDs) error {
	ctx := t.Ctx()
	for i, fd := range fds.all() {
		var f *vfs.File
		var err error
		switch {
		case hasFile(t, int32(i)):
			continue // the terminal
		case *fd >= 0:
			f, err = hostfile.NewFile(ctx, c.s.notifier, takeFD(fd))
		case i < len(fds.stdio):
			f, err = vfs.OpenAt(ctx, ctx.FS.Root(), "/dev/null", vfs.OpenHow{Flags: abi.O_RDWR})
			if err == abi.ENOENT {
				continue
			}
		default:
			continue
		}
		if err == nil {
			if err = t.Files().AllocAt(ctx, int32(i), f, false, vfs.NROpen); err != nil {
				f.DecRef()
			}
		}
		if err != nil {
			return fmt.Errorf("open file %d of the process: %w", i, err)
		}
	}
	return nil
}

// credsOf are the credentials of process.user and process.capabilities.
func (c *container) credsOf(p *specs.Process) (*auth.Creds, error) {
	uid, ok := c.userNS.KUID(p.User.UID)
	if !ok {
		return nil, fmt.Errorf("process.user.uid: %d has no mapping in linux.uidMappings", p.User.UID)
	}
	gid, ok := c.userNS.KGID(p.User.GID)
	if !ok {
		return nil, fmt.Errorf("process.user.gid: %d has no mapping in linux.gidMappings", p.User.GID)
	}
	creds := &auth.Creds{
		RUID: uid, EUID: uid, SUID: uid, FSUID: uid, RGID: gid, EGID: gid, SGID: gid, FSGID: gid, UserNS: c.userNS,
	}
	for _, g := range p.User.AdditionalGids {
		kg, ok := c.userNS.KGID(g)
		if !ok {
			return nil, fmt.Errorf("process.user.additionalGids: %d has no mapping in linux.gidMappings", g)
		}
		creds.Groups = append(creds.Groups, kg)
	}
	slices.Sort(creds.Groups)
	if caps := p.Capabilities; caps != nil {
		for _, s := range []struct {
			field string
			names []string
			dst   *auth.CapSet
		}{
			{"bounding", caps.Bounding, &creds.Bounding}, {"effective", caps.Effective, &creds.Effective},
			{"permitted", caps.Permitted, &creds.Permitted}, {"inheritable", caps.Inheritable, &creds.Inheritable},
			{"ambient", caps.Ambient, &creds.Ambient},
		} {
			for _, n := range s.names {
				if bit, ok := capByName(n); ok {
					*s.dst |= 1 << bit
				}
			}
		}
	}
	creds.Effective &= creds.Permitted
	creds.Ambient &= creds.Permitted & creds.Inheritable
	return creds, nil
}

// environment is process.env with HOME, as runc adds it. Of a name that is there twice the
// last value counts, at the place of the first.
func environment(t *kernel.Task, p *specs.Process) []string {
	var env []string
	at := map[string]int{}
	for _, e := range p.Env {
		name, _, _ := strings.Cut(e, "=")
		if i, ok := at[name]; ok {
			env[i] = e
			continue
		}
		at[name] = len(env)
		env = append(env, e)
	}
	if _, ok := at["HOME"]; !ok {
		env = append(env, "HOME="+homeOf(t, p.User.UID))
	}
	return env
}

// findProgram finds the file of a command by PATH, as runc does: of a name without a slash,
// what may not be executed is not there.
func findProgram(t *kernel.Task, arg string, env []string) (*vfs.File, string, error) {
	if strings.Contains(arg, "/") {
		f, err := openProgram(t, arg)
		if err != nil {
			return nil, "", fmt.Errorf("exec: %q: %w", arg, describe(err))
		}
		return f, arg, nil
	}
	search := ""
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, "PATH="); ok {
			search = v
		}
	}
	for _, dir := range strings.Split(search, ":") {
		if dir == "" {
			dir = "."
		}
		name := path.Join(dir, arg)
		f, err := openProgram(t, name)
		if err == nil {
			return f, name, nil
		}
	}
	return nil, "", fmt.Errorf("exec: %q: executable file not found in $PATH", arg)
}

func openProgram(t *kernel.Task, name string) (*vfs.File, error) {
	p, err := vfs.Lookup(t.Ctx(), t.FS().Cwd(), name, vfs.LookupFollow)
	if err != nil {
		return nil, err
	}
	if p.Dentry.IsDir() {
		return nil, abi.EISDIR
	}
	return vfs.OpenExec(t.Ctx(), p)
}

func hasFile(t *kernel.Task, fd int32) bool {
	f := t.Files().Get(fd)
	if f == nil {
		return false
	}
	f.DecRef()
	return true
}
