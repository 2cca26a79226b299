package devpts

import (
	"testing"

	"lazaret/sentry/auth"
	"lazaret/sentry/vfs"
)

// FuzzOptions: modes are modes, no maximum passes the kernel's.
func FuzzOptions(f *testing.F) {
	for _, s := range []string{"", "newinstance,ptmxmode=0666,mode=0620,gid=5", "max=4096", "max=1048577", "uid=4294967295", "mode=77777", "mode=9", ",=,"} {
		f.Add(s)
	}
	ctx := &vfs.Context{Creds: &auth.Creds{UserNS: auth.NewInitial()}}
	f.Fuzz(func(t *testing.T, s string) {
		o := options{max: maxPTYs}
		if o.parse(ctx, s) == nil && (o.mode&^0o7777 != 0 || o.ptmx&^0o7777 != 0 || o.max > maxPTYs) {
			t.Errorf("%q gave %+v", s, o)
		}
	})
}
