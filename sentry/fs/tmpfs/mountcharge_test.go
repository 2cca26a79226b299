package tmpfs_test

import (
	"fmt"
	"testing"

	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// Mounts are charged to who makes them: one that cannot pay makes no more, and what they
// cost comes back with them.
func TestMountsAreCharged(t *testing.T) {
	w := newWorld(t)
	ctx := w.ctx
	w.mkdir(t, "/m")
	before := ctx.Account.Used()
	ctx.Account.SetLimit(before + 64<<10)
	made := 0
	for ; made < 1000; made++ {
		if err := vfs.MountAt(ctx, "", "/", "/m", abi.MS_BIND, ""); err != nil {
			if err != error(abi.ENOMEM) {
				t.Fatal(err)
			}
			break
		}
	}
	if made == 0 || made == 1000 {
		t.Fatalf("%d mounts with 64 KiB", made)
	}
	if _, err := w.ns.Fork(ctx.Account, nil, ctx.Creds.UserNS); err != error(abi.ENOMEM) {
		t.Errorf("copy of the namespace: %v", err)
	}
	for i := range made {
		if err := vfs.UmountAt(ctx, "/m", 0); err != nil {
			t.Fatal(fmt.Errorf("umount %d: %w", i, err))
		}
	}
	n, err := w.ns.Fork(ctx.Account, nil, ctx.Creds.UserNS)
	if err != nil {
		t.Fatal(err)
	}
	n.DecUsers()
	if used := ctx.Account.Used(); used != before {
		t.Errorf("%d bytes charged, %d before", used, before)
	}
}
