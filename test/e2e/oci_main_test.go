package e2e

import (
	"os"
	"testing"
)

// TestMain removes the root that the tests share.
func TestMain(m *testing.M) {
	code := m.Run()
	if dir := rootfsMade.Load(); dir != nil {
		_ = os.RemoveAll(*dir)
	}
	os.Exit(code)
}
