package main

import (
	"bytes"
	"fmt"
	"html"
	"math"
)

// chart draws the ratio of every runtime to native as horizontal bars on a logarithmic
// scale, as an SVG.
func chart(results []Result, names []string, value func(Result, string) (float64, bool)) []byte {
	const left, width, bar, gap = 160, 520, 12, 10
	colours := []string{"#4878a8", "#c0804a", "#5a9a68"}
	var shown []string
	for _, name := range names {
		if name != baseline {
			shown = append(shown, name)
		}
	}
	ratio := func(res Result, name string) float64 {
		m, ok := value(res, name)
		base, okBase := value(res, baseline)
		if !ok || !okBase || base <= 0 {
			return 0
		}
		return m / base
	}
	height := 40 + len(results)*(len(shown)*bar+gap)
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="11">`+"\n", left+width+80, height)
	for i, name := range shown {
		fmt.Fprintf(&b, `<rect x="%d" y="8" width="10" height="10" fill="%s"/><text x="%d" y="17">%s / native</text>`+"\n",
			left+i*130, colours[i%len(colours)], left+i*130+14, html.EscapeString(name))
	}
	largest := 10.0
	for _, res := range results {
		for _, name := range shown {
			largest = math.Max(largest, ratio(res, name))
		}
	}
	y := 30
	for _, res := range results {
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", left-6, y+len(shown)*bar/2+4, html.EscapeString(res.Work))
		for i, name := range shown {
			r := ratio(res, name)
			if r <= 0 {
				continue
			}
			w := math.Max(1, math.Log10(math.Max(r, 1))/math.Log10(largest)*width)
			fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.0f" height="%d" fill="%s"/><text x="%.0f" y="%d">%.1f</text>`+"\n",
				left, y+i*bar, w, bar-2, colours[i%len(colours)], float64(left)+w+4, y+i*bar+bar-3, r)
		}
		y += len(shown)*bar + gap
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}
