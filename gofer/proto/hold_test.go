package proto

import (
	"testing"
	"time"
)

// TestBePatient: a receiver that was made patient does not tell the scheduler within the
// time given, and hears what comes then; one that was not has told it long since.
func TestBePatient(t *testing.T) {
	for _, patient := range []bool{true, false} {
		a, b, err := SocketPair()
		if err != nil {
			t.Fatal(err)
		}
		from, to := newPacketConn(a), newPacketConn(b)
		if patient {
			to.BePatient(time.Minute)
		}
		got := make(chan error, 1)
		go func() {
			_, _, err := to.RecvFDs(nil)
			got <- err
		}()
		want := int32(0)
		if patient {
			want = 1
		}
		time.Sleep(20 * holdMax)
		for end := time.Now().Add(10 * time.Second); holders.Load() != want && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		if n := holders.Load(); n != want {
			t.Errorf("patient %v: %d receivers sleep without the scheduler's knowledge, want %d", patient, n, want)
		}
		if err := from.Send(make([]byte, HeaderSize), -1); err != nil {
			t.Fatal(err)
		}
		if err := <-got; err != nil {
			t.Error(err)
		}
		from.Close()
		to.Close()
	}
}
