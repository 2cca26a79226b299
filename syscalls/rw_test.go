package syscalls

import "testing"

// TestTransferReuse checks that reads and writes share what they need, and that one does
// not see what another left behind.
func TestTransferReuse(t *testing.T) {
	var last *transfer
	n := testing.AllocsPerRun(100, func() {
		last = newTransfer()
		if last.write || last.off != 0 || last.flags != 0 || last.one[0].Len != 0 || last.pin.Bufs != nil {
			t.Fatalf("not clean: %+v", last)
		}
		last.write, last.off, last.flags, last.one[0].Len = true, 7, 1, 9
		last.done()
	})
	if n != 0 {
		t.Errorf("%v objects a transfer", n)
	}
}
