package netstack

import (
	"encoding/binary"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// packetLink is a link over a packet(7) socket that runsc bound to an interface of the
// host. Every frame travels behind a struct virtio_net_hdr (PACKET_VNET_HDR), so that
// segments of up to 64 KiB go each way in one call, with their checksums left to the host.
type packetLink struct {
	ether
	fd     int
	file   *os.File     // fd, for the runtime's poller
	router *atomic.Bool // whether the stack forwards; nil: it does not

	started sync.Once
	errors  atomic.Uint64 // frames that the host did not take

	gone atomic.Bool // nothing more will be received
	wire
}

func newPacketLink(fd int, mac [6]byte, mtu uint32) *packetLink {
	return &packetLink{fd: fd, ether: ether{addr: tcpip.LinkAddress(mac[:]), mtu: mtu}}
}

// struct virtio_net_hdr.
const (
	vnetSize      = 10
	vnetNeedsCsum = 1
	vnetDataValid = 2
	vnetTCPv4     = 1
	vnetTCPv6     = 4
	vnetUDP       = 5 // datagrams of one size (VIRTIO_NET_HDR_GSO_UDP_L4)
	vnetECN       = 0x80

	gsoMax   = 64 << 10
	frameMax = vnetSize + header.EthernetMinimumSize + 4 + gsoMax + 1024
)

// Attach implements stack.LinkEndpoint: the reader starts with the first dispatcher. It
// lives as long as the descriptor, which is as long as the Sentry.
func (l *packetLink) Attach(d stack.NetworkDispatcher) {
	l.ether.Attach(d)
	if d != nil {
		l.started.Do(func() { go l.read() })
	}
}

// GSOMaxSize implements stack.GSOEndpoint.
func (*packetLink) GSOMaxSize() uint32 { return gsoMax }

// SupportedGSO implements stack.GSOEndpoint.
func (*packetLink) SupportedGSO() stack.SupportedGSO { return stack.HostGSOSupported }

// WritePackets implements stack.LinkEndpoint. What the host has no room for is dropped, as
// on a wire.
func (l *packetLink) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	var vnet [vnetSize]byte
	for _, p := range pkts.AsSlice() {
		vnetHeader(vnet[:], p)
		parts := append(make([][]byte, 0, 8), vnet[:])
		parts = append(parts, p.AsSlices()...)
		if err := l.send(parts); err != nil {
			l.errors.Add(1)
		}
	}
	return pkts.Len(), nil
}

func (l *packetLink) send(parts [][]byte) error {
	if l.whole || len(parts) > maxParts {
		_, err := unix.SendmsgBuffers(l.fd, parts, nil, nil, l.sendFlags())
		return err
	}
	return sendNow(l.fd, parts)
}

// vnetHeader says what the host has to do with a frame: complete its checksum, cut it into
// segments.
func vnetHeader(b []byte, p *stack.PacketBuffer) {
	clear(b)
	g := &p.GSOOptions
	if g.Type == stack.GSONone {
		return
	}
	binary.LittleEndian.PutUint16(b[2:], uint16(p.HeaderSize()))
	if g.NeedsCsum {
		b[0] = vnetNeedsCsum
		binary.LittleEndian.PutUint16(b[6:], header.EthernetMinimumSize+g.L3HdrLen)
		binary.LittleEndian.PutUint16(b[8:], g.CsumOffset)
	}
	if p.Data().Size() > int(g.MSS) {
		if b[1] = vnetTCPv4; g.Type == stack.GSOTCPv6 {
			b[1] = vnetTCPv6
		}
		binary.LittleEndian.PutUint16(b[4:], g.MSS)
	}
}

// read delivers frames until the descriptor fails. Between frames the goroutine waits in the
// Go runtime's poller and not in read(2): the thread that the poller wakes then runs what a
// frame made ready, the stack's goroutines, before it waits again, and no thread is found
// missing (and replaced) because it is in a system call.
func (l *packetLink) read() {
	defer func() {
		l.gone.Store(l.fd >= 0)
		l.lost()
	}()
	frame := make([]byte, frameMax)
	if l.whole || unix.SetNonblock(l.fd, true) != nil { // sending on a wire waits
		for l.readFrame(frame) != unix.EBADF {
		}
		return
	}
	l.file = os.NewFile(uintptr(l.fd), "link")
	conn, err := l.file.SyscallConn()
	if err != nil {
		return
	}
	_ = conn.Read(func(uintptr) bool {
		for {
			switch l.readFrame(frame) {
			case unix.EAGAIN:
				return false
			case unix.EBADF:
				return true
			}
		}
	})
}

// readFrame delivers a frame: EAGAIN, or EBADF for good.
func (l *packetLink) readFrame(frame []byte) error {
	read := readNow
	if l.file == nil {
		read = unix.Read
	}
	n, err := read(l.fd, frame)
	switch {
	case err == unix.EINTR || err == unix.ENETDOWN:
		return nil
	case err == unix.EAGAIN:
		return err
	case err != nil || n == 0:
		return unix.EBADF
	}
	if n >= vnetSize+header.EthernetMinimumSize {
		l.received(frame[:vnetSize], frame[vnetSize:n])
	}
	return nil
}

// received delivers a frame: its parts where it may have to travel on, and datagrams always
// one by one.
func (l *packetLink) received(v, frame []byte) {
	onward := l.promisc.Load() || l.router != nil && l.router.Load()
	if v[1]&^vnetECN != vnetUDP && (!onward || v[0]&vnetNeedsCsum == 0 && v[1] == 0) {
		l.deliver(v[0], frame)
		return
	}
	complete(v, frame, func(b []byte) { l.deliver(vnetDataValid, b) })
}

// deliver hands a frame to the stack.
// TRUST: the frame is what somebody on the network sent.
func (l *packetLink) deliver(flags byte, frame []byte) {
	eth := header.Ethernet(frame)
	d := l.taker(eth.DestinationAddress())
	if d == nil {
		return // for somebody else: the interface is promiscuous
	}
	if flags&(vnetNeedsCsum|vnetDataValid) == 0 && !checked(eth.Type(), frame[header.EthernetMinimumSize:]) {
		return
	}
	p := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(frame)})
	defer p.DecRef()
	if _, ok := p.LinkHeader().Consume(header.EthernetMinimumSize); !ok {
		return
	}
	p.NetworkProtocolNumber = eth.Type()
	d.DeliverNetworkPacket(eth.Type(), p)
}
