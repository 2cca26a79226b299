package syscalls

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// numbers returns the SYS_* constants of an architecture by parsing package abi.
func numbers(t *testing.T, arch string) map[int]string {
	t.Helper()
	files, err := filepath.Glob("abi/*sysnum*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := map[int]string{}
	for _, name := range files {
		if base := strings.TrimSuffix(name, ".go"); strings.HasSuffix(base, "64") && !strings.HasSuffix(base, "_"+arch) {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			v, ok := n.(*ast.ValueSpec)
			if !ok || len(v.Values) != 1 || !strings.HasPrefix(v.Names[0].Name, "SYS_") {
				return true
			}
			if lit, ok := v.Values[0].(*ast.BasicLit); ok {
				nr, err := strconv.Atoi(lit.Value)
				if err != nil {
					t.Fatalf("%s: %v", v.Names[0].Name, err)
				}
				found[nr] = v.Names[0].Name
			}
			return true
		})
	}
	if len(found) < 280 {
		t.Fatalf("only %d numbers found for %s", len(found), arch)
	}
	return found
}

func TestEveryNumberHasRow(t *testing.T) {
	tb := New()
	want := numbers(t, runtime.GOARCH)
	var missing []string
	for nr, name := range want {
		if tb.Lookup(uint64(nr)) == nil {
			missing = append(missing, fmt.Sprintf("%s (%d)", name, nr))
		}
	}
	if len(missing) > 0 {
		t.Errorf("no row for %v", missing)
	}
}

func TestRows(t *testing.T) {
	names := map[string]int{}
	count := map[Support]int{}
	New().Rows(func(r *Row) {
		if old, ok := names[r.Name]; ok {
			t.Errorf("%q is both %d and %d", r.Name, old, r.Nr)
		}
		names[r.Name] = r.Nr
		count[r.Support]++
		switch r.Support {
		case Full:
			if r.Fn == nil || r.Note != "" || r.Errno != 0 {
				t.Errorf("%s: a full row has a handler and nothing to excuse", r.Name)
			}
		case Partial:
			if r.Fn == nil || r.Note == "" {
				t.Errorf("%s: a partial row has a handler and says what is missing", r.Name)
			}
		case Absent:
			if r.Fn != nil || r.Note == "" || r.Errno == 0 {
				t.Errorf("%s: an absent row has an error and a reason", r.Name)
			}
		}
		if len(r.Args) > 6 {
			t.Errorf("%s: %d arguments", r.Name, len(r.Args))
		}
	})
	t.Logf("%d full, %d partial, %d absent", count[Full], count[Partial], count[Absent])
}

func TestCompatibilityIsCommitted(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		return // the document is about amd64
	}
	var b bytes.Buffer
	if err := WriteCompatibility(&b); err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile("../COMPATIBILITY.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, b.Bytes()) {
		t.Error("COMPATIBILITY.md is out of date: go generate ./syscalls")
	}
}
