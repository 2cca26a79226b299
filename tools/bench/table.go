package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// Result is the outcome of one work: by runtime the nanoseconds of every round, or why it
// failed.
type Result struct {
	Work  string
	NS    map[string][]float64
	Error map[string]string `json:",omitempty"`
}

// median returns the middle of a runtime's rounds; false when it failed.
func (r Result) median(name string) (float64, bool) {
	s := slices.Sorted(slices.Values(r.NS[name]))
	if len(s) == 0 || r.Error[name] != "" {
		return 0, false
	}
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2, true
	}
	return s[len(s)/2], true
}

// best returns the fastest of a runtime's rounds; false when it failed.
func (r Result) best(name string) (float64, bool) {
	if len(r.NS[name]) == 0 || r.Error[name] != "" {
		return 0, false
	}
	return slices.Min(r.NS[name]), true
}

// baseline is the runtime that ratios are to.
const baseline = "native"

// printTable prints one line a work: each runtime's value, and its ratio to native.
func printTable(out io.Writer, results []Result, names []string, value func(Result, string) (float64, bool)) {
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(tw, "work\t")
	for _, name := range names {
		fmt.Fprintf(tw, "%s\t", name)
		if name != baseline {
			fmt.Fprint(tw, "ratio\t")
		}
	}
	fmt.Fprintln(tw)
	for _, res := range results {
		fmt.Fprintf(tw, "%s\t", res.Work)
		base, haveBase := value(res, baseline)
		for _, name := range names {
			m, ok := value(res, name)
			ratio := ""
			switch {
			case !ok:
				fmt.Fprint(tw, "failed\t")
			default:
				fmt.Fprintf(tw, "%s\t", human(m))
				if haveBase && base > 0 {
					ratio = fmt.Sprintf("%.1f", m/base)
				}
			}
			if name != baseline {
				fmt.Fprintf(tw, "%s\t", ratio)
			}
		}
		fmt.Fprintln(tw)
	}
	tw.Flush()
}

// human shows nanoseconds with a fitting unit.
func human(ns float64) string {
	switch {
	case ns < 10_000:
		return fmt.Sprintf("%.0f ns", ns)
	case ns < 10_000_000:
		return fmt.Sprintf("%.1f us", ns/1e3)
	default:
		return fmt.Sprintf("%.1f ms", ns/1e6)
	}
}
