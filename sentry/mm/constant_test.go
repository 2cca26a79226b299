package mm

import (
	"testing"

	"golang.org/x/sys/unix"

	"lazaret/sentry/memfile"
)

// constantFile is a host file that says it never changes.
type constantFile struct{ *hostFile }

func (constantFile) Constant() bool { return true }

// TestConstant changes files below mappings to see which reads ask the host again: all but
// those of private mappings of files that nobody changes.
func TestConstant(t *testing.T) {
	const at = 3*constantSize - 2 // the name lies in two pieces
	for _, tc := range []struct {
		name     string
		constant bool
		shared   bool
		want     string
	}{
		{"private, constant", true, false, "old!"},
		{"private", false, false, "new!"},
		{"shared, constant", true, true, "new!"},
	} {
		m := newTestMM(t, newFile(t), new(memfile.Account))
		content := make([]byte, 4*page4k-100)
		copy(content[at:], "old!")
		copy(content[len(content)-2:], "zy")
		h := newHostFile(t, content)
		var object memfile.Mappable = h
		if tc.constant {
			object = constantFile{h}
		}
		a := mmap(t, m, MapOpts{Len: 4 * page4k, Prot: 1, MaxProt: 7, Shared: tc.shared, Object: object})
		for i, want := range []string{"old!", tc.want} {
			got, err := m.CopyInString(a+at, 100)
			if err != nil || got != want {
				t.Errorf("%s, read %d: %q, %v; want %q", tc.name, i, got, err, want)
			}
			if _, err := unix.Pwrite(h.fd, []byte("new!"), at); err != nil {
				t.Fatal(err)
			}
		}
		// The last page has zeros after the end of the file.
		for range 2 {
			got, err := m.CopyInString(a+4*page4k-102, 50)
			if err != nil || got != "zy" {
				t.Errorf("%s, the end: %q, %v", tc.name, got, err)
			}
		}
		m.DecUsers()
	}
}
