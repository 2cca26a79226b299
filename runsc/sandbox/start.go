package sandbox

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"lazaret/runsc/timeline"
)

// starter holds what Start makes, so that it can be undone.
type starter struct {
	cfg        *Config
	nursery    *nursery
	trees      []Tree
	null       *os.File
	sentryLog  *os.File
	goferLog   *os.File
	straceLog  *os.File
	pcap       *os.File
	conn       *os.File // Sentry's end of the Gofer connection
	goferConn  *os.File
	bootConfig BootConfig
	goferCfg   GoferConfig
	sentry     *child
	gofer      *child
}

// Start starts the Sentry and the Gofer of a sandbox's first container and returns when
// both are confined and ready. The sandbox ends with this process until Detach is
// called. On an error nothing is left.
func Start(cfg *Config) (*Sandbox, error) {
	s := &starter{cfg: cfg, nursery: newNursery()}
	defer s.closeOwn()
	err := s.prepare()
	timeline.Mark("sandbox prepared")
	if err == nil {
		err = s.nursery.do(s.spawnSentry)
	}
	timeline.Mark("sentry cloned")
	if err == nil {
		err = s.nursery.do(s.spawnGofer)
	}
	timeline.Mark("gofer cloned")
	if err == nil {
		err = s.configure()
	}
	if err != nil {
		s.sentry.kill()
		s.gofer.kill()
		s.nursery.close()
		return nil, err
	}
	return s.finish(), nil
}

// StartGofer starts the Gofer of a further container in the sandbox of cfg.SentryPID.
// The returned file is the Sentry's end of the connection; the Attach list comes from
// AttachList. The Gofer ends with the Sentry.
func StartGofer(cfg *Config) (int, *os.File, error) {
	s := &starter{cfg: cfg, nursery: newNursery()}
	defer s.closeOwn()
	defer s.nursery.close()
	fd, err := unix.PidfdOpen(cfg.SentryPID, 0)
	if err != nil {
		return 0, nil, fmt.Errorf("sandbox process %d: %w", cfg.SentryPID, err)
	}
	s.sentry = &child{what: BootCommand, pidFD: os.NewFile(uintptr(fd), "pidfd")}
	defer s.sentry.close()
	if err = s.prepare(); err == nil {
		err = s.nursery.do(s.spawnGofer)
	}
	if err == nil {
		err = s.configureOne(s.gofer, &s.goferCfg)
	}
	if err != nil {
		s.gofer.kill()
		return 0, nil, err
	}
	pid := s.gofer.proc.PID
	if err := release(s.gofer); err != nil {
		return 0, nil, fmt.Errorf("gofer process ended during its start: %w", err)
	}
	conn := s.conn
	s.conn = nil
	return pid, conn, nil
}

// AttachList is what the Gofer of a container serves, in order.
func AttachList(cfg *Config) ([]Attach, error) {
	trees, err := planTrees(cfg)
	if err != nil {
		return nil, err
	}
	return attachList(trees), nil
}

func attachList(trees []Tree) []Attach {
	list := make([]Attach, len(trees))
	for i := range trees {
		list[i] = trees[i].Attach
	}
	return list
}

// prepare checks the configuration and opens what both children need.
func (s *starter) prepare() (err error) {
	if s.trees, err = planTrees(s.cfg); err != nil {
		return err
	}
	sealInherited()
	if s.null, err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
		return fmt.Errorf("open /dev/null: %w", cause(err))
	}
	if s.sentryLog, err = s.openLog(sentryLogName); err != nil {
		return err
	}
	if s.goferLog, err = s.openLog(goferLogName); err != nil {
		return err
	}
	if s.cfg.Flags.Pcap != "" {
		if s.pcap, err = os.OpenFile(s.cfg.Flags.Pcap, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOCTTY, 0o600); err != nil {
			return fmt.Errorf("--pcap: %w", err)
		}
	}
	if s.cfg.Flags.StraceLog != "" {
		if s.straceLog, err = openAppend(s.cfg.Flags.StraceLog); err != nil {
			return fmt.Errorf("--strace-log: %w", err)
		}
	}
	s.conn, s.goferConn, err = goferPair()
	return err
}

