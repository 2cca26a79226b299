package hostnet

import (
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// Resolver is what a resolv.conf(5) says.
type Resolver struct {
	Servers []netip.Addr // a zone is the number of an interface
	Search  []string
}

// The files that may say who resolves names. systemd-resolved's stub is on the loopback of the
// host's own namespace, the file of its servers is for everybody else.
const (
	resolvConf   = "/etc/resolv.conf"
	resolvedConf = "/run/systemd/resolve/resolv.conf"
)

// ReadResolver reads the host's. own says that the sockets are in the namespace where its
// programs are, so that a resolver on its loopback is reached.
func ReadResolver(own bool) Resolver {
	text, _ := os.ReadFile(resolvConf)
	r := parseResolver(string(text))
	if !own && len(r.Servers) > 0 && r.Servers[0].IsLoopback() {
		if text, err := os.ReadFile(resolvedConf); err == nil {
			r.Servers = parseResolver(string(text)).Servers
		}
	}
	if len(r.Servers) == 0 {
		r.Servers = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})} // resolv.conf(5)
	}
	return r
}

// Limits of resolv.conf(5), and of what is believed of a file.
const (
	maxServers = 3
	maxSearch  = 32
)

func parseResolver(text string) Resolver {
	var r Resolver
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		switch f[0] {
		case "nameserver":
			ip, err := netip.ParseAddr(f[1])
			if err != nil || len(r.Servers) == maxServers {
				continue
			}
			if ip = ip.Unmap(); ip.Zone() != "" {
				i, err := net.InterfaceByName(ip.Zone())
				if err != nil {
					continue
				}
				ip = ip.WithZone(strconv.Itoa(i.Index))
			}
			r.Servers = append(r.Servers, ip)
		case "search", "domain":
			r.Search = f[1:min(len(f), 1+maxSearch)]
		}
	}
	return r
}
