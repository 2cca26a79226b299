package packet

import (
	"encoding/binary"
	"testing"

	"lazaret/netstack"
	"lazaret/sentry/auth"
	"lazaret/sentry/memfile"
	"lazaret/sentry/socket"
	"lazaret/sentry/socket/inet"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

func testSocket(t *testing.T, acct *memfile.Account, mf *memfile.File) (*vfs.Context, *Socket) {
	u := auth.NewInitial()
	ctx := &vfs.Context{Creds: &auth.Creds{UserNS: u, Effective: ^auth.CapSet(0)}, Account: acct}
	in := inet.NewNamespace(u)
	in.Stack.StartUp()
	s, err := Family{NS: in, MemFile: mf}.NewSocket(ctx, abi.SOCK_RAW, int(swap(abi.ETH_P_ALL)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(); in.Release() })
	return ctx, s.(*Socket)
}

func (s *Socket) flood(n, size int) {
	for range n {
		s.Frame(&netstack.Frame{Link: 1, Type: abi.ETH_P_IP, Data: make([]byte, size)})
	}
}

// TestBounds: frames that nobody fetches are charged, and are no more than SO_RCVBUF or the
// account allows.
func TestBounds(t *testing.T) {
	acct := &memfile.Account{}
	ctx, s := testSocket(t, acct, nil)
	s.flood(10000, 1500)
	if used := acct.Used(); used < 100<<10 || used > baseCost+defaultBuf {
		t.Errorf("charged %d after a flood", used)
	}
	b, err := s.GetOption(ctx, abi.SOL_PACKET, abi.PACKET_STATISTICS, 8)
	if err != nil || binary.LittleEndian.Uint32(b) != 10000 || binary.LittleEndian.Uint32(b[4:]) < 9000 {
		t.Errorf("statistics %v %v", b, err)
	}
	for {
		if _, err := s.Recv(ctx, &socket.Message{Bufs: uio.One(make([]byte, 99))}); err != nil {
			break
		}
	}
	if used := acct.Used(); used != baseCost {
		t.Errorf("charged %d when all was received", used)
	}
	acct.SetLimit(baseCost + 8000)
	s.flood(100, 1500)
	if used := acct.Used(); used > baseCost+8000 || used == baseCost {
		t.Errorf("charged %d of %d", used, baseCost+8000)
	}
	s.Close()
	if used := acct.Used(); used != 0 {
		t.Errorf("charged %d after the end", used)
	}
	s.flood(1, 60)
}

// TestRing: a ring is charged, takes a frame a slot, and not more.
func TestRing(t *testing.T) {
	mf, err := memfile.New("test", 64<<20)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(mf.Close)
	acct := &memfile.Account{}
	ctx, s := testSocket(t, acct, mf)
	req := func(words ...uint32) []byte {
		var b []byte
		for _, w := range words {
			b = binary.LittleEndian.AppendUint32(b, w)
		}
		return b
	}
	if err := s.SetOption(ctx, abi.SOL_PACKET, abi.PACKET_VERSION, req(versionTwo)); err != nil {
		t.Fatal(err)
	}
	if err := s.SetOption(ctx, abi.SOL_PACKET, abi.PACKET_RX_RING, req(1<<30, 4, 1<<20, 4096)); err != abi.ENOMEM {
		t.Errorf("a ring of 4 GiB: %v", err)
	}
	if err := s.SetOption(ctx, abi.SOL_PACKET, abi.PACKET_RX_RING, req(8192, 4, 2048, 16)); err != nil {
		t.Fatal(err)
	}
	if used := acct.Used(); used != baseCost+4*8192 {
		t.Errorf("charged %d for a ring of %d", used, 4*8192)
	}
	s.flood(20, 5000)
	if s.packets != 20 || s.drops != 4 || !s.ring.readable() {
		t.Errorf("%d packets, %d dropped, readable %v", s.packets, s.drops, s.ring.readable())
	}
	for i := range 16 {
		storeStatus(s.ring.statusWord(i), abi.TP_STATUS_KERNEL)
	}
	s.flood(1, 60)
	if v := loadStatus(s.ring.statusWord(0)); v&abi.TP_STATUS_USER == 0 || v&abi.TP_STATUS_LOSING == 0 {
		t.Errorf("status %#x after a loss", v)
	}
	s.Close()
	if used := acct.Used(); used != 0 || mf.InUse() != 0 {
		t.Errorf("charged %d, %d in use after the end", used, mf.InUse())
	}
}