// openLog opens --debug-log, or name in the state directory.
func (s *starter) openLog(name string) (*os.File, error) {
	if s.cfg.Flags.DebugLog != "" {
		f, err := openAppend(s.cfg.Flags.DebugLog)
		if err != nil {
			return nil, fmt.Errorf("--debug-log: %w", err)
		}
		return f, nil
	}
	if s.cfg.StateDir == "" {
		return s.null, nil
	}
	return openAppend(filepath.Join(s.cfg.StateDir, name))
}

func openAppend(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND|unix.O_NOCTTY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log %q: %w", path, cause(err))
	}
	return f, nil
}

// spawnSentry starts the Sentry; it then waits for its configuration.
func (s *starter) spawnSentry() error {
	sync, kid, err := syncPair()
	if err != nil {
		return err
	}
	// The child's ends are closed here at once: its death must show as end of file.
	defer kid.Close()
	ids := sentryMapping()
	d := newDonation(s.null, s.sentryLog, kid)
	b := &s.bootConfig
	*b = BootConfig{Flags: s.cfg.Flags, SetGroups: ids.setGroups}
	b.ControlFD = d.add(s.cfg.ControlListener)
	b.Gofer = GoferConn{FD: d.add(s.conn), Attach: attachList(s.trees)}
	b.StraceFD = d.add(s.straceLog)
	b.PcapFD = d.add(s.pcap)
	b.TraceFD = d.add(timeline.File())
	b.WitnessFD = d.add(s.cfg.Witness)
	for i, f := range s.cfg.Stdio {
		b.StdioFDs[i] = d.add(f)
	}
	for _, f := range s.cfg.ExtraFDs {
		b.ExtraFDs = append(b.ExtraFDs, d.add(f))
	}
	attr := &launchAttr{flags: sandboxNamespaces, ambient: setupCaps}
	if s.cfg.Flags.Network == HostNetwork {
		attr.flags &^= unix.CLONE_NEWNET
		if s.cfg.NetNS != nil {
			if err := enterNetNS(int(s.cfg.NetNS.Fd())); err != nil {
				return err
			}
		}
	}
	ids.apply(attr)
	if s.sentry, err = spawn(s.cfg.Exe, BootCommand, s.cfg.ID, d, sync, attr); err != nil {
		_ = sync.Close()
		return err
	}
	s.sentry.log = s.sentryLog
	_ = s.conn.Close()
	return nil
}

// spawnGofer starts the Gofer; it then waits for its configuration.
func (s *starter) spawnGofer() error {
	sync, kid, err := syncPair()
	if err != nil {
		return err
	}
	// The child's ends are closed here at once: its death must show as end of file.
	defer kid.Close()
	d := newDonation(s.null, s.goferLog, kid)
	s.goferCfg = GoferConfig{
		Trees: s.trees, HostUDS: s.cfg.Flags.HostUDS, Debug: s.cfg.Flags.Debug,
		ConnFD: d.add(s.goferConn), SentryFD: d.add(s.sentry.pidFD), TraceFD: d.add(timeline.File()),
	}
	attr := &launchAttr{flags: sandboxNamespaces}
	s.goferUser(attr)
	if s.gofer, err = spawn(s.cfg.Exe, GoferCommand, s.cfg.ID, d, sync, attr); err != nil {
		_ = sync.Close()
		return err
	}
	s.gofer.log = s.goferLog
	_ = s.goferConn.Close()
	return nil
}

