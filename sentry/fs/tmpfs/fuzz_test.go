package tmpfs

import (
	"testing"

	"lazaret/sentry/auth"
	"lazaret/sentry/vfs"
)

// FuzzOptions: no size, however large, becomes a limit that is none.
func FuzzOptions(f *testing.F) {
	for _, s := range []string{"", "size=1m,mode=755", "size=50%", "nr_inodes=10k,nr_blocks=4", "uid=1,gid=2", "size=9223372036854775807",
		"size=4294967295%", "size=-1", "mode=99", ",,=,size"} {
		f.Add(s)
	}
	ctx := &vfs.Context{Creds: &auth.Creds{UserNS: auth.NewInitial()}}
	f.Fuzz(func(t *testing.T, s string) {
		o := options{}
		if err := o.parse(ctx, s, 1<<34); err != nil {
			return
		}
		if o.pages < 0 || o.inodes < 0 || o.mode&^0o7777 != 0 {
			t.Fatalf("%q gave %+v", s, o)
		}
	})
}
