package container

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"lazaret/runsc/cgroup"
	"lazaret/runsc/control"
	"lazaret/runsc/hostnet"
	"lazaret/runsc/sandbox"
	"lazaret/runsc/spec"
)

// CreateOptions say what to create.
type CreateOptions struct {
	ID     string
	Bundle string      // absolute
	Spec   *specs.Spec // validated
	Flags  sandbox.Flags

	// Stdio is what the application gets; with a terminal, its slave side three times.
	Stdio    [3]*os.File
	ExtraFDs []*os.File

	PidFile string

	// Rootless makes failures of cgroups warnings.
	Rootless bool

	// SystemdCgroup has systemd make the groups.
	SystemdCgroup bool

	// NoCgroup leaves the processes in runsc's own groups.
	NoCgroup bool

	// ResolvConf gives the container an /etc/resolv.conf that names the relay of
	// --network user.
	ResolvConf bool

	Starter Starter
	Warn    func(text string)
}

// Creation is a container in state created whose sandbox still ends with this process.
type Creation struct {
	*Container

	// Sandbox is nil for a container that joined another one's sandbox.
	Sandbox Handle
}

// Release lets the container live on when this process ends, and unlocks it.
func (cr *Creation) Release() error {
	defer cr.Unlock()
	if cr.Sandbox != nil {
		return cr.Sandbox.Detach()
	}
	return nil
}

// creator carries a create through its steps.
type creator struct {
	opts *CreateOptions
	c    *Container
	sb   Handle
	args control.CreateArgs
	ran  bool // hooks have run: poststop hooks must
	net  *hostnet.Network
	user *userNetwork // --network user; nil: another

	// scope is what systemd is to make around the first process. It is not the container's
	// before that: one of the same name may be somebody else's.
	scope *cgroup.Cgroup

	pod *Container // whose sandbox it joins; nil: none
}

// Create makes a container up to the state created and returns it locked. On an error
// everything is undone.
func (s *Store) Create(opts *CreateOptions) (*Creation, error) {
	if err := CheckID(opts.ID); err != nil {
		return nil, err
	}
	if err := needPidfds(); err != nil {
		return nil, err
	}
	cr := &creator{opts: opts}
	if err := cr.userNetwork(); err != nil {
		return nil, err
	}
	defer cr.user.close()
	if err := cr.prepare(s); err != nil {
		return nil, err
	}
	err := cr.resolvConf()
	if err == nil {
		err = cr.processes()
	}
	if err == nil {
		err = cr.hooks()
	}
	if err == nil {
		err = cr.network()
	}
	if err == nil {
		err = cr.inSentry()
	}
	if err == nil {
		err = cr.finish()
	}
	if err != nil {
		cr.undo()
		return nil, err
	}
	return &Creation{Container: cr.c, Sandbox: cr.sb}, nil
}

// prepare plans the control groups and puts the state directory in place.
func (cr *creator) prepare(s *Store) error {
	opts := cr.opts
	st := &State{
		OCIVersion: opts.Spec.Version, ID: opts.ID, Status: Creating, Bundle: opts.Bundle,
		Rootfs: spec.RootPath(opts.Spec, opts.Bundle), Created: time.Now().UTC(),
		SandboxID: opts.ID, Creator: procOf(os.Getpid()), Flags: opts.Flags, Spec: opts.Spec,
	}
	if id := s.sandboxFor(opts); id != "" {
		pod, err := s.Load(id)
		if err != nil {
			return fmt.Errorf("join sandbox %q: %w", id, err)
		}
		if status := pod.Status(); status == Stopped || status == Creating || pod.IsSub() {
			return fmt.Errorf("join sandbox %q: it is %s", id, status)
		}
		st.SandboxID, st.Sentry = id, pod.Sentry
		cr.pod = pod
	} else if err := spec.CheckForeign(opts.Spec); err != nil {
		return err
	}
	if !opts.NoCgroup {
		host, err := cgroup.Detect()
		if err != nil {
			return err
		}
		path := ""
		if opts.Spec.Linux != nil {
			path = opts.Spec.Linux.CgroupsPath
		}
		if opts.SystemdCgroup {
			if err = cgroup.CheckSystemd(); err == nil {
				cr.scope, err = host.PlanSystemd(path, opts.ID)
			}
		} else if st.Cgroup, err = host.Plan(path, opts.ID); err == nil {
			st.Cgroup.Optional = opts.Rootless
		}
		if err != nil {
			return err
		}
	}
	dir, lock, err := s.newDir(st)
	if err != nil {
		return err
	}
	cr.c = &Container{State: *st, store: s, dir: dir, lock: lock}
	return nil
}

