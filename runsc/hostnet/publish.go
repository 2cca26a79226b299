package hostnet

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxPublished bounds the sockets of all published ports.
const maxPublished = 1024

// Publication is what one --publish asks for: Count ports of the host that lead to ports
// inside.
type Publication struct {
	text string

	Host     netip.Addr // not valid: all addresses, of both protocols
	HostPort uint16     // 0: the host's kernel chooses one
	Port     uint16
	Count    int
	UDP      bool
}

// ParsePublish reads [address:][hostport:]port[/tcp|/udp]; ports may be ranges of the same
// length, an IPv6 address is in brackets.
func ParsePublish(text string) (Publication, error) {
	p := Publication{text: text}
	fail := func(why string) (Publication, error) {
		return p, fmt.Errorf("--publish %q: %s; want [address:][hostport:]port[/tcp|/udp]", text, why)
	}
	rest, proto, given := strings.Cut(text, "/")
	if p.UDP = proto == "udp"; given && !p.UDP && proto != "tcp" {
		return fail(fmt.Sprintf("%q is neither tcp nor udp", proto))
	}
	i := strings.LastIndexByte(rest, ':')
	port, last, ok := portRange(rest[i+1:])
	if !ok || port == 0 {
		return fail("no port inside")
	}
	p.Port, p.Count = port, int(last)-int(port)+1
	if i < 0 {
		return p, nil
	}
	rest = rest[:i]
	i = strings.LastIndexByte(rest, ':')
	if strings.HasSuffix(rest, "]") {
		return fail("no port of the host behind its address")
	}
	if host := rest[i+1:]; host != "" {
		first, last, ok := portRange(host)
		if !ok {
			return fail("no port of the host")
		}
		if n := int(last) - int(first) + 1; n != p.Count {
			return fail(fmt.Sprintf("%d ports of the host for %d inside", n, p.Count))
		}
		p.HostPort = first
	}
	if i < 0 {
		return p, nil
	}
	addr := strings.TrimSuffix(strings.TrimPrefix(rest[:i], "["), "]")
	ip, err := netip.ParseAddr(addr)
	if err != nil || ip.Zone() != "" || ip.Is6() != strings.HasPrefix(rest, "[") {
		return fail(fmt.Sprintf("%q is no address", rest[:i]))
	}
	p.Host = ip.Unmap()
	return p, nil
}

// portRange reads N or N-M.
func portRange(s string) (first, last uint16, ok bool) {
	a, b, isRange := strings.Cut(s, "-")
	n, err := strconv.ParseUint(a, 10, 16)
	if err != nil {
		return 0, 0, false
	}
	first, last = uint16(n), uint16(n)
	if isRange {
		if n, err = strconv.ParseUint(b, 10, 16); err != nil || uint16(n) < first || first == 0 {
			return 0, 0, false
		}
		last = uint16(n)
	}
	return first, last, true
}

// Published is an open socket of the host.
type Published struct {
	File *os.File
	At   netip.AddrPort
	Port uint16 // inside
	UDP  bool
}

// Publish opens the sockets that publications ask for in the namespace that the thread is in.
func Publish(list []Publication) ([]Published, error) {
	var out []Published
	fail := func(err error) ([]Published, error) {
		for i := range out {
			_ = out[i].File.Close()
		}
		return nil, err
	}
	for i := range list {
		p := &list[i]
		if len(out)+p.Count > maxPublished/2 {
			return fail(fmt.Errorf("--publish: more than %d ports", maxPublished/2))
		}
		for n := range p.Count {
			got, err := p.open(uint16(n))
			if err != nil {
				return fail(err)
			}
			out = append(out, got...)
		}
	}
	return out, nil
}

// open opens the sockets of the nth port.
func (p *Publication) open(n uint16) ([]Published, error) {
	port := p.HostPort
	if port != 0 {
		port += n
	}
	if p.Host.IsValid() {
		s, err := p.listen(netip.AddrPortFrom(p.Host, port), p.Port+n)
		if err != nil {
			return nil, err
		}
		return []Published{s}, nil
	}
	s4, err := p.listen(netip.AddrPortFrom(netip.IPv4Unspecified(), port), p.Port+n)
	if err != nil {
		return nil, err
	}
	s6, err := p.listen(netip.AddrPortFrom(netip.IPv6Unspecified(), s4.At.Port()), p.Port+n)
	switch {
	case err == nil:
		return []Published{s4, s6}, nil
	case port == 0, errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.EADDRNOTAVAIL):
		return []Published{s4}, nil // the host has no IPv6, or the chosen number is taken there
	}
	_ = s4.File.Close()
	return nil, err
}

// listen opens a socket on an address of the host.
func (p *Publication) listen(at netip.AddrPort, inside uint16) (Published, error) {
	fail := func(err error) (Published, error) {
		do := ""
		switch {
		case errors.Is(err, unix.EADDRINUSE):
			do = "; choose another port"
		case errors.Is(err, unix.EACCES):
			do = "; a port below 1024 needs CAP_NET_BIND_SERVICE or a lower net.ipv4.ip_unprivileged_port_start"
		}
		return Published{}, fmt.Errorf("--publish %q: listen on %s: %w%s", p.text, at, err, do)
	}
	typ := unix.SOCK_STREAM
	if p.UDP {
		typ = unix.SOCK_DGRAM
	}
	family, addr := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Addr: at.Addr().As16(), Port: int(at.Port())})
	if at.Addr().Is4() {
		family, addr = unix.AF_INET, &unix.SockaddrInet4{Addr: at.Addr().As4(), Port: int(at.Port())}
	}
	fd, err := unix.Socket(family, typ|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return fail(err)
	}
	if family == unix.AF_INET6 {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	}
	if err == nil && !p.UDP {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	}
	if err == nil {
		err = unix.Bind(fd, addr)
	}
	if err == nil && !p.UDP {
		err = unix.Listen(fd, 4096)
	}
	var bound unix.Sockaddr
	if err == nil {
		bound, err = unix.Getsockname(fd)
	}
	if err != nil {
		unix.Close(fd)
		return fail(err)
	}
	switch b := bound.(type) {
	case *unix.SockaddrInet4:
		at = netip.AddrPortFrom(at.Addr(), uint16(b.Port))
	case *unix.SockaddrInet6:
		at = netip.AddrPortFrom(at.Addr(), uint16(b.Port))
	}
	return Published{File: os.NewFile(uintptr(fd), "published "+at.String()), At: at, Port: inside, UDP: p.UDP}, nil
}

// String is what is shown to people.
func (p *Published) String() string {
	proto := "tcp"
	if p.UDP {
		proto = "udp"
	}
	return fmt.Sprintf("%s/%s -> %d", p.At, proto, p.Port)
}
