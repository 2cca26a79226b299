package netlink

import (
	"encoding/binary"
	"testing"

	"lazaret/netstack"
	"lazaret/sentry/auth"
	"lazaret/sentry/socket/inet"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// linkRequest is the body of a RTM_NEWLINK that makes a link.
func linkRequest(kind, name, peer string) []byte {
	var data, info, m builder
	if peer != "" {
		p := builder{b: make([]byte, ifinfoSize)}
		p.str(abi.IFLA_IFNAME, peer)
		data.attr(abi.VETH_INFO_PEER, p.b)
	}
	info.str(abi.IFLA_INFO_KIND, kind)
	info.attr(abi.IFLA_INFO_DATA, data.b)
	m.str(abi.IFLA_IFNAME, name)
	m.attr(abi.IFLA_LINKINFO, info.b)
	return append(make([]byte, ifinfoSize), m.b...)
}

// outcome makes a request and returns its errno.
func outcome(ctx *vfs.Context, s *Socket, typ, flags uint16, body []byte) abi.Errno {
	_ = ask(ctx, s, typ, flags|abi.NLM_F_ACK, body)
	for _, r := range answers(ctx, s) {
		if r.typ == abi.NLMSG_ERROR {
			return abi.Errno(-int32(binary.LittleEndian.Uint32(r.body)))
		}
	}
	return abi.EBADMSG
}

// other is a Finder that knows one namespace, under any name.
type other struct{ *inet.Namespace }

func (o other) ByFD(*vfs.Context, int32) *inet.Namespace  { return o.Namespace }
func (o other) ByPID(*vfs.Context, int32) *inet.Namespace { return o.Namespace }

// TestNewLinks: links are made, moved, charged and gone; who may not is refused.
func TestNewLinks(t *testing.T) {
	ctx, in, s := testSocket(t, abi.NETLINK_ROUTE)
	far := inet.NewNamespace(in.UserNS)
	t.Cleanup(far.Release)
	s.ns.find = other{far}
	heard, err := Family{s.ns}.NewSocket(ctx, abi.SOCK_RAW, abi.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer heard.Close()
	addr := sockaddr(99, 1<<(abi.RTNLGRP_LINK-1))
	if err := heard.(*Socket).Bind(ctx, addr); err != nil {
		t.Fatal(err)
	}
	before := ctx.Account.Used()
	const create = abi.NLM_F_CREATE | abi.NLM_F_EXCL
	named := func(name string, more func(*builder)) []byte {
		var m builder
		m.str(abi.IFLA_IFNAME, name)
		if more != nil {
			more(&m)
		}
		return append(make([]byte, ifinfoSize), m.b...)
	}
	toFar := func(m *builder) { m.u32(abi.IFLA_NET_NS_FD, 3) }
	for _, step := range []struct {
		typ, flags uint16
		body       []byte
		want       abi.Errno
	}{
		{abi.RTM_NEWLINK, create, linkRequest("veth", "a", "b"), 0},
		{abi.RTM_NEWLINK, create, linkRequest("veth", "c", "b"), abi.EEXIST},
		{abi.RTM_NEWLINK, create, linkRequest("bridge", "br", ""), 0},
		{abi.RTM_NEWLINK, create, linkRequest("dummy", "d/", ""), abi.EINVAL},
		{abi.RTM_NEWLINK, create, linkRequest("dummy", "d", ""), 0},
		{abi.RTM_NEWLINK, create, linkRequest("vlan", "v", ""), abi.EOPNOTSUPP},
		{abi.RTM_NEWLINK, create, linkRequest("macvlan", "v", ""), abi.EOPNOTSUPP},
		{abi.RTM_NEWLINK, 0, named("b", toFar), 0},
		{abi.RTM_NEWLINK, 0, named("br", toFar), abi.EINVAL},
		{abi.RTM_NEWLINK, 0, named("lo", toFar), abi.EINVAL},
		{abi.RTM_DELLINK, 0, named("lo", nil), abi.EOPNOTSUPP},
		{abi.RTM_DELLINK, 0, named("b", nil), abi.ENODEV},
	} {
		if got := outcome(ctx, s, step.typ, step.flags, step.body); got != step.want {
			t.Errorf("%d %q: %v, want %v", step.typ, step.body, got, step.want)
		}
	}
	if l, ok := far.Stack.LinkByName("b"); !ok || l.Kind != netstack.KindVeth || ctx.Account.Used() == before {
		t.Errorf("the other namespace has %+v; %d bytes charged", l, ctx.Account.Used()-before)
	}
	mine := ctx.Creds
	ctx.Creds = &auth.Creds{UserNS: in.UserNS}
	if got := outcome(ctx, s, abi.RTM_DELLINK, 0, named("a", nil)); got != abi.EPERM {
		t.Errorf("without CAP_NET_ADMIN: %v", got)
	}
	ctx.Creds = mine
	for _, name := range []string{"a", "br", "d"} {
		if got := outcome(ctx, s, abi.RTM_DELLINK, 0, named(name, nil)); got != 0 {
			t.Errorf("removal of %s: %v", name, got)
		}
	}
	if _, ok := far.Stack.LinkByName("b"); ok {
		t.Error("the other end of a pair is still there")
	}
	gone := 0
	for _, r := range answers(ctx, heard.(*Socket)) {
		if r.typ == abi.RTM_DELLINK {
			gone++
		}
	}
	if gone != 4 { // b when it moved, a, br, d
		t.Errorf("%d links were said to be gone, want 4", gone)
	}
	if u := ctx.Account.Used(); u != before {
		t.Errorf("%d bytes charged after all, %d before", u, before)
	}
}