// processes makes control groups and starts what the container needs on the host.
func (cr *creator) processes() error {
	c, opts := cr.c, cr.opts
	if c.Cgroup != nil {
		if err := c.Cgroup.Create(); err != nil {
			return err
		}
		if err := c.Cgroup.Set(hostResources(c)); err != nil {
			return err
		}
	}
	cr.args = control.CreateArgs{ID: c.ID, Bundle: c.Bundle, Terminal: opts.Spec.Process != nil && opts.Spec.Process.Terminal}
	cfg := &sandbox.Config{
		ID: c.ID, StateDir: c.dir, Bundle: c.Bundle, Spec: opts.Spec, Flags: opts.Flags,
		Stdio: opts.Stdio, ExtraFDs: opts.ExtraFDs,
		Log: warnWriter(opts.Warn), JoinCgroup: cr.adopt,
	}
	if cr.user != nil {
		cfg.NetNS = cr.user.netNS
	}
	if c.IsSub() {
		return cr.joinSandbox(cfg)
	}
	return cr.startSandbox(cfg)
}

func (cr *creator) startSandbox(cfg *sandbox.Config) error {
	listener, err := control.Listen(cr.c.dir)
	if err != nil {
		return err
	}
	defer listener.Close()
	cfg.ControlListener = listener
	// The state knows the processes before they are ready: should runsc be killed, delete
	// finds them.
	cfg.Spawned = func(sentry, gofer int) error {
		cr.c.Sentry, cr.c.Gofer = procOf(sentry), procOf(gofer)
		cr.c.Init = cr.c.Sentry
		return cr.c.save()
	}
	witness := cr.witness()
	if witness != nil {
		cfg.Witness = witness.File
		defer witness.File.Close()
	}
	cr.sb, err = cr.opts.Starter.Start(cfg)
	return err
}

// joinSandbox starts only a Gofer; files go to the running Sentry with the request.
func (cr *creator) joinSandbox(cfg *sandbox.Config) error {
	err := cr.makeRoom()
	if err != nil {
		return err
	}
	if cr.args.Spec, err = json.Marshal(cr.opts.Spec); err != nil {
		return fmt.Errorf("encode configuration: %w", err)
	}
	if cr.args.PIDsOf, err = cr.pidsOf(); err != nil {
		return err
	}
	cfg.SentryPID = cr.c.Sentry.PID
	pid, conn, attach, err := cr.opts.Starter.StartGofer(cfg)
	if err != nil {
		return err
	}
	cr.c.Gofer = procOf(pid)
	cr.args.Attach, cr.args.HasGofer, cr.args.NumStdio = attach, true, 3
	cr.args.Files = []*os.File{conn}
	for _, f := range append(cr.opts.Stdio[:], cr.opts.ExtraFDs...) {
		if f == nil {
			if f, err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
				return fmt.Errorf("open /dev/null: %w", err)
			}
		}
		cr.args.Files = append(cr.args.Files, f)
	}
	return cr.c.save()
}

// pidsOf finds the container whose host process the path of the pid namespace names, as
// kubectl debug --target has it: the namespace inside is that container's.
func (cr *creator) pidsOf() (string, error) {
	pid := 0
	if l := cr.opts.Spec.Linux; l != nil {
		for _, ns := range l.Namespaces {
			if ns.Type == specs.PIDNamespace && ns.Path != "" {
				_, _ = fmt.Sscanf(ns.Path, "/proc/%d/ns/pid", &pid)
			}
		}
	}
	if pid == 0 || pid == cr.c.Sentry.PID {
		return "", nil
	}
	list, _ := cr.c.store.List()
	for _, c := range list {
		if c.SandboxID == cr.c.SandboxID && c.Init.PID == pid && c.ID != cr.c.ID {
			return c.ID, nil
		}
	}
	return "", fmt.Errorf("linux.namespaces: process %d, whose pid namespace is to be joined, is no container of sandbox %q", pid, cr.c.SandboxID)
}

// adopt is called for each new process before it does anything.
func (cr *creator) adopt(pid int) error {
	if err := cr.join(pid); err != nil {
		return err
	}
	if p := cr.opts.Spec.Process; p != nil && p.OOMScoreAdj != nil {
		file := filepath.Join("/proc", strconv.Itoa(pid), "oom_score_adj")
		if err := os.WriteFile(file, []byte(strconv.Itoa(*p.OOMScoreAdj)), 0); err != nil {
			// Lowering it needs CAP_SYS_RESOURCE, which many roots lack.
			cr.warn(fmt.Sprintf("process.oomScoreAdj: %v; the container starts without it", err))
		}
	}
	return nil
}

// join moves a process into the groups, which systemd makes around the first one.
func (cr *creator) join(pid int) error {
	g := cr.c.Cgroup
	if g != nil {
		return g.Join(pid)
	}
	if g = cr.scope; g == nil {
		return nil
	}
	err := g.StartUnit(pid, "runsc container "+cr.c.ID)
	if err != nil {
		return err
	}
	// systemd makes groups of the controllers that it knows, and removes others while they
	// are empty: limits come after the process.
	if err = g.Create(); err == nil {
		err = g.Join(pid)
	}
	if err == nil {
		err = g.Set(hostResources(cr.c))
	}
	if err != nil {
		return errors.Join(err, g.StopUnit(), g.Delete())
	}
	cr.c.Cgroup = g
	return nil
}

