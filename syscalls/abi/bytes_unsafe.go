package abi

import "unsafe"

// Bytes returns the memory of *v: the wire form of a structure of this package.
//
// SAFETY: T holds no pointers (the structures of this package are plain data with their
// padding spelled out), so any bytes are a valid value.
func Bytes[T any](v *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v))
}

// SliceBytes returns the memory of the elements of s.
//
// SAFETY: as Bytes.
func SliceBytes[T any](s []T) []byte {
	if len(s) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), uintptr(len(s))*unsafe.Sizeof(s[0]))
}
