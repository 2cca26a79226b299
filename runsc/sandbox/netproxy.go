package sandbox

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"lazaret/netproxy"
	"lazaret/runsc/seccomp"
	"lazaret/runsc/timeline"
)

// NetProxyCommand is the hidden command of the network proxy.
const NetProxyCommand = "netproxy"

// NetProxyConfig is what a network proxy gets to know.
type NetProxyConfig struct {
	SentryFD  int // pidfd: it ends with the Sentry
	TraceFD   int
	SetGroups bool
	Net       netproxy.Config
}

// NetProxy says what to start. The caller keeps its files.
type NetProxy struct {
	Net       netproxy.Config // the descriptors are set by StartNetProxy
	Published []*os.File      // those of Net.Published, in order
	NetNS     int             // descriptor of the namespace of its sockets; NoFD: the caller's
}

// The buffers of the wire, and how long a sender waits for room in it: long enough for a
// busy machine, and both ends may have to wait for one another.
const (
	wireBuffer = 4 << 20
	wireWait   = 100 * time.Millisecond
)

// StartNetProxy starts the network proxy of the sandbox of cfg.SentryPID. The returned file is
// the Sentry's end of the wire. The proxy ends with the Sentry.
func StartNetProxy(cfg *Config, np *NetProxy) (int, *os.File, error) {
	s := &starter{cfg: cfg, nursery: newNursery()}
	defer s.nursery.close()
	fd, err := unix.PidfdOpen(cfg.SentryPID, 0)
	if err != nil {
		return 0, nil, fmt.Errorf("sandbox process %d: %w", cfg.SentryPID, err)
	}
	s.sentry = &child{what: BootCommand, pidFD: os.NewFile(uintptr(fd), "pidfd")}
	defer s.sentry.close()
	sealInherited()
	if s.null, err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
		return 0, nil, fmt.Errorf("open /dev/null: %w", cause(err))
	}
	defer s.closeOwn()
	// It is kept where closeOwn closes it.
	if s.goferLog, err = s.openLog(netProxyLogName); err != nil {
		return 0, nil, err
	}
	wire, far, err := wirePair()
	if err != nil {
		return 0, nil, err
	}
	var c *child
	var conf NetProxyConfig
	err = s.nursery.do(func() (err error) {
		c, conf, err = s.spawnNetProxy(np, far)
		return err
	})
	_ = far.Close()
	if err == nil {
		if err = s.configureOne(c, &conf); err == nil {
			pid := c.proc.PID
			if err = release(c); err == nil {
				return pid, wire, nil
			}
			err = fmt.Errorf("network proxy process ended during its start: %w", err)
		} else {
			c.kill()
		}
	}
	_ = wire.Close()
	return 0, nil, err
}

// spawnNetProxy starts the process; it then waits for its configuration. It runs on the
// nursery's thread.
func (s *starter) spawnNetProxy(np *NetProxy, far *os.File) (*child, NetProxyConfig, error) {
	var conf NetProxyConfig
	if np.NetNS != NoFD {
		if err := enterNetNS(np.NetNS); err != nil {
			return nil, conf, err
		}
	}
	sync, kid, err := syncPair()
	if err != nil {
		return nil, conf, err
	}
	defer kid.Close()
	ids := sentryMapping()
	d := newDonation(s.null, s.goferLog, kid)
	conf = NetProxyConfig{SetGroups: ids.setGroups, Net: np.Net, SentryFD: d.add(s.sentry.pidFD), TraceFD: d.add(timeline.File())}
	conf.Net.LinkFD = d.add(far)
	for i, f := range np.Published {
		conf.Net.Published[i].FD = d.add(f)
	}
	attr := &launchAttr{flags: sandboxNamespaces &^ unix.CLONE_NEWNET, ambient: setupCaps}
	ids.apply(attr)
	c, err := spawn(s.cfg.Exe, NetProxyCommand, s.cfg.ID, d, sync, attr)
	if err != nil {
		_ = sync.Close()
		return nil, conf, err
	}
	c.log = s.goferLog
	return c, conf, nil
}

// wirePair makes the wire between a Sentry and its network proxy; one packet is one frame.
func wirePair() (*os.File, *os.File, error) {
	near, far, err := goferPair()
	if err != nil {
		return nil, nil, err
	}
	wait := unix.NsecToTimeval(int64(wireWait))
	for _, f := range []*os.File{near, far} {
		fd := int(f.Fd())
		// Without privileges the host's own limit holds.
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, wireBuffer) != nil {
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, wireBuffer)
		}
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &wait); err != nil {
			_ = near.Close()
			_ = far.Close()
			return nil, nil, fmt.Errorf("make the wire: %w", err)
		}
	}
	return near, far, nil
}

// NetProxyMain is the whole life of a re-executed network proxy. It does not return.
func NetProxyMain() {
	cfg := &NetProxyConfig{}
	f, err := readConfig(cfg)
	if err != nil {
		fmt.Fprintln(os.Stderr, "netproxy:", err)
		os.Exit(1)
	}
	closeOnExec(f)
	nameProcess("lazaret-net")
	traceStart("netproxy", cfg.TraceFD)
	t := newTether(f)
	unix.CloseOnExec(cfg.SentryFD)
	watchSentry(cfg.SentryFD)
	p, err := confineNetProxy(cfg, t)
	if err != nil {
		t.fail(err)
	}
	timeline.Mark("ready")
	if err := t.ready(); err != nil {
		t.fail(err)
	}
	Settle()
	// It returns when the Sentry has closed the wire, which it does when it ends.
	_ = p.Serve()
	os.Exit(0)
}

// confineNetProxy leaves this process its wire, the sockets of published ports and the
// network namespace that it is in.
func confineNetProxy(cfg *NetProxyConfig, t *tether) (*netproxy.Proxy, error) {
	last := lastCap()
	all, err := openThreads()
	if err != nil {
		return nil, err
	}
	defer all.close()
	if err := startNetpoll(); err != nil {
		return nil, err
	}
	if err := setIDs(all, cfg.SetGroups); err != nil {
		return nil, err
	}
	if err := hideHostname(); err != nil {
		return nil, err
	}
	if err := enterEmptyRoot(nil); err != nil {
		return nil, err
	}
	if err := limitResources(); err != nil {
		return nil, err
	}
	if err := limitCaps(all, nil, last, usualSlackNS); err != nil {
		return nil, err
	}
	if err := lockProcess(); err != nil {
		return nil, err
	}
	p, err := netproxy.New(cfg.Net)
	if err != nil {
		return nil, err
	}
	t.holdOn()
	return p, installFilter(seccomp.NetProxy)
}
