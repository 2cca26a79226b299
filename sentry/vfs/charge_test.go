package vfs

import (
	"testing"

	"lazaret/sentry/auth"
	"lazaret/sentry/memfile"
	"lazaret/syscalls/abi"
)

// TestFilesAreCharged opens files until the account refuses, and closes them.
func TestFilesAreCharged(t *testing.T) {
	acct := &memfile.Account{}
	acct.SetLimit(10 * inodeFileCost)
	ctx := &Context{Creds: &auth.Creds{UserNS: auth.NewInitial()}, Account: acct}
	var files []*File
	for {
		f, err := NewAnonFile(ctx, "[test]", nil, abi.O_RDWR, ModeRead)
		if err != nil {
			if err != error(abi.ENOMEM) {
				t.Fatal(err)
			}
			break
		}
		files = append(files, f)
	}
	if len(files) != 10 {
		t.Errorf("%d files, want 10", len(files))
	}
	for _, f := range files {
		f.DecRef()
	}
	if acct.Used() != 0 {
		t.Errorf("%d bytes left charged", acct.Used())
	}
}
