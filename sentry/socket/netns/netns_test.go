package netns

import (
	"testing"

	"lazaret/sentry/auth"
	"lazaret/sentry/memfile"
	"lazaret/syscalls/abi"
)

// TestCharge: who makes a namespace pays for it until it ends, and makes none that it cannot
// pay for.
func TestCharge(t *testing.T) {
	acct := &memfile.Account{}
	acct.SetLimit(cost * 3 / 2)
	before := live.Load()
	n, err := New(&auth.UserNamespace{}, nil, acct)
	if err != nil || acct.Used() != cost {
		t.Fatalf("%v, charged %d", err, acct.Used())
	}
	if _, err := New(&auth.UserNamespace{}, nil, acct); err != abi.ENOMEM {
		t.Errorf("one that there is no room for: %v", err)
	}
	n.Release()
	if got := live.Load() - before; acct.Used() != 0 || got != 0 {
		t.Errorf("at the end: charged %d, %d live", acct.Used(), got)
	}
}
