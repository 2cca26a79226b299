package uio

import "lazaret/syscalls/abi"

// Bufs is a list of blocks of bytes, filled or drained from the front.
type Bufs [][]byte

// One returns a list of one block.
func One(b []byte) Bufs { return Bufs{b} }

// Len returns the number of bytes in all blocks.
func (v Bufs) Len() int {
	n := 0
	for _, b := range v {
		n += len(b)
	}
	return n
}

// CopyFrom copies src into the blocks and returns the number of bytes copied.
func (v Bufs) CopyFrom(src []byte) int {
	n := 0
	for _, b := range v {
		if len(src) == 0 {
			break
		}
		c := copy(b, src)
		src = src[c:]
		n += c
	}
	return n
}

// CopyTo copies from the blocks into dst and returns the number of bytes copied.
func (v Bufs) CopyTo(dst []byte) int {
	n := 0
	for _, b := range v {
		if len(dst) == 0 {
			break
		}
		c := copy(dst, b)
		dst = dst[c:]
		n += c
	}
	return n
}

// Zero clears the first n bytes.
func (v Bufs) Zero(n int) {
	for _, b := range v {
		if n <= 0 {
			return
		}
		c := min(n, len(b))
		clear(b[:c])
		n -= c
	}
}

// Skip returns the list without its first n bytes. The receiver is not changed.
func (v Bufs) Skip(n int) Bufs {
	for i, b := range v {
		if n < len(b) {
			out := make(Bufs, len(v)-i)
			copy(out, v[i:])
			out[0] = b[n:]
			return out
		}
		n -= len(b)
	}
	return nil
}

// Take returns a list of the first n bytes, or all if there are fewer. The receiver is
// not changed.
func (v Bufs) Take(n int) Bufs {
	for i, b := range v {
		if n <= len(b) {
			out := make(Bufs, i+1)
			copy(out, v[:i+1])
			out[i] = b[:n]
			return out
		}
		n -= len(b)
	}
	return v
}

// Memory is application memory by address. Methods return abi.EFAULT when a part of the
// range cannot be accessed; what was copied before is undefined.
type Memory interface {
	CopyIn(addr abi.Addr, dst []byte) error
	CopyOut(addr abi.Addr, src []byte) error
}
