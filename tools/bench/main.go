package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// options are the command line's.
type options struct {
	runsc, peer, only, json, svg string
	rounds                       int
	best                         bool
}

func main() {
	var o options
	flag.StringVar(&o.runsc, "runsc", "bin/runsc", "our runtime")
	flag.StringVar(&o.peer, "peer", "", "another runtime with runc's command line, by path")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds; each runs every runtime once for each work")
	flag.StringVar(&o.only, "only", "", "comma-separated names of works; empty means all")
	flag.StringVar(&o.json, "json", "", "write the result as JSON to this file")
	flag.StringVar(&o.svg, "svg", "", "write a chart of the ratios to this file")
	flag.BoolVar(&o.best, "best", false, "show the fastest round instead of the median: for a machine that is not quiet")
	flag.Parse()
	run := bench
	if os.Getenv(insideEnv) == "" {
		run = reexec
	}
	if err := run(&o); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

// bench measures and reports. It runs inside the namespaces.
func bench(o *options) error {
	list, err := chosen(o.only)
	if err != nil {
		return err
	}
	st, err := newStage()
	if err != nil {
		return err
	}
	micro := filepath.Join(st.share, "micro")
	gcc := exec.Command("gcc", "-O2", "-static", "-pthread", "-o", micro, filepath.Join("tools", "bench", "src", "micro.c"))
	if out, err := gcc.CombinedOutput(); err != nil {
		return fmt.Errorf("gcc: %w: %s", err, out)
	}
	runtimes, err := st.findRuntimes(o.runsc, o.peer)
	if err != nil {
		return err
	}
	var results []Result
	for _, w := range list {
		results = append(results, measure(w, runtimes, o.rounds))
	}
	names := make([]string, len(runtimes))
	for i, r := range runtimes {
		names[i] = r.name
	}
	value := Result.median
	if o.best {
		value = Result.best
	}
	load, _ := os.ReadFile("/proc/loadavg")
	fmt.Printf("%d rounds; load at the end: %s", o.rounds, load)
	printTable(os.Stdout, results, names, value)
	return o.files(results, names, value)
}

// files writes what -json and -svg ask for.
func (o *options) files(results []Result, names []string, value func(Result, string) (float64, bool)) error {
	if o.json != "" {
		data, err := json.MarshalIndent(results, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(o.json, append(data, '\n'), 0o644); err != nil {
			return err
		}
	}
	if o.svg != "" {
		return os.WriteFile(o.svg, chart(results, names, value), 0o644)
	}
	return nil
}

// chosen are the works that -only names.
func chosen(only string) ([]work, error) {
	if only == "" {
		return works, nil
	}
	var list []work
	for _, name := range strings.Split(only, ",") {
		i := slices.IndexFunc(works, func(w work) bool { return w.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no work is called %q", name)
		}
		list = append(list, works[i])
	}
	return list, nil
}

// measure runs w in every runtime, in turn, rounds times.
func measure(w work, runtimes []*runtime, rounds int) Result {
	res := Result{Work: w.name, NS: map[string][]float64{}, Error: map[string]string{}}
	for range rounds {
		for _, r := range runtimes {
			if res.Error[r.name] != "" {
				continue
			}
			args := w.args
			if w.micro {
				args = []string{sharedDir + "/micro", w.name}
			}
			start := time.Now()
			out, err := r.run(args)
			ns := float64(time.Since(start).Nanoseconds())
			if err == nil && w.micro {
				_, err = fmt.Sscan(out, &ns)
			}
			if err != nil {
				res.Error[r.name] = err.Error()
				fmt.Fprintf(os.Stderr, "bench: %s in %s: %v\n", w.name, r.name, err)
				continue
			}
			res.NS[r.name] = append(res.NS[r.name], ns)
		}
	}
	return res
}
