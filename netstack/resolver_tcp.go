package netstack

import (
	"encoding/binary"
	"errors"
	"io"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

const (
	// maxResolving bounds connections to the resolver.
	maxResolving = 64

	resolvingIdle = 10 * time.Second // RFC 7766, 6.2.3: seconds
	answerLimit   = 5 * time.Second  // of one question, which is asked twice

	// wholeAnswer is what the resolver is told to have room for: what a datagram can hold.
	wholeAnswer = 65000
)

// takeTCP answers connections to EngineResolver: what is asked there is asked over the socket
// of the host, with room for a large answer. One that its server cuts nevertheless stays cut.
func (r *resolver) takeTCP(st *stack.Stack) {
	slots := make(chan struct{}, maxResolving)
	f := tcp.NewForwarder(st, 0, maxResolving, func(req *tcp.ForwarderRequest) {
		select {
		case slots <- struct{}{}:
		default:
			req.Complete(true)
			return
		}
		defer func() { <-slots }()
		var wq waiter.Queue
		ep, err := req.CreateEndpoint(&wq)
		req.Complete(err != nil)
		if err == nil {
			c := gonet.NewTCPConn(&wq, ep)
			r.converse(c)
			_ = c.Close()
		}
	})
	// Asked only about what no socket takes.
	st.SetTransportProtocolHandler(tcp.ProtocolNumber, func(id stack.TransportEndpointID, p *stack.PacketBuffer) bool {
		return id.LocalPort == EngineResolver.Port() && id.LocalAddress == toAddress(EngineResolver.Addr()) && f.HandlePacket(id, p)
	})
}

// converse answers the questions of a connection, one after the other.
// TRUST: they are what an application sent.
func (r *resolver) converse(c *gonet.TCPConn) {
	for {
		_ = c.SetDeadline(time.Now().Add(resolvingIdle))
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		msg := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, msg); err != nil || len(msg) < dnsHeader {
			return
		}
		answer, err := r.ask(msg)
		if err != nil {
			return // the connection ends without: asked again, or elsewhere
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}

// ask returns the answer to a question.
func (r *resolver) ask(msg []byte) ([]byte, error) {
	id := binary.BigEndian.Uint16(msg)
	msg, sized := withRoom(msg)
	reply := make(chan []byte, 1)
	for range 2 {
		passed := r.note(question{id: id, reply: reply})
		binary.BigEndian.PutUint16(msg, passed)
		_, _ = unix.Write(r.fd, msg) // what is lost is asked again
		select {
		case answer := <-reply:
			if !sized {
				answer = withoutOPT(answer)
			}
			return answer, nil
		case <-time.After(answerLimit):
			r.forget(passed)
		}
	}
	return nil, errors.New("no answer")
}

// typeOPT is EDNS's record (RFC 6891), which says in its class how large an answer may be.
const typeOPT = 41

// withRoom returns a copy of a question that says wholeAnswer; sized: it named a size itself.
func withRoom(msg []byte) (out []byte, sized bool) {
	out = append([]byte(nil), msg...)
	start, end := findOPT(out)
	switch {
	case start > 0:
		binary.BigEndian.PutUint16(out[start+3:], wholeAnswer)
		return out, true
	case end != len(out):
		return out, true // it is not understood, and stays what it is
	}
	n := binary.BigEndian.Uint16(out[10:])
	binary.BigEndian.PutUint16(out[10:], n+1)
	out = append(out, 0, 0, typeOPT)
	out = binary.BigEndian.AppendUint16(out, wholeAnswer)
	return append(out, 0, 0, 0, 0, 0, 0), false
}

// withoutOPT takes away the last record, if it is EDNS's.
func withoutOPT(msg []byte) []byte {
	start, end := findOPT(msg)
	if n := binary.BigEndian.Uint16(msg[10:]); start > 0 && end == len(msg) {
		binary.BigEndian.PutUint16(msg[10:], n-1)
		return msg[:start]
	}
	return msg
}

// findOPT returns where EDNS's record starts, or 0, and where it, or else the message, ends;
// 0: the message is malformed.
// TRUST: msg is anybody's.
func findOPT(msg []byte) (start, end int) {
	at := dnsHeader
	questions := int(binary.BigEndian.Uint16(msg[4:]))
	records := int(binary.BigEndian.Uint16(msg[6:])) + int(binary.BigEndian.Uint16(msg[8:])) + int(binary.BigEndian.Uint16(msg[10:]))
	for i := range questions + records {
		start = at
		for at < len(msg) && msg[at] != 0 && msg[at] < 0xc0 {
			at += 1 + int(msg[at])
		}
		if at >= len(msg) {
			return 0, 0
		}
		at++
		if msg[at-1] != 0 {
			at++ // a pointer, which ends a name
		}
		if at += 4; i < questions {
			continue
		}
		if at+6 > len(msg) {
			return 0, 0
		}
		typ := binary.BigEndian.Uint16(msg[at-4:])
		at += 6 + int(binary.BigEndian.Uint16(msg[at+4:]))
		if typ == typeOPT && msg[start] == 0 && at <= len(msg) {
			return start, at
		}
	}
	return 0, at
}
