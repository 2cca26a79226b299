package vdso

var image []byte
