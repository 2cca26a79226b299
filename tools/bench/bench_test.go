package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestMedianAndBest(t *testing.T) {
	for _, tc := range []struct {
		ns           []float64
		err          string
		median, best float64
		ok           bool
	}{
		{ns: nil},
		{ns: []float64{3}, median: 3, best: 3, ok: true},
		{ns: []float64{9, 1, 5}, median: 5, best: 1, ok: true},
		{ns: []float64{8, 2, 4, 100}, median: 6, best: 2, ok: true},
		{ns: []float64{1, 2}, err: "it broke later"},
	} {
		r := Result{NS: map[string][]float64{"x": tc.ns}, Error: map[string]string{"x": tc.err}}
		if m, ok := r.median("x"); m != tc.median || ok != tc.ok {
			t.Errorf("median of %v (error %q) = %v, %v; want %v, %v", tc.ns, tc.err, m, ok, tc.median, tc.ok)
		}
		if b, ok := r.best("x"); b != tc.best || ok != tc.ok {
			t.Errorf("best of %v (error %q) = %v, %v; want %v, %v", tc.ns, tc.err, b, ok, tc.best, tc.ok)
		}
	}
}

func TestMedianKeepsOrder(t *testing.T) {
	s := []float64{3, 1, 2}
	Result{NS: map[string][]float64{"x": s}}.median("x")
	if s[0] != 3 || s[1] != 1 {
		t.Errorf("the rounds were sorted in place: %v", s)
	}
}

var sample = []Result{
	{Work: "getppid", NS: map[string][]float64{"native": {100, 200, 300}, "runc": {200, 200, 200}, "runsc": {10_000, 12_000, 14_000}}},
	{Work: "a<b", NS: map[string][]float64{"native": {1e6}, "runc": {2e7}}, Error: map[string]string{"runsc": "no"}},
	{Work: "lost", NS: map[string][]float64{"runsc": {5e6}}, Error: map[string]string{"native": "no", "runc": "no"}},
}

var sampleNames = []string{"native", "runc", "runsc"}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	printTable(&b, sample, sampleNames, Result.median)
	want := [][]string{
		{"work", "native", "runc", "ratio", "runsc", "ratio"},
		{"getppid", "200", "ns", "200", "ns", "1.0", "12.0", "us", "60.0"},
		{"a<b", "1000.0", "us", "20.0", "ms", "20.0", "failed"},
		{"lost", "failed", "failed", "5000.0", "us"},
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != len(want) {
		t.Fatalf("table has %d lines, want %d:\n%s", len(lines), len(want), &b)
	}
	for i, line := range lines {
		if got := strings.Fields(line); strings.Join(got, " ") != strings.Join(want[i], " ") {
			t.Errorf("line %d = %q, want %q", i, got, want[i])
		}
	}
}

func TestChart(t *testing.T) {
	svg := chart(sample, sampleNames, Result.median)
	bars, texts := 0, ""
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("not well-formed: %v\n%s", err, svg)
		}
		switch v := tok.(type) {
		case xml.StartElement:
			if v.Name.Local == "rect" {
				bars++
			}
		case xml.CharData:
			texts += string(v) + "|"
		}
	}
	// Two in the legend; runc and runsc of the first work, runc of the second.
	if bars != 5 {
		t.Errorf("%d rectangles, want 5", bars)
	}
	for _, s := range []string{"getppid", "a<b", "60.0", "20.0", "runsc / native"} {
		if !strings.Contains(texts, s) {
			t.Errorf("%q is not in the chart: %s", s, texts)
		}
	}
}

func TestHuman(t *testing.T) {
	for ns, want := range map[float64]string{150: "150 ns", 9999: "9999 ns", 15_000: "15.0 us", 2.5e7: "25.0 ms"} {
		if got := human(ns); got != want {
			t.Errorf("human(%v) = %q, want %q", ns, got, want)
		}
	}
}

func TestChosen(t *testing.T) {
	if list, err := chosen(""); err != nil || len(list) != len(works) {
		t.Errorf("all: %d works, %v", len(list), err)
	}
	if list, err := chosen("fork,getppid"); err != nil || len(list) != 2 || list[0].name != "fork" {
		t.Errorf("two: %v, %v", list, err)
	}
	if _, err := chosen("fork,nonsense"); err == nil {
		t.Error("a name that is not there was accepted")
	}
}
