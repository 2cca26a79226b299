package dev

import (
	"bytes"
	"testing"

	"lazaret/sentry/auth"
	"lazaret/sentry/fs/tmpfs"
	"lazaret/sentry/memfile"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

func TestDevices(t *testing.T) {
	mf, err := memfile.New("test", 1<<28)
	if err != nil {
		t.Fatal(err)
	}
	Register(mf)
	all := auth.CapSet(1<<(abi.CAP_LAST_CAP+1) - 1)
	ctx := &vfs.Context{Creds: &auth.Creds{UserNS: auth.NewInitial(), Effective: all}, Account: &memfile.Account{}, MaxFileSize: ^uint64(0)}
	s, err := tmpfs.New(mf).NewSuper(ctx, &vfs.MountSpec{})
	if err != nil {
		t.Fatal(err)
	}
	ns, err := vfs.NewMountNamespace(s, "dev", 0, ctx.Creds.UserNS)
	if err != nil {
		t.Fatal(err)
	}
	ctx.FS = vfs.NewFSInfo(ns.Root(), ns.Root(), 0o022)
	for range 2 { // the second time everything is there
		if err := Fill(ctx, ns.Root()); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name   string
		read   int
		zeros  bool
		werr   error
		wbytes int
	}{
		{"null", 0, true, nil, 5}, {"zero", 64, true, nil, 5}, {"full", 64, true, abi.ENOSPC, 0},
		{"random", 64, false, nil, 5}, {"urandom", 64, false, nil, 5},
	}
	for _, tt := range tests {
		f, err := vfs.OpenAt(ctx, ns.Root(), tt.name, vfs.OpenHow{Flags: abi.O_RDWR})
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		b := bytes.Repeat([]byte{1}, 64)
		n, err := f.Read(ctx, uio.One(b))
		if n != tt.read || err != nil {
			t.Errorf("%s: read %d, %v", tt.name, n, err)
		}
		if zeros := bytes.Equal(b[:n], make([]byte, n)); zeros != tt.zeros {
			t.Errorf("%s: zeros: %v", tt.name, zeros)
		}
		if n, err := f.Write(ctx, uio.One([]byte("hello"))); n != tt.wbytes || err != tt.werr {
			t.Errorf("%s: write %d, %v", tt.name, n, err)
		}
		f.DecRef()
	}
}
