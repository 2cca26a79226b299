package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const module = "lazaret"

// pkg is what `go list -json` says of a package.
type pkg struct {
	ImportPath     string
	Dir            string
	GoFiles        []string
	CgoFiles       []string
	IgnoredGoFiles []string
	TestGoFiles    []string
	XTestGoFiles   []string
	Imports        []string
}

func main() {
	breaches, err := check()
	if err != nil {
		fmt.Fprintf(os.Stderr, "depcheck: %v\n", err)
		os.Exit(2)
	}
	for _, b := range breaches {
		fmt.Println(b)
	}
	if len(breaches) > 0 {
		os.Exit(1)
	}
}

func check() ([]string, error) {
	out, err := exec.Command("go", "list", "-e", "-json=ImportPath,Dir,GoFiles,CgoFiles,IgnoredGoFiles,TestGoFiles,XTestGoFiles,Imports", "./...").Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var breaches []string
	dec := json.NewDecoder(bytes.NewReader(out))
	for dec.More() {
		var p pkg
		if err := dec.Decode(&p); err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		breaches = append(breaches, checkImports(&p)...)
		breaches = append(breaches, checkFiles(&p)...)
	}
	return breaches, nil
}

func under(path, prefix string) bool {
	return prefix == "" || path == prefix || strings.HasPrefix(path, prefix+"/")
}

func checkImports(p *pkg) []string {
	self := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
	var out []string
	for _, imp := range p.Imports {
		if own, ok := strings.CutPrefix(imp, module+"/"); ok {
			if !ownAllowed(self, own) {
				out = append(out, fmt.Sprintf("%s: must not import %s (see ARCHITECTURE.md)", self, own))
			}
		} else if first, _, _ := strings.Cut(imp, "/"); strings.Contains(first, ".") {
			if !externalAllowed(self, imp) {
				out = append(out, fmt.Sprintf("%s: must not import %s (see tools/depcheck/rules.go)", self, imp))
			}
		}
	}
	return out
}

func ownAllowed(self, imp string) bool {
	for _, r := range rooms {
		if !under(self, r.prefix) {
			continue
		}
		if under(imp, r.prefix) {
			return true
		}
		for _, a := range r.allow {
			if under(imp, a) {
				return true
			}
		}
		return false
	}
	return false
}

func externalAllowed(self, imp string) bool {
	for _, e := range external {
		if !under(imp, e.path) {
			continue
		}
		for _, r := range e.rooms {
			if under(self, r) {
				return true
			}
		}
		return false
	}
	return false
}

// checkFiles applies the rules on files: doc.go, unsafe, size.
func checkFiles(p *pkg) []string {
	var out []string
	rel := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
	files := append(append(append([]string{}, p.GoFiles...), p.CgoFiles...), p.IgnoredGoFiles...)
	doc := len(p.GoFiles)+len(p.CgoFiles) == 0
	for _, f := range append(files, append(p.TestGoFiles, p.XTestGoFiles...)...) {
		doc = doc || f == "doc.go"
		data, err := os.ReadFile(filepath.Join(p.Dir, f))
		if err != nil {
			out = append(out, fmt.Sprintf("%s/%s: %v", rel, f, err))
			continue
		}
		head := data[:min(len(data), 200)]
		generated := bytes.Contains(head, []byte("DO NOT EDIT"))
		if n := bytes.Count(data, []byte("\n")); n > maxLines && !generated {
			out = append(out, fmt.Sprintf("%s/%s: %d lines; split it", rel, f, n))
		}
		if bytes.Contains(data, []byte("\t\"unsafe\"\n")) && !unsafeAllowed(rel+"/"+f) {
			out = append(out, fmt.Sprintf("%s/%s: imports unsafe but is not named *_unsafe.go", rel, f))
		}
	}
	if !doc {
		out = append(out, fmt.Sprintf("%s: has no doc.go", rel))
	}
	return out
}

func unsafeAllowed(path string) bool {
	for _, p := range unsafeOK {
		if strings.HasPrefix(path, p) {
			return true
		}
	}
	base := strings.TrimSuffix(strings.TrimSuffix(path, ".go"), "_test")
	for _, arch := range []string{"_amd64", "_arm64"} {
		base = strings.TrimSuffix(base, arch)
	}
	return strings.HasSuffix(base, "_unsafe")
}
