package netstack

import (
	"bytes"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// TestResolver: a question goes to the host's socket with a number of its own, an answer comes
// back with the asker's, once; what is no question, or no answer, stays where it is.
func TestResolver(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[1])
	if err := unix.SetsockoptTimeval(fds[1], unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10}); err != nil {
		t.Fatal(err)
	}
	s := New()
	s.StartUp()
	if err := s.Apply(&Config{Resolver: true}, []int{fds[0]}); err != nil {
		t.Fatal(err)
	}
	var wq waiter.Queue
	ep, terr := s.get().NewEndpoint(udp.ProtocolNumber, ipv4.ProtocolNumber, &wq)
	if terr != nil {
		t.Fatal(terr)
	}
	defer ep.Close()
	entry, readable := waiter.NewChannelEntry(waiter.ReadableEvents)
	wq.EventRegister(&entry)
	defer wq.EventUnregister(&entry)
	ask := func(port uint16, text string) {
		t.Helper()
		to := &tcpip.FullAddress{Addr: toAddress(EngineResolver.Addr()), Port: port}
		if _, err := ep.Write(bytes.NewReader([]byte(text)), tcpip.WriteOptions{To: to}); err != nil {
			t.Fatal(err)
		}
	}
	ask(EngineResolver.Port(), "short")
	ask(EngineResolver.Port()+1, "idelsewhere question")
	ask(EngineResolver.Port(), "idthis is a question")
	b := make([]byte, 1500)
	n, err := unix.Read(fds[1], b)
	for err == unix.EINTR {
		n, err = unix.Read(fds[1], b)
	}
	if err != nil || string(b[2:n]) != "this is a question" {
		t.Fatalf("passed on: %q %v", b[:max(n, 0)], err)
	}
	answer := string(b[:2]) + "this is an answer"
	other := []byte(answer)
	other[0]++ // to nothing that was asked
	for _, text := range []string{"x", string(other), answer, answer} {
		if _, err := unix.Write(fds[1], []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	var got bytes.Buffer
	for deadline := time.Now().Add(10 * time.Second); ; {
		r, err := ep.Read(&got, tcpip.ReadOptions{NeedRemoteAddr: true})
		if err == nil {
			if r.RemoteAddr.Addr != toAddress(EngineResolver.Addr()) || r.RemoteAddr.Port != EngineResolver.Port() {
				t.Errorf("answered by %v", r.RemoteAddr)
			}
			break
		}
		if _, none := err.(*tcpip.ErrWouldBlock); !none {
			continue // nobody listens elsewhere
		}
		select {
		case <-readable:
		case <-time.After(time.Until(deadline)):
			t.Fatal("no answer")
		}
	}
	if got.String() != "idthis is an answer" {
		t.Errorf("answer %q", got.String())
	}
	got.Reset()
	if _, err := ep.Read(&got, tcpip.ReadOptions{}); err == nil {
		t.Errorf("a second answer %q", got.String())
	}
}