// goferUser gives the Gofer a user namespace where it needs one: when the container has
// id mappings (files then carry mapped ids), or when runsc is not root.
func (s *starter) goferUser(attr *launchAttr) {
	linux := s.cfg.Spec.Linux
	if os.Geteuid() == 0 && (linux == nil || len(linux.UIDMappings) == 0) {
		s.goferCfg.SetGroups = mayMapIDs()
		return
	}
	s.goferCfg.InUserNS = true
	if os.Geteuid() != 0 || !mayMapIDs() {
		idMapping{uid: uint32(os.Geteuid()), gid: uint32(os.Getegid())}.apply(attr)
		return
	}
	attr.flags |= unix.CLONE_NEWUSER
	attr.maps = &userMaps{uids: linux.UIDMappings, gids: linux.GIDMappings, setGroups: true}
	attr.ambient = slices.Concat(setupCaps, goferCapList)
	s.goferCfg.SetGroups = true
}

// Logs in the state directory, unless --debug-log names another.
const (
	sentryLogName   = "sentry.log"
	goferLogName    = "gofer.log"
	netProxyLogName = "netproxy.log"
)

// outcome is how a child came up.
type outcome struct {
	c   *child
	err error
}

// configure brings both children up side by side.
func (s *starter) configure() error {
	// What takes time here is done while they are being executed.
	var err error
	if s.bootConfig.RawSpec, err = json.Marshal(s.cfg.Spec); err != nil {
		return fmt.Errorf("encode configuration: %w", err)
	}
	s.bootConfig.Host = readHost(s.cfg.Spec)
	done := make(chan outcome, 2)
	go func() { done <- outcome{s.gofer, s.configureOne(s.gofer, &s.goferCfg)} }()
	go func() { done <- outcome{s.sentry, s.configureOne(s.sentry, &s.bootConfig)} }()
	if s.cfg.Spawned != nil {
		if err := s.cfg.Spawned(s.sentry.proc.PID, s.gofer.proc.PID); err != nil {
			// Each child has one who waits for its execve, whom the kernel wakes; kill must not
			// be a second one.
			s.sentry.proc.Kill()
			s.gofer.proc.Kill()
			<-done
			<-done
			return err
		}
	}
	first := <-done
	if first.err != nil {
		s.hearOut(first)
	}
	second := <-done
	if first.err == nil || second.err == nil || errors.Is(second.err, os.ErrDeadlineExceeded) {
		return cmp.Or(first.err, second.err)
	}
	// One ended because the other did: what a child said counts more than how one
	// ended, and how the Sentry ended more than how the Gofer did.
	for _, o := range []outcome{first, second} {
		if errors.As(o.err, new(*childError)) {
			return o.err
		}
	}
	if second.c == s.sentry {
		return second.err
	}
	return first.err
}

// hearOut gives the other child a moment to say what went wrong.
func (s *starter) hearOut(first outcome) {
	other := s.sentry
	if first.c == s.sentry {
		other = s.gofer
	}
	_ = other.sync.SetReadDeadline(time.Now().Add(hearOut))
}

// configureOne moves a child to its cgroup, sends its configuration and waits for it.
func (s *starter) configureOne(c *child, config any) error {
	// Not before it has a memory of its own: what is set for it would be set for this process.
	if err := c.launch.await(); err != nil {
		return err
	}
	c.launch = nil
	timeline.Mark(c.what + " executed")
	if s.cfg.JoinCgroup != nil {
		if err := s.cfg.JoinCgroup(c.proc.PID); err != nil {
			return fmt.Errorf("put the %s process into its cgroup: %w", c.what, err)
		}
	}
	err := sendConfig(c.sync, config)
	timeline.Mark(c.what + " configured")
	if err == nil {
		err = awaitReady(c.sync)
	}
	timeline.Mark(c.what + " ready")
	return c.failed(err)
}

// closeOwn closes what only Start needed.
func (s *starter) closeOwn() {
	files := []*os.File{s.conn, s.goferConn, s.straceLog, s.pcap}
	for _, f := range []*os.File{s.sentryLog, s.goferLog} {
		if f != s.null {
			files = append(files, f)
		}
	}
	for _, f := range append(files, s.null) {
		if f != nil {
			_ = f.Close()
		}
	}
}
