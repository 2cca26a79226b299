package proc

import (
	"fmt"
	"strconv"
	"strings"
)

// MaskHex formats a bit mask of n bits as the kernel's %*pb does: groups of 32 bits, the
// highest first, separated by commas.
func MaskHex(mask []uint64, n int) string {
	word := func(i int) uint32 {
		if i/2 >= len(mask) {
			return 0
		}
		return uint32(mask[i/2] >> (i % 2 * 32))
	}
	var s []string
	digits := (n%32 + 3) / 4
	if digits == 0 {
		digits = 8
	}
	for i := (n+31)/32 - 1; i >= 0; i-- {
		s = append(s, fmt.Sprintf("%0*x", digits, word(i)))
		digits = 8
	}
	return strings.Join(s, ",")
}

// MaskList formats a bit mask of n bits as %*pbl does: "0-3,7".
func MaskList(mask []uint64, n int) string {
	has := func(i int) bool { return i < n && i/64 < len(mask) && mask[i/64]>>(i%64)&1 != 0 }
	var s []string
	for i := 0; i < n; i++ {
		if !has(i) {
			continue
		}
		j := i
		for has(j + 1) {
			j++
		}
		if j > i {
			s = append(s, strconv.Itoa(i)+"-"+strconv.Itoa(j))
		} else {
			s = append(s, strconv.Itoa(i))
		}
		i = j
	}
	return strings.Join(s, ",")
}
