package timeline

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trace")
	open := func() *os.File {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	Mark("lost: nobody asks yet")
	Open("first", open())
	Mark("one")
	Open("second", open())
	Mark("two")
	if File() == nil {
		t.Error("no file for children")
	}
	if err := Finish(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 4 || !strings.Contains(f[0], ".") || !strings.HasPrefix(f[1], "+") {
			t.Fatalf("line %q: want two times, a process and an event", line)
		}
		got = append(got, strings.Join(f[2:], " "))
	}
	want := "first runtime is up|first one|second two"
	if s := strings.Join(got, "|"); s != want {
		t.Errorf("events %q, want %q", s, want)
	}
	if !strings.HasPrefix(strings.TrimSpace(string(text)), "0.000") {
		t.Errorf("does not begin at 0:\n%s", text)
	}
	Mark("lost: after the end")
	if after, _ := os.ReadFile(path); string(after) != string(text) {
		t.Error("recorded after Finish")
	}
}
