package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var (
	demand   = regexp.MustCompile(`\b(MUST|SHOULD|REQUIRED|RECOMMENDED)\b`)
	tableRow = regexp.MustCompile(`^\| (\d+) \| .* \| ([^|]+) \|$`)
	testName = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
)

// casesKnown are the names that docs/oci.md may give.
func casesKnown(t *testing.T) map[string]bool {
	t.Helper()
	known := map[string]bool{}
	for _, c := range slices.Concat(ociCases, ociMoreCases) {
		known[c.name] = true
	}
	for _, c := range slices.Concat(badCases, badMoreCases) {
		known[c.name] = true
	}
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("../../runsc/*/*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range append(files, more...) {
		for _, m := range testName.FindAllStringSubmatch(readAll(t, f), -1) {
			known[m[1]] = true
		}
	}
	return known
}

// TestOCITable: each sentence of the specification that asks for something has its line in
// docs/oci.md, and each line names cases that there are.
func TestOCITable(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/opencontainers/runtime-spec").Output()
	if err != nil {
		t.Fatal(err)
	}
	known := casesKnown(t)
	sections := strings.Split(readAll(t, "../../docs/oci.md"), "\n## ")[1:]
	if len(sections) != 6 {
		t.Fatalf("%d files in docs/oci.md", len(sections))
	}
	for _, s := range sections {
		name, rows, _ := strings.Cut(s, "\n")
		want := map[int]bool{}
		text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), name))
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(text), "\n") {
			if demand.MatchString(line) {
				want[i+1] = true
			}
		}
		for row := range strings.Lines(rows) {
			m := tableRow.FindStringSubmatch(strings.TrimSpace(row))
			if m == nil {
				continue
			}
			n, _ := strconv.Atoi(m[1])
			if !want[n] {
				t.Errorf("%s:%d asks for nothing, or has two lines", name, n)
			}
			delete(want, n)
			checkCases(t, name+":"+m[1], m[2], known)
		}
		for n := range want {
			t.Errorf("%s:%d has no line in docs/oci.md", name, n)
		}
	}
}

// checkCases looks up the names of a line; a reason stands in the place of one.
func checkCases(t *testing.T, where, names string, known map[string]bool) {
	t.Helper()
	for i, c := range strings.Split(names, "; ") {
		c, refused := strings.CutPrefix(c, "refused: ")
		c, _, _ = strings.Cut(c, " of runsc/")
		switch {
		case known[c]:
		case strings.HasPrefix(c, "differs: "), !refused && i == 0 && slices.Contains([]string{"another platform", "for whoever writes config.json", "shared by a sandbox", "no effect in a sandbox"}, c):
		default:
			t.Errorf("%s names %q, which is no case", where, c)
		}
	}
}
