package boot

import (
	"testing"

	"lazaret/runsc/spec"
	"lazaret/syscalls/abi"
)

// TestMountOptions: every option that features names is known, and not passed to a file system.
func TestMountOptions(t *testing.T) {
	for _, o := range spec.MountOptions {
		if got := parseOptions([]string{o}); got.data != "" {
			t.Errorf("%s is taken for the file system's", o)
		}
	}
	for _, c := range []struct {
		list []string
		want options
	}{
		{[]string{"rro", "rnoexec", "size=1m", "mode=700"}, options{flags: abi.MS_RDONLY | abi.MS_NOEXEC, data: "size=1m,mode=700"}},
		{[]string{"ro", "nosuid", "rrw", "suid"}, options{}},
		{[]string{"remount", "noatime"}, options{flags: abi.MS_NOATIME, remount: true}},
		{[]string{"rflorp", "r"}, options{data: "rflorp,r"}},
	} {
		if got := parseOptions(c.list); got.flags != c.want.flags || got.data != c.want.data || got.remount != c.want.remount {
			t.Errorf("%v: %+v, want %+v", c.list, got, c.want)
		}
	}
}
