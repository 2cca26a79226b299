package container

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"lazaret/netproxy"
	"lazaret/netstack"
	"lazaret/runsc/hostnet"
	"lazaret/runsc/sandbox"
	"lazaret/runsc/spec"
)

// userNetwork is what --network user and host need of the host, opened before anything is made.
type userNetwork struct {
	published []hostnet.Published
	resolver  hostnet.Resolver
	netNS     *os.File         // where the sockets are; nil: runsc's own namespace
	shown     *netstack.Config // with host: its interfaces
}

// close closes what the proxy has copies of.
func (u *userNetwork) close() {
	if u == nil {
		return
	}
	for i := range u.published {
		_ = u.published[i].File.Close()
	}
	if u.netNS != nil {
		_ = u.netNS.Close()
	}
}

// userNetwork opens published ports: one that is in use fails the creation here.
func (cr *creator) userNetwork() error {
	f := &cr.opts.Flags
	if f.Network != "user" {
		if len(f.Publish) > 0 {
			return fmt.Errorf("--publish needs --network user; with --network %s the ports are those of the network that it names", f.Network)
		}
		if f.Loopback {
			return errors.New("--network-host-loopback needs --network user")
		}
		if f.Network != sandbox.HostNetwork {
			return nil
		}
	}
	if spec.SandboxID(cr.opts.Spec) != "" {
		if len(f.Publish) > 0 {
			return errors.New("--publish: the network is that of the sandbox that the container joins; publish there")
		}
		return nil
	}
	var list []hostnet.Publication
	for _, text := range f.Publish {
		p, err := hostnet.ParsePublish(text)
		if err != nil {
			return err
		}
		list = append(list, p)
	}
	u := &userNetwork{}
	path := givenNetNS(cr.opts.Spec)
	own := true
	err := hostnet.Within(path, func(o bool) (err error) {
		if own = o; f.Network == sandbox.HostNetwork {
			c, err := hostnet.Shown()
			u.shown = &c
			return err
		}
		u.resolver = hostnet.ReadResolver(own)
		u.published, err = hostnet.Publish(list)
		return err
	})
	if err == nil && !own { // entering one's own would need a privilege
		u.netNS, err = os.Open(path)
	}
	if err != nil {
		u.close()
		return err
	}
	cr.user = u
	return nil
}

// givenNetNS is the network namespace that the configuration names; "" if it names none.
func givenNetNS(s *specs.Spec) string {
	if s.Linux == nil {
		return ""
	}
	for _, ns := range s.Linux.Namespaces {
		if ns.Type == specs.NetworkNamespace {
			return ns.Path
		}
	}
	return ""
}

// resolvConf puts a resolv.conf that names the relay over the container's.
func (cr *creator) resolvConf() error {
	if cr.user == nil || !cr.opts.ResolvConf || cr.user.shown != nil {
		return nil
	}
	const inside = "/etc/resolv.conf"
	at := filepath.Join(spec.RootPath(cr.opts.Spec, cr.opts.Bundle), inside)
	if st, err := os.Lstat(at); err == nil && st.Mode()&os.ModeSymlink != 0 {
		if _, err := os.Stat(at); err != nil {
			cr.warn(inside + " is a link to nothing: names are not resolved inside (nameserver " + netproxy.Nameserver() + ")")
			return nil
		}
	}
	path := filepath.Join(cr.c.dir, "resolv.conf")
	if err := os.WriteFile(path, []byte(netproxy.ResolvConf(cr.user.resolver.Search)), 0o644); err != nil {
		return fmt.Errorf("make a resolv.conf: %w", err)
	}
	cr.opts.Spec.Mounts = append(cr.opts.Spec.Mounts, specs.Mount{
		Destination: inside, Type: "bind", Source: path, Options: []string{"bind", "ro"}})
	return nil
}

// start starts the proxy and has the Sentry get its end of the wire. Of the host's own network
// the Sentry only gets to know what there is: it is in its namespace.
func (u *userNetwork) start(cr *creator) (err error) {
	if u.shown != nil {
		if cr.args.Network, err = json.Marshal(u.shown); err != nil {
			return fmt.Errorf("encode the network: %w", err)
		}
		return nil
	}
	np := &sandbox.NetProxy{NetNS: sandbox.NoFD, Net: netproxy.Config{Resolvers: u.resolver.Servers, HostLoopback: cr.opts.Flags.Loopback}}
	for i := range u.published {
		p := &u.published[i]
		np.Net.Published = append(np.Net.Published, netproxy.Published{UDP: p.UDP, Port: p.Port})
		np.Published = append(np.Published, p.File)
		cr.c.Published = append(cr.c.Published, p.String())
	}
	if u.netNS != nil {
		np.NetNS = int(u.netNS.Fd())
	}
	cfg := &sandbox.Config{ID: cr.c.ID, StateDir: cr.c.dir, Flags: cr.opts.Flags, SentryPID: cr.c.Sentry.PID, JoinCgroup: cr.adopt}
	pid, wire, err := cr.opts.Starter.StartNetProxy(cfg, np)
	if err != nil {
		return fmt.Errorf("--network user: %w", err)
	}
	cr.c.Net = procOf(pid)
	cr.net = &hostnet.Network{Config: *netproxy.Guest(), Files: []*os.File{wire}}
	if cr.args.Network, err = json.Marshal(&cr.net.Config); err != nil {
		return fmt.Errorf("encode the network: %w", err)
	}
	cr.args.Files = cr.net.Files
	return cr.c.save()
}
