package packet

import (
	"encoding/binary"

	"lazaret/sentry/memfile"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// Versions of the ring (enum tpacket_versions).
const (
	versionOne = 0
	versionTwo = 1
)

// Layout of a slot of a TPACKET_V2 ring: struct tpacket2_hdr, struct sockaddr_ll, the frame
// at a multiple of the alignment.
const (
	ringHeader = 32
	ringAlign  = 16
	ringStart  = ringHeader + addrSize // TPACKET2_HDRLEN
	maxRing    = 64 << 20
	maxReserve = 1 << 16
)

// ring is a PACKET_RX_RING. Its memory is shared with the application; the first word of a
// slot says whose it is. It is used under Socket.mu.
type ring struct {
	file   *memfile.File
	shm    *memfile.Shm
	blocks []memory
	slot   int // bytes of a slot
	perBlk int
	count  int
	head   int // the slot that is filled next
	loss   bool
}

// memory is a block of the ring: pages of the memory file.
type memory struct {
	pieces []memfile.Extent
	bytes  []byte // of a block that is one piece
}

// setRing is PACKET_RX_RING with a struct tpacket_req.
func (s *Socket) setRing(ctx *vfs.Context, value []byte) error {
	if len(value) < 16 {
		return abi.EINVAL
	}
	word := func(i int) uint64 { return uint64(binary.LittleEndian.Uint32(value[4*i:])) }
	blockSize, blocks, slot, slots := word(0), word(1), word(2), word(3)
	s.mu.Lock()
	version, reserve, old := s.values[valVersion], uint64(s.values[valReserve]), s.ring
	s.mu.Unlock()
	if blocks == 0 {
		if slots != 0 {
			return abi.EINVAL
		}
		s.mu.Lock()
		s.ring = nil
		s.mu.Unlock()
		if old != nil {
			old.release()
		}
		return nil
	}
	switch {
	case old != nil:
		return abi.EBUSY
	case version != versionTwo, s.f.MemFile == nil, blockSize == 0, blockSize%abi.PageSize != 0, slot < ringStart+reserve, slot%ringAlign != 0,
		blockSize/slot == 0, blocks > slots, blockSize/slot*blocks != slots:
		return abi.EINVAL
	case blockSize*blocks > maxRing:
		return abi.ENOMEM
	}
	r := &ring{file: s.f.MemFile, slot: int(slot), perBlk: int(blockSize / slot), count: int(slots)}
	if err := r.allocate(ctx.Account, blockSize, blocks); err != nil {
		r.release()
		return abi.ENOMEM
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ring != nil || s.closed {
		r.release()
		return abi.EBUSY
	}
	s.ring = r
	return nil
}

// allocate makes the memory of the ring, all of it, so that a frame never waits for some.
func (r *ring) allocate(acct *memfile.Account, size, blocks uint64) error {
	r.shm = memfile.NewShm(r.file, acct, size*blocks)
	for i := range blocks {
		var m memory
		for off := uint64(0); off < size; {
			e, err := r.shm.Extent(acct, i*size+off, size-off, true)
			if err != nil {
				r.blocks = append(r.blocks, m)
				return err
			}
			m.pieces = append(m.pieces, e)
			off += e.Len
		}
		if len(m.pieces) == 1 {
			m.bytes = r.file.Bytes(m.pieces[0].Off, m.pieces[0].Len)
		}
		r.blocks = append(r.blocks, m)
	}
	return nil
}

// release gives the memory back; mappings keep theirs.
func (r *ring) release() {
	for _, m := range r.blocks {
		for _, e := range m.pieces {
			r.file.DecRef(e.Off, e.Len)
		}
	}
	r.blocks = nil
	if r.shm != nil {
		r.shm.DecRef()
	}
}

// write copies b to an offset of a slot.
func (r *ring) write(slot, at int, b []byte) {
	m := &r.blocks[slot/r.perBlk]
	off := uint64(slot%r.perBlk*r.slot + at)
	if m.bytes != nil {
		copy(m.bytes[off:], b)
		return
	}
	for _, e := range m.pieces {
		if off >= e.Len {
			off -= e.Len
			continue
		}
		n := copy(r.file.Bytes(e.Off, e.Len)[off:], b)
		if b, off = b[n:], 0; len(b) == 0 {
			return
		}
	}
}

// statusWord is where a slot says whose it is.
func (r *ring) statusWord(slot int) []byte {
	m := &r.blocks[slot/r.perBlk]
	off := uint64(slot % r.perBlk * r.slot)
	for _, e := range m.pieces {
		if off < e.Len {
			return r.file.Bytes(e.Off, e.Len)[off:][:4]
		}
		off -= e.Len
	}
	return nil
}

// readable reports whether the slot that was filled last is still the application's.
func (r *ring) readable() bool {
	return loadStatus(r.statusWord((r.head+r.count-1)%r.count)) != abi.TP_STATUS_KERNEL
}

// put fills the next slot; false when it is still the application's.
func (r *ring) put(w *frame, reserve int, cooked bool) bool {
	status := r.statusWord(r.head)
	if loadStatus(status) != abi.TP_STATUS_KERNEL {
		r.loss = true
		return false
	}
	net := align(ringStart+max(w.net, ringAlign)) + reserve
	if cooked {
		net = align(ringStart) + ringAlign + reserve
	}
	mac := net - w.net
	data := w.data
	if mac >= r.slot {
		data = nil
	} else {
		data = data[:min(len(data), r.slot-mac)]
	}
	r.write(r.head, mac, data)
	h := make([]byte, ringHeader, ringStart)
	binary.LittleEndian.PutUint32(h[4:], uint32(w.size))
	binary.LittleEndian.PutUint32(h[8:], uint32(len(data)))
	binary.LittleEndian.PutUint16(h[12:], uint16(mac))
	binary.LittleEndian.PutUint16(h[14:], uint16(net))
	binary.LittleEndian.PutUint32(h[16:], uint32(w.stamp.Unix()))
	binary.LittleEndian.PutUint32(h[20:], uint32(w.stamp.Nanosecond()))
	h = append(h, w.from[:]...)
	r.write(r.head, 4, h[4:])
	v := w.status()
	if r.loss {
		v |= abi.TP_STATUS_LOSING
		r.loss = false
	}
	storeStatus(status, v)
	r.head = (r.head + 1) % r.count
	return true
}

func align(n int) int { return (n + ringAlign - 1) &^ (ringAlign - 1) }

// Mmap implements vfs.Mapper: the ring, the whole of it.
func (s *Socket) Mmap(*vfs.Context, *vfs.File, uint32, uint32) (memfile.Mappable, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ring == nil {
		return nil, abi.EINVAL
	}
	return s.ring.shm, nil
}
