package auth

import "testing"

// FuzzParseMap: what is accepted maps each id once, in both directions.
func FuzzParseMap(f *testing.F) {
	for _, s := range []string{"0 0 1", "0 1000 1\n1 100000 65536\n", "0 0 4294967295", "1 2", "a b c", "4294967295 0 1", "0 0 0\n\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ext, err := parseMap(s)
		if err != nil {
			return
		}
		if len(ext) == 0 || len(ext) > maxExtents {
			t.Fatalf("%d extents", len(ext))
		}
		for i, a := range ext {
			if a.Len == 0 || uint64(a.First)+uint64(a.Len) > 1<<32 || uint64(a.LowerFirst)+uint64(a.Len) > 1<<32 {
				t.Fatalf("%+v wraps", a)
			}
			for _, b := range ext[:i] {
				if a.First < b.First+b.Len && b.First < a.First+a.Len {
					t.Fatalf("%+v and %+v overlap", a, b)
				}
			}
		}
	})
}
