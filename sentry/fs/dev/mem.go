package dev

import (
	"crypto/rand"
	"encoding/binary"
	"sync"

	"lazaret/sentry/memfile"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// Minors of major 1.
const (
	memMajor     = 1
	minorNull    = 3
	minorZero    = 5
	minorFull    = 7
	minorRandom  = 8
	minorURandom = 9
)

// memory opens the devices of major 1.
type memory struct{ mf *memfile.File }

var register sync.Once

// Register makes null, zero, full, random and urandom known to the VFS. Private mappings
// of zero are pages of mf.
func Register(mf *memfile.File) {
	register.Do(func() {
		vfs.RegisterDevice(abi.S_IFCHR, memMajor, vfs.AnyMinor, &memory{mf})
	})
}

// OpenDevice implements vfs.DeviceOpener.
func (m *memory) OpenDevice(ctx *vfs.Context, f *vfs.File, _, minor uint32) (vfs.FileOps, error) {
	switch minor {
	case minorNull:
		return null{}, nil
	case minorZero:
		return &zero{m.mf, ctx.Account}, nil
	case minorFull:
		return full{}, nil
	case minorRandom, minorURandom:
		f.Mode |= vfs.ModeAsync
		return random{}, nil
	}
	return nil, abi.ENXIO
}

// base is what all of them share: the offset means nothing.
type base struct{}

// Release implements vfs.FileOps.
func (base) Release(*vfs.File) {}

// Seek implements vfs.Seeker: every position is 0.
func (base) Seek(*vfs.Context, *vfs.File, int64, int) (int64, error) { return 0, nil }

type null struct{ base }

// Read implements vfs.FileOps.
func (null) Read(*vfs.Context, *vfs.File, uio.Bufs, *int64) (int, error) { return 0, nil }

// Write implements vfs.FileOps.
func (null) Write(_ *vfs.Context, _ *vfs.File, src uio.Bufs, _ *int64) (int, error) {
	return src.Len(), nil
}

// BlindRead and BlindWrite implement vfs.Blind.
func (null) BlindRead() bool  { return true }
func (null) BlindWrite() bool { return true }

func readZeros(dst uio.Bufs) int {
	n := dst.Len()
	dst.Zero(n)
	return n
}

type full struct{ base }

// Read implements vfs.FileOps.
func (full) Read(_ *vfs.Context, _ *vfs.File, dst uio.Bufs, _ *int64) (int, error) {
	return readZeros(dst), nil
}

// Write implements vfs.FileOps.
func (full) Write(*vfs.Context, *vfs.File, uio.Bufs, *int64) (int, error) { return 0, abi.ENOSPC }

// BlindRead and BlindWrite implement vfs.Blind.
func (full) BlindRead() bool  { return false }
func (full) BlindWrite() bool { return true }

type zero struct {
	mf   *memfile.File
	acct *memfile.Account
}

// Release implements vfs.FileOps.
func (*zero) Release(*vfs.File) {}

// Seek implements vfs.Seeker.
func (*zero) Seek(*vfs.Context, *vfs.File, int64, int) (int64, error) { return 0, nil }

// Read implements vfs.FileOps.
func (*zero) Read(_ *vfs.Context, _ *vfs.File, dst uio.Bufs, _ *int64) (int, error) {
	return readZeros(dst), nil
}

// Write implements vfs.FileOps.
func (*zero) Write(_ *vfs.Context, _ *vfs.File, src uio.Bufs, _ *int64) (int, error) {
	return src.Len(), nil
}

// ZeroMapper is a file whose mappings are anonymous memory: the caller of mmap(2) maps
// as if MAP_ANONYMOUS had been given.
type ZeroMapper interface {
	MapsAnonymous() bool
}

// BlindRead and BlindWrite implement vfs.Blind.
func (*zero) BlindRead() bool  { return false }
func (*zero) BlindWrite() bool { return true }

// MapsAnonymous implements ZeroMapper.
func (*zero) MapsAnonymous() bool { return true }

// Mmap implements vfs.Mapper with an object of its own for each mapping.
func (z *zero) Mmap(ctx *vfs.Context, _ *vfs.File, _, _ uint32) (memfile.Mappable, error) {
	s := memfile.NewShm(z.mf, ctx.Account, 1<<46)
	s.DecRef() // it lives as long as it is mapped
	return s, nil
}

type random struct{ base }

// Read implements vfs.FileOps.
func (random) Read(_ *vfs.Context, _ *vfs.File, dst uio.Bufs, _ *int64) (int, error) {
	n := 0
	for _, b := range dst {
		if _, err := rand.Read(b); err != nil {
			return n, abi.EIO
		}
		n += len(b)
	}
	return n, nil
}

// Write implements vfs.FileOps: what is written is not needed, the host has entropy.
func (random) Write(_ *vfs.Context, _ *vfs.File, src uio.Bufs, _ *int64) (int, error) {
	return src.Len(), nil
}

// Requests of random(4).
const (
	rndGetEntCnt   = 0x80045200
	rndAddToEntCnt = 0x40045201
	rndClearPool   = 0x5206
	rndZapEntCnt   = 0x5204
	rndReseedCRNG  = 0x5207
)

// Ioctl implements vfs.Ioctler.
func (random) Ioctl(ctx *vfs.Context, _ *vfs.File, cmd uint32, arg uint64, mem uio.Memory) (uint64, error) {
	switch cmd {
	case rndGetEntCnt:
		var b [4]byte
		binary.NativeEndian.PutUint32(b[:], 256)
		return 0, mem.CopyOut(abi.Addr(arg), b[:])
	case rndAddToEntCnt, rndClearPool, rndZapEntCnt, rndReseedCRNG:
		if !ctx.Creds.HasCap(abi.CAP_SYS_ADMIN) {
			return 0, abi.EPERM
		}
		return 0, nil
	}
	return 0, abi.EINVAL
}
