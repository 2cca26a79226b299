package main

import (
	"bytes"
	"fmt"
	"math"
)

// chart draws the ratio of every runtime to native as horizontal bars on a logarithmic
// scale, as an SVG.
func chart(results []Result, runtimes []*runtime) []byte {
	const left, width, bar, gap = 160, 520, 12, 10
	colours := []string{"#4878a8", "#c0804a", "#5a9a68"}
	rows := len(runtimes) - 1
	height := 40 + len(results)*(rows*bar+gap)
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="11">`+"\n", left+width+80, height)
	for i, r := range runtimes[1:] {
		fmt.Fprintf(&b, `<rect x="%d" y="8" width="10" height="10" fill="%s"/><text x="%d" y="17">%s / native</text>`+"\n", left+i*130, colours[i%len(colours)], left+i*130+14, r.name)
	}
	largest := 10.0
	for _, res := range results {
		for _, r := range runtimes[1:] {
			largest = math.Max(largest, res.Median[r.name]/res.Median["native"])
		}
	}
	y := 30
	for _, res := range results {
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", left-6, y+rows*bar/2+4, res.Work)
		for i, r := range runtimes[1:] {
			ratio := res.Median[r.name] / res.Median["native"]
			if math.IsNaN(ratio) || ratio <= 0 {
				continue
			}
			w := math.Max(1, math.Log10(math.Max(ratio, 1))/math.Log10(largest)*width)
			fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.0f" height="%d" fill="%s"/><text x="%.0f" y="%d">%.1f</text>`+"\n",
				left, y+i*bar, w, bar-2, colours[i%len(colours)], float64(left)+w+4, y+i*bar+bar-3, ratio)
		}
		y += rows*bar + gap
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}
