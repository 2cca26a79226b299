package cmd

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestDoctorPtrace: a filter around runsc is seen, as the switch of Yama is.
func TestDoctorPtrace(t *testing.T) {
	for _, c := range []struct {
		scope string
		probe error
		ok    bool
	}{
		{"1", unix.ESRCH, true},
		{"", unix.ESRCH, true},
		{"3", unix.ESRCH, false},
		{"0", unix.EPERM, false},
		{"0", unix.ENOSYS, false},
	} {
		if f := ptraceFinding(c.scope, c.probe, false); f.ok != c.ok || !f.ok && f.do == "" {
			t.Errorf("scope %q, probe %v: %+v", c.scope, c.probe, f)
		}
	}
}
