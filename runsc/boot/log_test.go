package boot

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBoundedLog writes more than there is room for, in append mode as the log is open.
func TestBoundedLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	l := &boundedLog{f: f, limit: 100}
	line := strings.Repeat("x", 29) + "\n"
	for i := range 50 {
		if n, err := l.Write([]byte(line)); n != len(line) || err != nil {
			t.Fatal(n, err)
		}
		if st, err := f.Stat(); err != nil || st.Size() > 200 {
			t.Fatalf("%d lines: %d bytes, %v", i+1, st.Size(), err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil || !strings.HasSuffix(string(data), line) || !strings.HasPrefix(string(data), "log: began again") {
		t.Errorf("%q, %v", data, err)
	}
}
