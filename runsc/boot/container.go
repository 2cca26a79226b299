package boot

import (
	"fmt"
	"sync"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"lazaret/runsc/control"
	"lazaret/sentry/auth"
	"lazaret/sentry/fs/gofer"
	"lazaret/sentry/kernel"
	"lazaret/sentry/memfile"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// container is one container of the sandbox.
type container struct {
	s      *Sentry
	id     string
	bundle string // on the host; hooks are told
	spec   *specs.Spec
	pidsOf string // see control.CreateArgs
	kc     *kernel.Container
	acct   *memfile.Account
	gofer  *gofer.Client
	ns     *kernel.Namespaces
	userNS *auth.UserNamespace
	root   vfs.Path
	fds    containerFDs
	net    *hostNetwork

	terminals terminals

	mu        sync.Mutex
	hostCPU   bool                    // the host's groups limit its processor time
	resources specs.LinuxResources    // limits, see limits.go
	status    control.ContainerStatus // without a pause; see shownLocked
	paused    bool
	starting  bool // startContainer hooks run
	init      *kernel.Task
	initProc  *process           // of init; not in procs before it was started
	procs     map[int32]*process // by pid in the container; init too
}

// process is a process that runsc started: init, or an exec.
type process struct {
	task *kernel.Task
	done chan struct{} // closed when it has ended
	code control.ExitStatus
}

// newContainer builds everything up to a program that is ready to start.
func (s *Sentry) newContainer(args *control.CreateArgs, spec *specs.Spec, fds containerFDs, net *hostNetwork) (*container, error) {
	c := &container{
		s: s, id: args.ID, bundle: args.Bundle, spec: spec, pidsOf: args.PIDsOf, fds: fds, net: net, acct: &memfile.Account{}, status: control.StatusCreated, procs: map[int32]*process{},
	}
	err := c.build()
	c.fds.close() // what nothing was made of
	if err != nil {
		if limit := c.acct.Limit(); limit != 0 && c.acct.Fails() > 0 {
			err = fmt.Errorf("linux.resources.memory.limit: %d bytes are not enough to start (%w); raise it", limit, err)
		}
		c.release()
		return nil, err
	}
	return c, nil
}

// build makes the kernel's side of the container and its first process.
func (c *container) build() error {
	pids, err := c.sharedPIDs()
	if err != nil {
		return err
	}
	if c.kc, err = c.s.k.NewContainer(c.id, c.acct, pids); err != nil {
		return fmt.Errorf("make container %q: %w", c.id, err)
	}
	data := &containerData{c: c}
	c.kc.Data = data
	if c.s.first() == nil {
		c.hostCPU = true
		data.witness = newWitness(c.s.cfg.WitnessFD)
	} else {
		c.s.shareCPU()
	}
	if l := c.spec.Linux; l != nil && l.Resources != nil {
		c.setLimits(l.Resources)
	}
	if err := c.makeUserNS(); err != nil {
		return err
	}
	if c.init, err = c.makeInit(); err != nil {
		return err
	}
	c.initProc = &process{task: c.init, done: make(chan struct{})}
	return nil
}

// sharedPIDs returns the pid namespace that a further container of the sandbox shares
// with another, mostly the first: it names one by a path, or asks for none of its own.
// nil: a new one.
func (c *container) sharedPIDs() (*kernel.PIDNamespace, error) {
	with := c.s.first()
	if with == nil || c.spec.Linux == nil {
		return nil, nil
	}
	for _, ns := range c.spec.Linux.Namespaces {
		if ns.Type == specs.PIDNamespace && ns.Path == "" {
			return nil, nil
		}
	}
	if c.pidsOf != "" {
		var err error
		if with, err = c.s.container(c.pidsOf); err != nil {
			return nil, err
		}
	}
	return with.kc.PIDNS(), nil
}

// makeUserNS makes the user namespace that the spec's mappings describe; without any the
// container's ids are the sandbox's.
func (c *container) makeUserNS() error {
	c.userNS = c.s.k.RootUserNS
	l := c.spec.Linux
	if l == nil || len(l.UIDMappings) == 0 && len(l.GIDMappings) == 0 {
		return nil
	}
	root := rootCreds(c.s.k.RootUserNS)
	creds, err := root.NewUserNS(c.s.k.NewInode())
	if err != nil {
		return fmt.Errorf("linux.uidMappings: %w", err)
	}
	creds.UserNS.SetMaps(extents(l.UIDMappings), extents(l.GIDMappings))
	c.userNS = creds.UserNS
	return nil
}

func extents(maps []specs.LinuxIDMapping) []auth.Extent {
	var out []auth.Extent
	for _, m := range maps {
		out = append(out, auth.Extent{First: m.ContainerID, LowerFirst: m.HostID, Len: m.Size})
	}
	return out
}

// rootCreds are root's, with all capabilities, in ns.
func rootCreds(ns *auth.UserNamespace) *auth.Creds {
	const all = auth.CapSet(1)<<(capLast+1) - 1
	uid, _ := ns.KUID(0)
	gid, _ := ns.KGID(0)
	return &auth.Creds{
		RUID: uid, EUID: uid, SUID: uid, FSUID: uid, RGID: gid, EGID: gid, SGID: gid, FSGID: gid,
		Permitted: all, Effective: all, Bounding: all, UserNS: ns,
	}
}

// release frees what newContainer made. The tasks have ended.
func (c *container) release() {
	if c.init != nil && c.status == control.StatusCreated {
		c.init.Abandon()
		if c.initProc != nil { // who waits for it hears that it was killed
			c.initProc.code = abi.SIGKILL
			close(c.initProc.done)
		}
	}
	if c.kc != nil {
		_ = c.s.k.RemoveContainer(c.kc) // EBUSY: tasks that are still exiting keep it
	}
	if c.gofer != nil {
		c.gofer.Close()
	}
}