func (cr *creator) warn(text string) {
	if cr.opts.Warn != nil {
		cr.opts.Warn(text)
	}
}

// hooks runs those of the create operation.
func (cr *creator) hooks() error {
	h := cr.opts.Spec.Hooks
	if h == nil {
		return nil
	}
	state := cr.c.ociState(Creating)
	if state.Pid == 0 {
		state.Pid = cr.c.Sentry.PID
	}
	for _, set := range []struct {
		name  string
		hooks []specs.Hook
		dir   string
		place *hookPlace
	}{
		//lint:ignore SA1019 deprecated, and used by every docker
		{"prestart", h.Prestart, "", nil},
		{"createRuntime", h.CreateRuntime, "", nil},
		{"createContainer", h.CreateContainer, cr.c.Bundle, containerPlace(cr.opts.Spec, hookMountsOf(&cr.c.State))},
	} {
		cr.ran = cr.ran || len(set.hooks) > 0
		if err := runHooks(set.name, set.hooks, state, set.dir, set.place); err != nil {
			return err
		}
	}
	return nil
}

// inSentry creates the container in the Sentry.
func (cr *creator) inSentry() error {
	if cr.net != nil {
		defer cr.net.Close() // the Sentry has its own copies then
	}
	if err := cr.c.Client().Create(&cr.args); err != nil {
		if errors.Is(err, control.ErrDead) {
			return cr.c.explain("create", err)
		}
		return fmt.Errorf("unable to start container process: %w", err)
	}
	if !cr.c.IsSub() {
		return nil
	}
	// The Sentry has its own copy of the connection now; the Gofer must see the end.
	cr.args.Files[0].Close()
	pid, err := startProxy(cr.c.store.dir(cr.c.SandboxID), cr.c.ID, 0)
	if err != nil {
		return err
	}
	cr.c.Init = procOf(pid)
	return nil
}

// finish makes the new state known.
func (cr *creator) finish() error {
	cr.c.State.Status = Created
	if err := cr.c.save(); err != nil {
		return err
	}
	if cr.opts.PidFile != "" {
		return WritePidFile(cr.opts.PidFile, cr.c.Init.PID)
	}
	return nil
}

// undo takes a failed create back.
func (cr *creator) undo() {
	if cr.sb != nil {
		cr.sb.Kill()
	}
	if cr.c.IsSub() && cr.c.Gofer.PID != 0 {
		_ = cr.c.Client().Destroy(cr.c.ID)
	}
	if err := cr.c.destroy(); err != nil {
		cr.warn(err.Error())
	}
	if cr.ran {
		cr.c.poststop(cr.warn)
	}
	cr.c.Unlock()
}

// hostResources are the limits for the container's groups on the host.
func hostResources(c *Container) *specs.LinuxResources {
	if c.Spec.Linux == nil || c.Spec.Linux.Resources == nil {
		return nil
	}
	if c.IsSub() {
		// Its application runs in the sandbox's groups, beneath the pod's limits; the
		// Sentry counts for this container. Here is only its Gofer.
		return nil
	}
	r := *c.Spec.Linux.Resources
	r.Memory = withAllowance(r.Memory)
	if r.CPU != nil && spec.IsPod(c.Spec) {
		// A pause container asks for next to no processor; the whole pod runs in it.
		cpu := *r.CPU
		cpu.Shares = nil
		r.CPU = &cpu
	}
	return &r
}

// sentryAllowance is what the Sentry and the Gofer may use for themselves on the host,
// beside the container's own memory: it grows with what they have to keep track of.
func sentryAllowance(limit int64) int64 { return 64<<20 + limit/16 }

// withAllowance adds it to the container's limits. The Sentry keeps the application
// within its own; the host's group ends the whole sandbox when it passes these.
func withAllowance(m *specs.LinuxMemory) *specs.LinuxMemory {
	if m == nil {
		return nil
	}
	out := *m
	for _, l := range []**int64{&out.Limit, &out.Swap} {
		if *l != nil && **l > 0 && **l < 1<<50 {
			sum := **l + sentryAllowance(**l)
			*l = &sum
		}
	}
	return &out
}

// WritePidFile writes a pid for an engine, which may be watching: it appears complete.
func WritePidFile(path string, pid int) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("--pid-file: %w", err)
	}
	if err := writeAtomic(abs, []byte(strconv.Itoa(pid)), 0o644); err != nil {
		return fmt.Errorf("--pid-file: %w", err)
	}
	return nil
}

type warnWriter func(string)

func (w warnWriter) Write(p []byte) (int, error) {
	if w != nil {
		w(string(p))
	}
	return len(p), nil
}
