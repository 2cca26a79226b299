package unix

import (
	"fmt"
	"hash/crc32"
	"math/rand"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lazaret/sentry/auth"
	"lazaret/sentry/memfile"
	"lazaret/sentry/socket"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

func testContext() *vfs.Context {
	return &vfs.Context{
		Creds:   &auth.Creds{UserNS: auth.NewInitial(), Effective: ^auth.CapSet(0)},
		Account: &memfile.Account{}, PID: int32(os.Getpid()),
	}
}

// world is a set of sockets twice: the host's and ours.
type world struct {
	t     *testing.T
	ctx   *vfs.Context
	fam   Family
	typ   int
	host  []int
	ours  []socket.Socket
	trace []string
	seed  int64
}

func text(n int, err error) string {
	if e, ok := err.(unix.Errno); ok {
		return abi.Errno(e).Error()
	}
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(n)
}

func (w *world) same(what, host, ours string) {
	w.t.Helper()
	w.trace = append(w.trace, what+" = "+host)
	if host != ours {
		n := max(0, len(w.trace)-40)
		w.t.Fatalf("%s: host %s, ours %s\n%s", what, host, ours, strings.Join(w.trace[n:], "\n"))
	}
}

func (w *world) add(fd int, s socket.Socket) {
	w.host = append(w.host, fd)
	w.ours = append(w.ours, s)
}

func (w *world) create() {
	fd, err := unix.Socket(unix.AF_UNIX, w.typ|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	s, err := w.fam.NewSocket(w.ctx, w.typ, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	w.add(fd, s)
}

func (w *world) pair() {
	p, err := unix.Socketpair(unix.AF_UNIX, w.typ|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	a, b, err := w.fam.NewPair(w.ctx, w.typ, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	w.trace = append(w.trace, fmt.Sprintf("pair %d %d", len(w.host), len(w.host)+1))
	w.add(p[0], a)
	w.add(p[1], b)
}

func (w *world) close(i int) {
	if w.host[i] < 0 {
		return
	}
	w.trace = append(w.trace, fmt.Sprint("close ", i))
	unix.Close(w.host[i])
	w.host[i] = -1
	w.ours[i].Close()
}

func (w *world) addr(i int) (unix.Sockaddr, []byte) {
	name := fmt.Sprintf("lztest-%d-%d-%d-%d", os.Getpid(), w.typ, w.seed, i)
	return &unix.SockaddrUnix{Name: "@" + name}, append([]byte{1, 0, 0}, name...)
}

func (w *world) bind(i, n int) {
	h, o := w.addr(n)
	w.same(fmt.Sprintf("bind %d to %d", i, n), text(0, unix.Bind(w.host[i], h)), text(0, w.ours[i].(socket.Binder).Bind(w.ctx, o)))
}

func (w *world) connect(i, n int) {
	h, o := w.addr(n)
	w.same(fmt.Sprintf("connect %d to %d", i, n), text(0, unix.Connect(w.host[i], h)), text(0, w.ours[i].(socket.Connector).Connect(w.ctx, o)))
}

func (w *world) listen(i, n int) {
	w.same(fmt.Sprintf("listen %d, %d", i, n), text(0, unix.Listen(w.host[i], n)), text(0, w.ours[i].(socket.Listener).Listen(w.ctx, n)))
}

func (w *world) accept(i int) {
	fd, _, err := unix.Accept4(w.host[i], unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	s, oerr := w.ours[i].(socket.Listener).Accept(w.ctx)
	w.same(fmt.Sprintf("accept %d -> %d", i, len(w.host)), text(0, err), text(0, oerr))
	if err == nil {
		w.add(fd, s)
	}
}

func (w *world) send(i, size, to int) {
	b := make([]byte, size)
	for k := range b {
		b[k] = byte(len(w.trace) + k)
	}
	m := socket.Message{Bufs: uio.One(b)}
	var h unix.Sockaddr
	if to >= 0 {
		h, m.Name = w.addr(to)
	}
	n, err := unix.SendmsgN(w.host[i], b, nil, h, unix.MSG_NOSIGNAL)
	on, oerr := w.ours[i].Send(w.ctx, &m)
	w.same(fmt.Sprintf("send %d size %d to %d", i, size, to), text(n, err), text(on, oerr))
}

func sum(b []byte) uint32 { return crc32.ChecksumIEEE(b) }

func (w *world) recv(i, size, flags int) {
	hb, ob := make([]byte, size), make([]byte, size)
	n, _, rf, _, err := unix.Recvmsg(w.host[i], hb, nil, flags)
	m := socket.Message{Bufs: uio.Bufs{ob[:size/2], ob[size/2:]}, Flags: flags}
	on, oerr := w.ours[i].Recv(w.ctx, &m)
	h := fmt.Sprintf("%s %#x %x", text(n, err), rf&^unix.MSG_CMSG_CLOEXEC, sum(hb))
	o := fmt.Sprintf("%s %#x %x", text(on, oerr), m.Flags, sum(ob))
	if err != nil {
		h, o = text(n, err), text(on, oerr)
	}
	w.same(fmt.Sprintf("recv %d size %d flags %#x", i, size, flags), h, o)
}

func (w *world) shutdown(i, how int) {
	h := text(0, unix.Shutdown(w.host[i], how))
	o := text(0, w.ours[i].Shutdown(how))
	w.same(fmt.Sprintf("shutdown %d %d", i, how), h, o)
}

func (w *world) poll(i int) {
	const all = 0x7fff &^ abi.POLLMSG
	p := []unix.PollFd{{Fd: int32(w.host[i]), Events: all}}
	unix.Poll(p, 0)
	h := wait.Mask(uint16(p[0].Revents))
	w.same(fmt.Sprintf("poll %d", i), fmt.Sprintf("%#x", h), fmt.Sprintf("%#x", w.ours[i].Poll()))
}

func (w *world) soError(i int) {
	n, err := unix.GetsockoptInt(w.host[i], unix.SOL_SOCKET, unix.SO_ERROR)
	b, oerr := w.ours[i].(socket.Optioner).GetOption(w.ctx, abi.SOL_SOCKET, abi.SO_ERROR, 4)
	w.same(fmt.Sprintf("SO_ERROR %d", i), text(n, err), text(int(b[0]), oerr))
}

func (w *world) peerName(i int) {
	_, err := unix.Getpeername(w.host[i])
	_, oerr := w.ours[i].(socket.Binder).PeerName()
	w.same(fmt.Sprintf("getpeername %d", i), text(0, err), text(0, oerr))
}

func (w *world) step(rnd *rand.Rand) {
	sizes := []int{0, 1, 10, 1000, 4000, 4096, 9000, 20000, 70000, 200000, 300000}
	i := rnd.Intn(len(w.host))
	if w.host[i] < 0 {
		return
	}
	size := sizes[rnd.Intn(len(sizes))]
	switch k := rnd.Intn(40); {
	case k < 2:
		w.create()
	case k < 4:
		w.pair()
	case k < 7:
		w.bind(i, rnd.Intn(4))
	case k < 9:
		w.listen(i, rnd.Intn(3))
	case k < 13:
		w.connect(i, rnd.Intn(4))
	case k < 15:
		w.accept(i)
	case k < 24:
		to := -1
		if rnd.Intn(4) == 0 {
			to = rnd.Intn(4)
		}
		w.send(i, size, to)
	case k < 33:
		w.recv(i, size, []int{0, 0, 0, unix.MSG_PEEK, unix.MSG_TRUNC}[rnd.Intn(5)])
	case k == 33:
		w.shutdown(i, rnd.Intn(3))
	case k == 34:
		w.close(i)
		return
	case k == 35:
		w.soError(i)
	case k == 36:
		w.peerName(i)
	}
	for j := range w.host {
		if w.host[j] >= 0 && (j == i || rnd.Intn(4) == 0) {
			w.poll(j)
		}
	}
}

func TestAgainstHost(t *testing.T) {
	for _, typ := range []int{abi.SOCK_STREAM, abi.SOCK_DGRAM, abi.SOCK_SEQPACKET} {
		for seed := range int64(20) {
			t.Run(fmt.Sprintf("type%d/%d", typ, seed), func(t *testing.T) {
				rnd := rand.New(rand.NewSource(seed))
				w := &world{t: t, ctx: testContext(), fam: Family{NewNamespace()}, typ: typ, seed: seed}
				defer func() {
					for i := range w.host {
						w.close(i)
					}
					if u := w.ctx.Account.Used(); u != 0 {
						t.Errorf("%d bytes still charged", u)
					}
				}()
				w.create()
				w.pair()
				for range 250 {
					w.step(rnd)
				}
			})
		}
	}
}

func TestSendBufferHoldsAsMuchAsHost(t *testing.T) {
	for _, typ := range []int{abi.SOCK_STREAM, abi.SOCK_DGRAM, abi.SOCK_SEQPACKET} {
		for _, size := range []int{1, 100, 192, 193, 700, 704, 705, 1000, 1728, 1729, 2000, 3776, 3777, 4096, 7872, 7873, 8192, 16000, 30000, 65536, 100000, 150000} {
			w := &world{t: t, ctx: testContext(), fam: Family{NewNamespace()}, typ: typ}
			w.pair()
			b := make([]byte, size)
			count := func(send func() (int, error)) string {
				total, calls := 0, 0
				for {
					n, err := send()
					if err != nil {
						return fmt.Sprintf("%d bytes in %d sends, then %s", total, calls, text(0, err))
					}
					total, calls = total+n, calls+1
				}
			}
			h := count(func() (int, error) { return unix.Write(w.host[0], b) })
			o := count(func() (int, error) { return w.ours[0].Send(w.ctx, &socket.Message{Bufs: uio.One(b)}) })
			if h != o {
				t.Errorf("type %d, size %d: host %s, ours %s", typ, size, h, o)
			}
			w.close(0)
			w.close(1)
		}
	}
}
