package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"text/tabwriter"
	"time"
)

func main() {
	runscPath := flag.String("runsc", "bin/runsc", "our runtime")
	peer := flag.String("peer", "", "another runtime with runc's command line, by path")
	rounds := flag.Int("rounds", 5, "rounds; each runs every runtime once for each work")
	only := flag.String("only", "", "comma-separated names of works; empty means all")
	jsonOut := flag.String("json", "", "write the result as JSON to this file")
	svgOut := flag.String("svg", "", "write a chart of the ratios to this file")
	flag.Parse()
	if err := bench(*runscPath, *peer, *rounds, *only, *jsonOut, *svgOut); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

// Result is the outcome of one work: medians by runtime, in nanoseconds; a runtime that
// failed has none.
type Result struct {
	Work   string
	Median map[string]float64
	Error  map[string]string `json:",omitempty"`
}

func bench(runscPath, peer string, rounds int, only, jsonOut, svgOut string) error {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	micro := filepath.Join(dir, "micro")
	if out, err := exec.Command("gcc", "-O2", "-static", "-pthread", "-o", micro, filepath.Join("tools", "bench", "src", "micro.c")).CombinedOutput(); err != nil {
		return fmt.Errorf("gcc: %w: %s", err, out)
	}
	runtimes := findRuntimes(dir, runscPath, peer)
	var results []Result
	for _, w := range works {
		if only != "" && !contains(strings.Split(only, ","), w.name) {
			continue
		}
		results = append(results, measure(dir, micro, w, runtimes, rounds))
	}
	printTable(results, runtimes)
	if jsonOut != "" {
		data, err := json.MarshalIndent(results, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(jsonOut, append(data, '\n'), 0o644); err != nil {
			return err
		}
	}
	if svgOut != "" {
		return os.WriteFile(svgOut, chart(results, runtimes), 0o644)
	}
	return nil
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}

// measure runs w in every runtime, in turn, rounds times.
func measure(dir, micro string, w work, runtimes []*runtime, rounds int) Result {
	res := Result{Work: w.name, Median: map[string]float64{}, Error: map[string]string{}}
	samples := map[string][]float64{}
	for i := 0; i < rounds; i++ {
		for _, r := range runtimes {
			if res.Error[r.name] != "" {
				continue
			}
			args := w.args
			if w.micro {
				args = []string{"/bench/micro", w.name}
			}
			start := time.Now()
			out, err := r.run(dir, micro, args)
			ns := float64(time.Since(start).Nanoseconds())
			if err == nil && w.micro {
				_, err = fmt.Sscan(out, &ns)
			}
			if err != nil {
				res.Error[r.name] = err.Error()
				fmt.Fprintf(os.Stderr, "bench: %s in %s: %v\n", w.name, r.name, err)
				continue
			}
			samples[r.name] = append(samples[r.name], ns)
		}
	}
	for name, s := range samples {
		if res.Error[name] == "" {
			sort.Float64s(s)
			res.Median[name] = s[len(s)/2]
		}
	}
	return res
}

func printTable(results []Result, runtimes []*runtime) {
	tw := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(tw, "work\t")
	for _, r := range runtimes {
		fmt.Fprintf(tw, "%s\t", r.name)
		if r.name != "native" {
			fmt.Fprint(tw, "ratio\t")
		}
	}
	fmt.Fprintln(tw)
	for _, res := range results {
		fmt.Fprintf(tw, "%s\t", res.Work)
		for _, r := range runtimes {
			m, ok := res.Median[r.name]
			if !ok {
				fmt.Fprint(tw, "failed\t")
				if r.name != "native" {
					fmt.Fprint(tw, "\t")
				}
				continue
			}
			fmt.Fprintf(tw, "%s\t", human(m))
			if r.name != "native" {
				fmt.Fprintf(tw, "%.1f\t", m/res.Median["native"])
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
