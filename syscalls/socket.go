package syscalls

import (
	"encoding/binary"

	"lazaret/sentry/kernel"
	"lazaret/sentry/kernel/bpf"
	"lazaret/sentry/socket"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

var socketRows = []Row{
	partial(abi.SYS_SOCKET, "socket", Socket, "no AF_VSOCK, AF_ALG or AF_BLUETOOTH; of netlink route, sock_diag and uevent: no nftables; links that are made are veth, bridge or dummy", Int, Hex, Int),
	full(abi.SYS_SOCKETPAIR, "socketpair", Socketpair, Int, Hex, Int, Buf),
	full(abi.SYS_BIND, "bind", Bind, FD, Buf, Int),
	full(abi.SYS_CONNECT, "connect", Connect, FD, Buf, Int),
	full(abi.SYS_LISTEN, "listen", Listen, FD, Int),
	full(abi.SYS_ACCEPT, "accept", Accept, FD, Buf, Buf),
	full(abi.SYS_ACCEPT4, "accept4", Accept4, FD, Buf, Buf, Hex),
	full(abi.SYS_GETSOCKNAME, "getsockname", Getsockname, FD, Buf, Buf),
	full(abi.SYS_GETPEERNAME, "getpeername", Getpeername, FD, Buf, Buf),
	full(abi.SYS_SHUTDOWN, "shutdown", Shutdown, FD, Int),
	partial(abi.SYS_SETSOCKOPT, "setsockopt", Setsockopt, "the options that the families know; no socket filters of TCP and none of bpf(2), no IP options; iptables without the rarer matches and targets, NAT to one address", FD, Int, Int, Buf, Int),
	partial(abi.SYS_GETSOCKOPT, "getsockopt", Getsockopt, "the options that the families know", FD, Int, Int, Buf, Buf),
	partial(abi.SYS_SENDTO, "sendto", Sendto, "as sendmsg", FD, Buf, Hex, Hex, Buf, Int),
	partial(abi.SYS_RECVFROM, "recvfrom", Recvfrom, "as recvmsg", FD, Buf, Hex, Hex, Buf, Buf),
	partial(abi.SYS_SENDMSG, "sendmsg", Sendmsg, "no urgent data (MSG_OOB) over TCP, no MSG_ZEROCOPY", FD, Buf, Hex),
	partial(abi.SYS_RECVMSG, "recvmsg", Recvmsg, "no urgent data (MSG_OOB) over TCP", FD, Buf, Hex),
	partial(abi.SYS_SENDMMSG, "sendmmsg", Sendmmsg, "as sendmsg", FD, Buf, Int, Hex),
	partial(abi.SYS_RECVMMSG, "recvmmsg", Recvmmsg, "as recvmsg", FD, Buf, Int, Hex, Buf),
}

// familyHolder is the state of a network namespace that has more than its families.
type familyHolder interface {
	Families() socket.Families
}

// families returns the address families of t's network namespace.
func families(t *kernel.Task) socket.Families {
	switch s := t.Namespaces().Net.State.(type) {
	case socket.Families:
		return s
	case familyHolder:
		return s.Families()
	}
	return nil
}

// getSocket returns the socket behind fd and its file: ENOTSOCK.
func getSocket(t *kernel.Task, fd int32) (*vfs.File, socket.Socket, error) {
	f, err := getIOFile(t, fd)
	if err != nil {
		return nil, nil, err
	}
	s, err := socket.Of(f)
	if err != nil {
		f.DecRef()
		return nil, nil, err
	}
	return f, s, nil
}

// copyInSockaddr copies in an address of n bytes.
func copyInSockaddr(t *kernel.Task, addr abi.Addr, n int32) ([]byte, error) {
	if n < 0 || n > abi.SockaddrMax {
		return nil, abi.EINVAL
	}
	b := make([]byte, n)
	return b, t.MM().CopyIn(addr, b)
}

// copyOutSockaddr writes an address to addr, cut off at the length that lenAddr holds, and
// its whole length to lenAddr.
func copyOutSockaddr(t *kernel.Task, addr, lenAddr abi.Addr, name []byte) error {
	n, err := copyIn[int32](t, lenAddr)
	if err != nil {
		return err
	}
	if n < 0 {
		return abi.EINVAL
	}
	if err := t.MM().CopyOut(addr, name[:min(len(name), int(n))]); err != nil {
		return err
	}
	n = int32(len(name))
	return copyOut(t, lenAddr, &n)
}

// Socket is socket(2).
func Socket(t *kernel.Task, a *abi.Args) (uint64, error) {
	f, err := families(t).New(t.Ctx(), int(a.Int(0)), int(a.Int(1)), int(a.Int(2)))
	if err != nil {
		return 0, err
	}
	return install(t, f, a.Int(1)&abi.SOCK_CLOEXEC != 0)
}

// Socketpair is socketpair(2).
func Socketpair(t *kernel.Task, a *abi.Args) (uint64, error) {
	f, g, err := families(t).NewPair(t.Ctx(), int(a.Int(0)), int(a.Int(1)), int(a.Int(2)))
	if err != nil {
		return 0, err
	}
	return done0(installPair(t, a.Addr(3), f, g, a.Int(1)&abi.SOCK_CLOEXEC != 0))
}

// Bind is bind(2).
func Bind(t *kernel.Task, a *abi.Args) (uint64, error) {
	f, s, err := getSocket(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	name, err := copyInSockaddr(t, a.Addr(1), a.Int(2))
	if err != nil {
		return 0, err
	}
	b, ok := s.(socket.Binder)
	if !ok {
		return 0, abi.EOPNOTSUPP
	}
	return done0(b.Bind(t.Ctx(), name))
}

// Connect is connect(2).
func Connect(t *kernel.Task, a *abi.Args) (uint64, error) {
	f, _, err := getSocket(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	name, err := copyInSockaddr(t, a.Addr(1), a.Int(2))
	if err != nil {
		return 0, err
	}
	return done0(socket.Connect(t.Ctx(), f, name))
}

// Listen is listen(2).
func Listen(t *kernel.Task, a *abi.Args) (uint64, error) {
	f, s, err := getSocket(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	l, ok := s.(socket.Listener)
	if !ok {
		return 0, abi.EOPNOTSUPP
	}
	return done0(l.Listen(t.Ctx(), int(a.Int(1))))
}

// Accept is accept(2).
func Accept(t *kernel.Task, a *abi.Args) (uint64, error) { return accept(t, a, 0) }

// Accept4 is accept4(2).
func Accept4(t *kernel.Task, a *abi.Args) (uint64, error) { return accept(t, a, int(a.Int(3))) }

func accept(t *kernel.Task, a *abi.Args, flags int) (uint64, error) {
	f, _, err := getSocket(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	nf, s, err := socket.Accept(t.Ctx(), f, flags)
	if err != nil {
		return 0, err
	}
	if addr := a.Addr(1); addr != 0 {
		var name []byte
		if b, ok := s.(socket.Accepted); ok {
			name = b.AcceptedFrom()
		} else if b, ok := s.(socket.Binder); ok {
			if name, err = b.PeerName(); err != nil {
				nf.DecRef()
				return 0, abi.ECONNABORTED
			}
		}
		if err := copyOutSockaddr(t, addr, a.Addr(2), name); err != nil {
			nf.DecRef()
			return 0, err
		}
	}
	return install(t, nf, flags&abi.SOCK_CLOEXEC != 0)
}

// Getsockname is getsockname(2).
func Getsockname(t *kernel.Task, a *abi.Args) (uint64, error) {
	return nameOut(t, a, socket.Binder.LocalName)
}

// Getpeername is getpeername(2).
func Getpeername(t *kernel.Task, a *abi.Args) (uint64, error) {
	return nameOut(t, a, socket.Binder.PeerName)
}

func nameOut(t *kernel.Task, a *abi.Args, get func(socket.Binder) ([]byte, error)) (uint64, error) {
	f, s, err := getSocket(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	b, ok := s.(socket.Binder)
	if !ok {
		return 0, abi.EOPNOTSUPP
	}
	name, err := get(b)
	if err != nil {
		return 0, err
	}
	return done0(copyOutSockaddr(t, a.Addr(1), a.Addr(2), name))
}

// Shutdown is shutdown(2).
func Shutdown(t *kernel.Task, a *abi.Args) (uint64, error) {
	f, s, err := getSocket(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	if how := a.Int(1); how < abi.SHUT_RD || how > abi.SHUT_RDWR {
		return 0, abi.EINVAL
	}
	return done0(s.Shutdown(int(a.Int(1))))
}

// maxOption bounds the value of a socket option.
const maxOption = 256 << 10

// Setsockopt is setsockopt(2).
func Setsockopt(t *kernel.Task, a *abi.Args) (uint64, error) {
	n := a.Int(4)
	if n < 0 || n > maxOption {
		return 0, abi.EINVAL
	}
	f, s, err := getSocket(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	o, ok := s.(socket.Optioner)
	if !ok {
		return 0, abi.ENOPROTOOPT
	}
	if fl, ok := s.(socket.Filterer); ok && a.Int(1) == abi.SOL_SOCKET && a.Int(2) == abi.SO_ATTACH_FILTER {
		return 0, attachFilter(t, fl, a.Addr(3), int(n))
	}
	value := make([]byte, n)
	if err := t.MM().CopyIn(a.Addr(3), value); err != nil {
		return 0, err
	}
	if tables, ok := s.(socket.Tabler); ok {
		if ok, err := tables.SetTable(t.Ctx(), int(a.Int(1)), int(a.Int(2)), value, t.MM()); ok {
			return done0(err)
		}
	}
	return done0(o.SetOption(t.Ctx(), int(a.Int(1)), int(a.Int(2)), value))
}

// attachFilter is SO_ATTACH_FILTER with a struct sock_fprog of n bytes.
func attachFilter(t *kernel.Task, s socket.Filterer, addr abi.Addr, n int) error {
	if n != len(abi.Bytes(new(sockFprog))) {
		return abi.EINVAL
	}
	prog, err := copyIn[sockFprog](t, addr)
	if err != nil {
		return err
	}
	if prog.Len == 0 || prog.Len > maxFilter || prog.Filter == 0 {
		return abi.EINVAL
	}
	insns, err := prog.copyIn(t)
	if err != nil {
		return err
	}
	p, err := bpf.CompilePacket(insns)
	if err != nil {
		return err
	}
	return s.AttachFilter(p)
}

// Getsockopt is getsockopt(2).
func Getsockopt(t *kernel.Task, a *abi.Args) (uint64, error) {
	f, s, err := getSocket(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	n, err := copyIn[int32](t, a.Addr(4))
	if err != nil {
		return 0, err
	}
	if n < 0 {
		return 0, abi.EINVAL
	}
	o, ok := s.(socket.Optioner)
	if !ok {
		return 0, abi.ENOPROTOOPT
	}
	level, name := int(a.Int(1)), int(a.Int(2))
	value, err := getOption(t, o, level, name, a.Addr(3), int(min(n, maxOption)))
	if err == abi.ERANGE { // SO_PEERGROUPS tells how much room it needs
		n = int32(len(value))
		if err := copyOut(t, a.Addr(4), &n); err != nil {
			return 0, err
		}
		return 0, abi.ERANGE
	}
	if err != nil {
		return 0, err
	}
	if level == abi.SOL_SOCKET && name == abi.SO_PEERCRED && len(value) >= 4 {
		u := socket.Ucred{PID: int32(binary.LittleEndian.Uint32(value))}
		if p, ok := s.(socket.PeerCredentials); ok {
			u = p.PeerCreds()
		}
		binary.LittleEndian.PutUint32(value, uint32(processNumber(t, &u)))
	}
	value = value[:min(len(value), int(n))]
	if err := t.MM().CopyOut(a.Addr(3), value); err != nil {
		return 0, err
	}
	n = int32(len(value))
	return done0(copyOut(t, a.Addr(4), &n))
}

// getOption asks a socket for an option, with the question that is in the buffer if the
// option has one.
func getOption(t *kernel.Task, o socket.Optioner, level, name int, addr abi.Addr, n int) ([]byte, error) {
	if asked, ok := o.(socket.Asker); ok {
		if _, ok, _ := asked.AskOption(t.Ctx(), level, name, nil); ok {
			q := make([]byte, n)
			if err := t.MM().CopyIn(addr, q); err != nil {
				return nil, err
			}
			v, _, err := asked.AskOption(t.Ctx(), level, name, q)
			return v, err
		}
	}
	return o.GetOption(t.Ctx(), level, name, n)
}

// pidFromRoot translates a process id of the initial pid namespace for t: 0 when t does
// not see it.
func pidFromRoot(t *kernel.Task, pid int32) int32 {
	ns := t.PIDNS()
	if ns == t.Kernel().RootPIDNS || pid == 0 {
		return pid
	}
	if g := t.Kernel().GroupByID(t.Kernel().RootPIDNS, pid); g != nil {
		return g.PIDIn(ns)
	}
	return 0
}
